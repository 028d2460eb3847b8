"""CLIP's text tower: loaded in two layouts, and read from embeddings, which is how a prompt can be learnt."""

import json

import torch
import torch.nn.functional as F
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModelWithProjection
from transformers.utils import logging

from namd.ground.errors import UserError
from namd.models import hub

WHAT = "autorad_text"
LOG_SCALE = 2.6592                  # CLIP's first ln(1 / temperature)
OPEN_CONFIG = "open_clip_config.json"
OPEN_WEIGHTS = "open_clip_model.safetensors"
ABSENT = (OSError, ValueError, EntryNotFoundError, HfHubHTTPError)
NAMES = {                           # of open_clip's text tower -> of transformers'
    "token_embedding": "text_model.embeddings.token_embedding",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "transformer.resblocks.": "text_model.encoder.layers.",
    ".ln_1.": ".layer_norm1.",
    ".ln_2.": ".layer_norm2.",
    ".attn.out_proj.": ".self_attn.out_proj.",
    ".mlp.c_fc.": ".mlp.fc1.",
    ".mlp.c_proj.": ".mlp.fc2.",
    "ln_final": "text_model.final_layer_norm",
}


class TextTower(CLIPTextModelWithProjection):
    """CLIP's text tower with its projection and the scale that it learnt for cosines, `logit_scale` (its logarithm).

    Source: Radford et al. 2021; transformers keeps the scale in its whole CLIPModel, under this name.
    """

    _keys_to_ignore_on_load_unexpected = [r"^vision_model\.", r"^visual_projection\."]     # of a whole CLIPModel

    def __init__(self, config):
        super().__init__(config)
        self.logit_scale = nn.Parameter(torch.tensor(LOG_SCALE))


def load_text(path):
    """The text tower that `path` names and its tokenizer: `(TextTower, tokenizer)`, frozen, in evaluation mode.

    Args:
        path: directory, "org/name" or "org/name@revision"; CLIP in transformers' layout (its text tower alone or with
            the image tower), or in open_clip's, e.g. "timm/resnet50_clip.openai@<revision>".

    Raises:
        UserError: nothing loadable there, no tokenizer, or weights missing from the file.

    Source: the paper says "CLIP's text encoder" and names no projection: that of CLIP's ResNet-50 answers in AIMv2's
    1,024 numbers (512 wide, 8 heads, 12 layers), and only open_clip's layout has it, from revision
    b5ad1dd2714e05200953a70eb508a352fc52b803 on with its activation.
    """
    logging.disable_progress_bar()
    in_open_clip = _file(path, "config.json") is None and _file(path, OPEN_CONFIG) is not None
    text = _from_open_clip(path) if in_open_clip else hub.load(TextTower, path, "", WHAT)
    return text.eval().requires_grad_(False), _tokenizer(path, text.config.vocab_size)


def beside(path, otherwise, device="cpu"):
    """The text tower that was matched to the image encoder at `path`, in its folder text/: as of `load_text`.

    Args:
        otherwise: what to take where the encoder has none of its own; device: where its own one goes.

    Source: ours; a small encoder and a text tower that learnt with it are shipped together.
    """
    folder = own(path)
    if not folder:
        return otherwise
    text, tokenizer = load_text(folder)
    return text.to(device), tokenizer


def own(path):
    """The folder text/ of the image encoder at `path`, None where it has none."""
    folder = hub.directory(path)
    return folder / "text" if folder and (folder / "text").is_dir() else None


def word_ids(tokenizer, words: str) -> list[int]:
    """Tokens of `words` without begin and end.

    Raises:
        UserError: the tokenizer does not know one of them.

    Source: ours, because an unknown class name would be learnt as if it were one.
    """
    ids = tokenizer(words, add_special_tokens=False).input_ids
    if not ids or tokenizer.unk_token_id in ids:
        raise UserError(f'{WHAT}: its tokenizer does not know all of "{words}"; use a text tower that has read these '
                        "words.")
    return ids


def causal(length: int) -> torch.Tensor:
    """(length, length) float: 0 where a token (row) sees another (column), -inf where that one comes later."""
    return torch.full((length, length), -torch.inf).triu(1)


def features(text, embeds, end, mask=None, positions=None) -> torch.Tensor:
    """What CLIP says of sequences that are given as embeddings, read at the places of their ends: (B, E, P).

    Args:
        text: TextTower, or a CLIPTextModelWithProjection.
        embeds: (B, L, width) token embeddings, without positions.
        end: (E,) int64, the places to read, from the prompt: the largest token id (CLIP's own rule) is no id here.
        mask: (L, L) float, 0 where a token (row) sees another (column) and -inf elsewhere; None: `causal`.
        positions: (L,) int64; None: 0 .. L - 1.

    Source: Radford et al. 2021, Sec. 2.4. transformers' own class takes ids alone. In the last layer only the places to
    read are worked out, a third less of a small tower's arithmetic.
    """
    model = text.text_model
    length = embeds.shape[1]
    mask = causal(length).to(embeds) if mask is None else mask
    positions = torch.arange(length, device=embeds.device) if positions is None else positions
    states = embeds + model.embeddings.position_embedding(positions)
    *layers, last = model.encoder.layers
    for layer in layers:
        states = layer(states, mask[None, None])
    return text.text_projection(model.final_layer_norm(_at(last, states, end, mask)))


def _at(layer, states, end, mask):
    """CLIPEncoderLayer's answer at the places `end` alone: (B, E, width) of states (B, L, width)."""
    attention = layer.self_attn
    normed = layer.layer_norm1(states)
    q, k, v = (linear(x).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for linear, x in (
        (attention.q_proj, normed[:, end]), (attention.k_proj, normed), (attention.v_proj, normed)))
    heard = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[end])
    states = states[:, end] + attention.out_proj(heard.transpose(1, 2).flatten(2))
    return states + layer.mlp(layer.layer_norm2(states))


def _file(path, name):
    """Path of one file of a directory or hub repository, fetched where it must be; None where there is none."""
    found = hub.file_of(path, name)
    if found or hub.directory(path):
        return found
    repository, revision = hub.split(path)
    try:
        return hf_hub_download(repository, name, revision=revision)
    except ABSENT:
        return None


def _from_open_clip(path) -> TextTower:
    """The text tower of a repository in open_clip's layout.

    Raises:
        UserError: the configuration or the weights cannot be read, or some are missing.

    Source: open_clip's model.py (names, `text_projection` (width, P), query, key and value in one matrix) and
    open_clip_config.json, where quick_gelu must be said: without it OpenAI's weights are another function.
    """
    text = TextTower(open_clip_config(path))
    try:
        weights = _renamed(load_file(_file(path, OPEN_WEIGHTS)))
        missing, _ = text.load_state_dict(weights, strict=False)
    except hub.UNREADABLE as error:
        raise _no_open_clip(path, error) from error
    if missing:
        raise UserError(f"{WHAT}: '{path}' lacks {len(missing)} weights, the first is {min(missing)}; the file is "
                        "incomplete or belongs to another architecture, so fetch it again.")
    return text


def open_clip_config(path) -> CLIPTextConfig:
    """transformers' configuration of the text tower of a repository in open_clip's layout.

    Raises:
        UserError: it cannot be read, or does not say all of it.
    """
    try:
        with open(_file(path, OPEN_CONFIG)) as file:
            model = json.load(file)["model_cfg"]
        text = model["text_cfg"]
        return CLIPTextConfig(
            vocab_size=text["vocab_size"], hidden_size=text["width"], intermediate_size=4 * text["width"],
            num_hidden_layers=text["layers"], num_attention_heads=text["heads"], projection_dim=model["embed_dim"],
            max_position_embeddings=text["context_length"], hidden_act="quick_gelu" if model["quick_gelu"] else "gelu",
            bos_token_id=text["vocab_size"] - 2, eos_token_id=text["vocab_size"] - 1, pad_token_id=0)
    except hub.UNREADABLE as error:
        raise _no_open_clip(path, error) from error


def _no_open_clip(path, error) -> UserError:
    """The sentence about a repository in open_clip's layout that cannot be read."""
    return UserError(f"{WHAT}: '{path}' is not readable as an open_clip repository ({OPEN_CONFIG} with quick_gelu, "
                     f"and {OPEN_WEIGHTS}): {hub.first_line(error)}; {hub.advice(path)}.")


def _renamed(weights) -> dict[str, torch.Tensor]:
    """open_clip's text weights in float32 under transformers' names."""
    named = {"text_projection.weight": weights.pop("text_projection").T.float()}
    for name, weight in weights.items():
        if name.startswith("visual."):
            continue
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        stem, kind = name.split(".attn.in_proj_") if ".attn.in_proj_" in name else (name, None)
        if kind is None:
            named[name] = weight.float()
            continue
        for part, piece in zip("qkv", weight.float().chunk(3), strict=True):
            named[f"{stem}.self_attn.{part}_proj.{kind}"] = piece
    return named


def _tokenizer(path, vocab_size):
    """The tokenizer beside the weights.

    Raises:
        UserError: it is not there or not readable, has no begin or end, or more tokens than the tower.
    """
    name, revision = hub.split(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
    except Exception as error:              # the library behind it raises nothing narrower
        raise UserError(f"{WHAT}: the tokenizer of '{path}' cannot be opened ({hub.first_line(error)}); "
                        f"{hub.advice(path)}.") from error
    if None in (tokenizer.bos_token_id, tokenizer.eos_token_id) or len(tokenizer) > vocab_size:
        raise UserError(f"{WHAT}: the tokenizer of '{path}' does not belong to its text tower ({len(tokenizer)} tokens "
                        f"for {vocab_size}, begin and end needed); {hub.advice(path)}.")
    return tokenizer
