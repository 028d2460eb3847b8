"""Hugging Face folders of the true shapes with seeded random weights: what a run would download, without its sense."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, UNet2DConditionModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, Gemma3Config, Gemma3ForConditionalGeneration

from namd.ground import keys
from namd.ground.cost import parameters
from namd.ground.files import replacing
from namd.ground.paths import REPO
from namd.ground.seeding import fresh_weights
from namd.models import clip, hub
from namd.study.preflight.shapes import config_of

WORDS = REPO / "outputs" / "reference" / "models" / "small-gemma"      # whose tokenizer has Gemma's special tokens
EYE = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28,
           patch_size=14)                                              # of the image encoder that no notebook asks


class Part(NamedTuple):
    """A model in a folder of its own: how it is built of its configuration, and what of that is cut."""

    folder: str
    build: Callable
    cut: dict = {}


PARTS = {
    "vae_path": [Part("vae", AutoencoderKL.from_config)],
    "unet_path": [Part("unet", UNet2DConditionModel.from_config),
                  Part("text_encoder", lambda c: CLIPTextModel(CLIPTextConfig(**c)))],
    "flux_path": [Part("transformer", FluxTransformer2DModel.from_config, dict(num_layers=1, num_single_layers=1)),
                  Part("vae", AutoencoderKL.from_config)],
    "llm_path": [Part("", lambda c: gemma(c))],
}


def absent(p) -> list[str]:
    """The parameters of `p` that name a repository of the hub, not a folder of this machine."""
    return [key for key in PARTS if getattr(p, key) and not hub.directory(getattr(p, key))]


def write(root, p, n_layers: int, log=print) -> dict[str, str]:
    """Stand-ins below `root` for what `p` would download: {parameter: folder}.

    Args:
        root: folder; one that is there whole is taken as it is. n_layers: of the language model.

    Raises:
        UserError: an architecture is not known, or the disk is full.

    Source: ours, because the shapes decide memory, bytes and time, and random weights have the same.
    """
    folders = {}
    for key in absent(p):
        name, _ = hub.split(getattr(p, key))
        folder = Path(root) / name.rpartition("/")[2]
        for part in PARTS[key]:
            settings = config_of(getattr(p, key), part.folder) | part.cut
            if key == "llm_path":
                settings |= dict(num_hidden_layers=n_layers)
            write_one(folder / part.folder, part.build, settings, p.seed, log)
        folders[key] = str(folder)
    if "unet_path" in folders:
        _once(Path(folders["unet_path"]) / "tokenizer", clip_tokenizer, "tokenizer of CLIP")
    return folders


def write_one(folder, build, settings: dict, seed: int, log=print) -> None:
    """One model: `build(settings)` with weights named by `seed` and the folder, unless it is there."""
    folder = Path(folder)

    def make(aside):
        with fresh_weights(seed, "rehearsal", folder.parent.name, folder.name):
            model = build(settings)
        model.save_pretrained(aside)
        if isinstance(model, Gemma3ForConditionalGeneration):
            for file in WORDS.glob("tokenizer*.json"):
                shutil.copy(file, aside)
        log(f"  built {folder.parent.name}/{folder.name}: {parameters(model) / 1e6:.1f} M weights")

    _once(folder, make, [settings, seed])


def _once(folder, make, what) -> None:
    """`make(folder)`, unless it was made of the same."""
    kept = keys.Keyed(folder, keys.sha(what))
    if kept.current():
        return
    kept.set_aside()
    with replacing(folder) as aside:
        aside.mkdir()
        make(aside)
    kept.sign()


def gemma(text: dict) -> Gemma3ForConditionalGeneration:
    """A multimodal Gemma 3 around the text part `text`, in bfloat16 as MedGemma is published."""
    config = Gemma3Config(text_config=text.get("text_config", text), vision_config=EYE, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config).to(torch.bfloat16)


def clip_tokenizer(folder) -> None:
    """A tokenizer of CLIP's size with its ids of begin and end, and no word but single bytes."""
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += [f"none{i}" for i in range(clip.BEGIN - len(tokens))]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="CLIPTokenizer", bos_token="<|startoftext|>", eos_token="<|endoftext|>",
        unk_token="<|endoftext|>", pad_token="<|endoftext|>", model_max_length=clip.LENGTH)), encoding="utf-8")
