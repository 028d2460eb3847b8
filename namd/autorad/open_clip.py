"""CLIP's text tower in open_clip's layout: its configuration and its weights as transformers names them."""

import json
import math
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from safetensors.torch import load_file
from transformers import CLIPTextConfig

from namd.ground.errors import UserError
from namd.models import hub, sound

WHAT = "autorad_text"
UNLEARNT = math.nan                 # the scale of cosines where a file has none
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
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


def fetched(path, name) -> Path | None:
    """One file of a directory or hub repository, fetched where it must be; None where there is none.

    Args:
        path: directory, "org/name" or "org/name@revision"; name: of the file.
    """
    found = hub.file_of(path, name)
    if found or hub.directory(path):
        return found
    repository, revision = hub.split(path)
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except ABSENT:
        return None


def config(path) -> CLIPTextConfig:
    """transformers' configuration of the text tower of a repository in open_clip's layout.

    Raises:
        UserError: it cannot be read, or does not say all of it.

    Source: open_clip_config.json, where quick_gelu must be said: without it OpenAI's weights are another function.
    """
    try:
        with open(fetched(path, CONFIG)) as file:
            model = json.load(file)["model_cfg"]
        text = model["text_cfg"]
        return CLIPTextConfig(
            vocab_size=text["vocab_size"], hidden_size=text["width"], intermediate_size=4 * text["width"],
            num_hidden_layers=text["layers"], num_attention_heads=text["heads"], projection_dim=model["embed_dim"],
            max_position_embeddings=text["context_length"], hidden_act="quick_gelu" if model["quick_gelu"] else "gelu",
            bos_token_id=text["vocab_size"] - 2, eos_token_id=text["vocab_size"] - 1, pad_token_id=0)
    except sound.UNREADABLE as error:
        raise _unreadable(path, error) from error


def fill(text, path) -> None:
    """Give a text tower of `config` the weights of the repository.

    Args:
        text: `texts.TextTower`.

    Raises:
        UserError: the weights cannot be read, some are missing (but the scale of cosines may be), have no place in the
            tower, or hold NaN or infinity.

    Source: open_clip's model.py (names, `text_projection` (width, P), query, key and value in one matrix).
    """
    try:
        weights = _renamed(load_file(fetched(path, WEIGHTS)))
        missing, foreign = text.load_state_dict({"logit_scale": torch.tensor(UNLEARNT)} | weights, strict=False)
    except sound.UNREADABLE as error:
        raise _unreadable(path, error) from error
    sound.check_complete(missing, path, WHAT)
    sound.check_placed(foreign, path, WHAT)
    sound.check_finite(weights, path, WHAT)


def _unreadable(path, error) -> UserError:
    """The sentence about a repository in open_clip's layout that cannot be read."""
    return UserError(f"{WHAT}: '{path}' is not readable as an open_clip repository ({CONFIG} with quick_gelu, "
                     f"and {WEIGHTS}): {sound.first_line(error)}; {hub.advice(path)}.")


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
