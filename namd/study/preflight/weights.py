"""Which pretrained weights a run needs and this machine lacks, each with the command that fetches it."""

import json
from pathlib import Path

import torch
from torchvision import models

from namd.evaluation.stats import inception
from namd.ground.errors import UserError
from namd.models import hub
from namd.models.perceptual import LITE0
from namd.study.preflight.missing import Missing

BACKBONES = {"vgg": ("vgg16", models.VGG16_Weights), "alex": ("alexnet", models.AlexNet_Weights),
             "squeeze": ("squeezenet1_1", models.SqueezeNet1_1_Weights)}
CLIP = ("model.safetensors",)
TOKENIZER = ("vocab.json", "merges.txt")
FLUX = ("transformer", "vae")
PARTS = ("vae", "unet", "soft_prompts")
IMPORT = (".venv/bin/python -m namd import --authors DIR\n(DIR: their U-Net and VAE, .ckpt, 42.pth and the YAML with"
          " their scale_factor; params/authors.yaml)")
DIFFUSERS = ("diffusion_pytorch_model.safetensors",)
TRANSFORMERS = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")
UNKNOWN = "licence on its page"


def missing(p) -> list[Missing]:
    """All weights that a run with the parameters `p` lacks."""
    return [*imported(p), *pretrained(p), *compared(p), *backbones(p), *fid_features(p)]


def imported(p) -> list[Missing]:
    """What pipeline_path and judge_path name and no folder holds, each with the command that makes it."""
    parts = {"models of pipeline_path": (p.pipeline_path, PARTS), "judge of judge_path": (p.judge_path, ("",))}
    lacking = []
    for what, (path, folders) in parts.items():
        absent = [part for part in folders if path and not whole(path, part, DIFFUSERS if part else CLIP)
                  and not hub.leaves_out(path, part)]
        if absent:
            held = " and ".join(f"{part}/" for part in absent if part) or "config.json and model.safetensors"
            lacking.append(Missing(f"{what}, {path}: no {held}", IMPORT))
    return lacking


def pretrained(p) -> list[Missing]:
    """Weights named by vae_path, unet_path and llm_path that are neither in a directory nor in the hub's cache."""
    named = (("VAE", p.vae_path, "vae", DIFFUSERS), ("U-Net", p.unet_path, "unet", DIFFUSERS),
             ("language model", p.llm_path, "", TRANSFORMERS))
    return [to_fetch(what, path, part, files) for what, path, part, files in named
            if path and not whole(path, part, files)]


def whole(path, part, files) -> bool:
    """Whether configuration, every shard of the weights and what else `files` names are on this machine."""
    config = hub.config_file(path, part)
    if config is None:
        return False
    weights, *others = files
    index = config.with_name(f"{weights}.index.json")
    shards = [weights]
    if index.is_file():
        shards = json.loads(index.read_text())["weight_map"].values()
    return all(config.with_name(name).is_file() for name in {*shards, *others})


def to_fetch(what, path, part, files, picks=()) -> Missing:
    """One pretrained model that is not here; `picks` are the files of its repository to fetch, its own when empty."""
    name, _ = hub.split(path)
    if hub.directory(path):
        return Missing(f"{what}: {name} lacks config.json or {' or '.join(files)}",
                       "write it, or name another directory")
    licence, gated = hub.SOURCES.get(name, (UNKNOWN, False))
    own = [f"{part}/config.json", f"{part}/{files[0]}"] if part else ["*.json", "*.safetensors"]
    visit = f"accept the licence at https://huggingface.co/{name}, `hf auth login`, then\n" if gated else ""
    return Missing(f"{what} {name} ({licence})", visit + download(path, picks or own))


def download(path, picks) -> str:
    """The command that fetches the files `picks` of a hub repository, in short lines."""
    name, revision = hub.split(path)
    lines = [f"hf download {name}"]
    if revision:
        lines.append(f"--revision {revision}")
    lines.append(" ".join(f'--include "{pick}"' for pick in picks))
    return " \\\n    ".join(lines)


def compared(p) -> list[Missing]:
    """What notebook 08 alone reads: CLIP's text encoder and tokenizer beside the U-Net, and FLUX.1."""
    lacking = []
    if p.unet_path and not hub.leaves_out(p.unet_path, "text_encoder"):
        lacking += _text_encoder(p.unet_path)
        lacking += _tokenizer(p.unet_path)
    if p.flux_path:
        lacking += _flux(p.flux_path)
    return lacking


def _text_encoder(path) -> list[Missing]:
    """CLIP's text encoder, where it is not here as a whole."""
    if whole(path, "text_encoder", CLIP):
        return []
    clip = to_fetch("text encoder (08)", path, "text_encoder", CLIP)
    return [Missing(clip.what, clip.how, optional=True)]


def _tokenizer(path) -> list[Missing]:
    """CLIP's tokenizer, where files of it are not here."""
    absent = [name for name in TOKENIZER if hub.file_of(path, f"tokenizer/{name}") is None]
    if not absent:
        return []
    name, _ = hub.split(path)
    how = "write it, or name another directory" if hub.directory(path) else download(path, ["tokenizer/*"])
    return [Missing(f"tokenizer of {name} (08): {', '.join(absent)}", how, optional=True)]


def _flux(path) -> list[Missing]:
    """FLUX.1, where a part of it is not here."""
    absent = [part for part in FLUX if not whole(path, part, DIFFUSERS)]
    if not absent:
        return []
    name, _ = hub.split(path)
    otherwise = "or train a small transformer instead: -p flux_path="
    if hub.directory(path):
        return [Missing(f"Flux (08): {name} lacks {' and '.join(absent)}", f"name another directory, {otherwise}",
                        optional=True)]
    licence, _ = hub.SOURCES.get(name, (UNKNOWN, True))
    includes = " ".join(f'--include "{part}/*"' for part in FLUX)
    fetch = (f"accept the licence at https://huggingface.co/{name},\n`hf auth login`, then\nhf download {name} \\\n"
             f"    {includes}\n")
    return [Missing(f"{name} (08; {licence})", fetch + otherwise, optional=True)]


def backbones(p) -> list[Missing]:
    """ImageNet weights of the perceptual distance, in the training and in the evaluation."""
    if p.lpips_weights != "imagenet":
        return []
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    lacking = []
    trained = set() if p.pipeline_path else {p.lpips_net}
    for net in sorted({*trained, p.eval_lpips_net} - {LITE0}):              # its package brings them
        name, weights = BACKBONES[net]
        if not (folder / Path(weights.IMAGENET1K_V1.url).name).is_file():
            lacking.append(Missing(f"ImageNet weights of {name} for LPIPS",
                                   f"python -c \"from torchvision.models import {name} as m; m(weights='DEFAULT')\""))
    return lacking


def fid_features(p) -> list[Missing]:
    """Package and weights of Inception's FID, where `eval_inception` asks for it."""
    if not p.eval_inception:
        return []
    lacking = inception.lacking(p.eval_inception)
    if lacking:
        return [Missing(what, how.replace(" https", " \\\n    https")) for what, how in lacking]
    try:
        inception.load(p.eval_inception)
    except UserError as error:
        return [Missing(str(error), "fetch it again, or -p eval_inception= to go without", unreadable=True)]
    return []
