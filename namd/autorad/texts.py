"""CLIP's text tower: loaded in two layouts, and read from embeddings, which is how a prompt can be learnt."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoTokenizer, CLIPConfig, CLIPTextConfig, CLIPTextModelWithProjection
from transformers import initialization as init
from transformers.utils import logging

from namd.autorad import open_clip
from namd.ground.errors import UserError
from namd.models import hub, sound

WHAT = open_clip.WHAT
LOG_SCALE = 2.6592                  # CLIP's first ln(1 / temperature)
WHOLE = CLIPConfig.model_type
CLIP = (WHOLE, CLIPTextConfig.model_type)
SCALE = "logit_scale"
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "max_position_embeddings", "projection_dim")


class TextTower(CLIPTextModelWithProjection):
    """CLIP's text tower with its projection and the scale that it learnt for cosines, `logit_scale` (its logarithm).

    Source: Radford et al. 2021; transformers keeps the scale in its whole CLIPModel, under this name. A file of the
    text tower alone has none: then it is NaN.
    """

    _keys_to_ignore_on_load_unexpected = [r"^vision_model\.", r"^visual_projection\."]      # of a whole CLIPModel

    def __init__(self, config):
        super().__init__(config)
        self.logit_scale = nn.Parameter(torch.tensor(LOG_SCALE))

    def _init_weights(self, module):
        """What a file lacks, as transformers asks for it: here the scale, which nothing may be made up for."""
        super()._init_weights(module)
        if module is self and "logit_scale" in self._parameters:
            init.constant_(self.logit_scale, open_clip.UNLEARNT)


def load_text(path):
    """The text tower that `path` names and its tokenizer: `(TextTower, tokenizer)`, frozen, in evaluation mode.

    Args:
        path: directory, "org/name" or "org/name@revision"; CLIP in transformers' layout (its text tower alone or with
            the image tower), or in open_clip's, e.g. "timm/resnet50_clip.openai@<revision>".

    Raises:
        UserError: nothing loadable there, no tokenizer, sizes that no network has, a scale of 0 or infinity, or weights
            that the file lacks (but the scale may be), holds beyond the configuration, or holds as NaN or infinity.

    Source: the paper says "CLIP's text encoder" and names no projection: that of CLIP's ResNet-50 answers in AIMv2's
    1,024 numbers (512 wide, 8 heads, 12 layers), and only open_clip's layout has it, from revision
    b5ad1dd2714e05200953a70eb508a352fc52b803 on with its activation.
    """
    logging.disable_progress_bar()
    if kind(open_clip.fetched(path, "config.json")) in CLIP or open_clip.fetched(path, open_clip.CONFIG) is None:
        text = hub.load_whole(TextTower, path, WHAT, may_lack=(SCALE,))
    else:
        text = sound.untrained(TextTower, open_clip.config(path), path, WHAT)
        open_clip.fill(text, path)
    sound.check_sizes(text.config, SIZES, path, WHAT)
    _refuse_scale(text, path)
    return text.eval().requires_grad_(False), _tokenizer(path, text.config)


def configured(told: dict, path) -> CLIPTextConfig:
    """The configuration of the text tower that a config.json, `told`, asks for; its own or that of a whole CLIP.

    Args:
        path: where it was read, for the sentence.

    Raises:
        UserError: none can be made of it.
    """
    try:
        config = CLIPTextConfig(**told.get("text_config", told))
    except sound.UNREADABLE as error:
        raise sound.unmade(path, error, WHAT) from error
    sound.check_sizes(config, SIZES, path, WHAT)
    return config


def _refuse_scale(text, path) -> None:
    """One sentence where the learnt scale of cosines is 0 or infinite; NaN is that of a file without one."""
    scale = float(text.logit_scale.detach().exp())
    if scale <= 0 or math.isinf(scale):
        raise UserError(f"{WHAT}: {SCALE} of '{path}' is {text.logit_scale.item():g}, which makes a scale of cosines "
                        f"of {scale:g}; the file is damaged or its training failed, so fetch or write it again.")


def kind(config) -> str | None:
    """The model_type that a file config.json tells; None where it tells none, or there is no file.

    Args:
        config: Path or None.

    Source: timm's repositories have a config.json of the image tower beside open_clip's files, and it tells none.
    """
    return sound.settings(config, WHAT).get("model_type") if config else None


def beside(path, otherwise, device="cpu"):
    """The text tower that was matched to the image encoder at `path` (`own`): as of `load_text`.

    Args:
        otherwise: what to take where the encoder has none of its own; device: where its own one goes.
    """
    place = own(path)
    if not place:
        return otherwise
    text, tokenizer = load_text(place)
    return text.to(device), tokenizer


def own(path) -> str | None:
    """Where the image encoder at `path` has a text tower of its own; None where it has none, or is not here yet.

    Source: ours; a small encoder and a text tower that learnt with it are shipped together, the latter in text/, and a
    whole CLIP holds both.
    """
    folder = hub.directory(path)
    if folder and (folder / "text").is_dir():
        return f"{path}/text"
    return str(path) if kind(hub.file_of(path, "config.json")) == WHOLE else None


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
    """What CLIP says of sequences that are given as embeddings: (B, E, P); arguments as of `states`."""
    return text.text_projection(states(text, embeds, end, mask, positions))


def states(text, embeds, end, mask=None, positions=None) -> torch.Tensor:
    """The states of sequences that are given as embeddings, read at the places of their ends: (B, E, width).

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
    found = embeds + model.embeddings.position_embedding(positions)
    *layers, last = model.encoder.layers
    for layer in layers:
        found = layer(found, mask[None, None])
    return model.final_layer_norm(_at(last, found, end, mask))


def _at(layer, states, end, mask):
    """CLIPEncoderLayer's answer at the places `end` alone: (B, E, width) of states (B, L, width)."""
    attention = layer.self_attn
    normed = layer.layer_norm1(states)
    q, k, v = (linear(x).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for linear, x in (
        (attention.q_proj, normed[:, end]), (attention.k_proj, normed), (attention.v_proj, normed)))
    heard = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[end])
    states = states[:, end] + attention.out_proj(heard.transpose(1, 2).flatten(2))
    return states + layer.mlp(layer.layer_norm2(states))


def _tokenizer(path, config):
    """The tokenizer beside the weights.

    Args:
        config: of the text tower, for transformers would ask config.json, which may be timm's.

    Raises:
        UserError: it is not there or not readable, has no begin or end, or more tokens than the tower.
    """
    name, revision = hub.split(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, config=config)
    except Exception as error:              # the library behind it raises nothing narrower
        raise UserError(f"{WHAT}: the tokenizer of '{path}' cannot be opened ({sound.first_line(error)}); "
                        f"{hub.advice(path)}.") from error
    if None in (tokenizer.bos_token_id, tokenizer.eos_token_id) or len(tokenizer) > config.vocab_size:
        raise UserError(f"{WHAT}: the tokenizer of '{path}' does not belong to its text tower ({len(tokenizer)} tokens "
                        f"for {config.vocab_size}, begin and end needed); {hub.advice(path)}.")
    return tokenizer
