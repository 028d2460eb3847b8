"""What a run needs and this machine lacks: tables, images, pretrained weights, disk and GPU, each with its source."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import joblib
import torch
from torchvision import models

from namd.data.dicom.series import find_series, index_series
from namd.data.nlst.codes import CENTRE_LISTS, NEEDED
from namd.data.nlst.crops import n_workers
from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import read_delivery, read_files
from namd.data.refused import causes
from namd.data.report import FAMILY
from namd.evaluation.stats import inception
from namd.ground.errors import UserError
from namd.ground.paths import REPO, outputs_root
from namd.models import hub

ASKED = ("diagemph", *FAMILY)      # not in the open tables
CDAS = "free on request at https://cdas.cancer.gov/nlst/"
TABLES = {"participant": "one row a person: age, gender, family history", "abnormalities": "what each reading found",
          "comparison": "whether it was there the year before", "cancer": "confirmed lung cancers"}
BACKBONES = {"vgg": ("vgg16", models.VGG16_Weights), "alex": ("alexnet", models.AlexNet_Weights),
             "squeeze": ("squeezenet1_1", models.SqueezeNet1_1_Weights)}
CLIP = ("model.safetensors",)
TOKENIZER = ("vocab.json", "merges.txt")
FLUX = ("transformer", "vae")
DIFFUSERS = ("diffusion_pytorch_model.safetensors",)
TRANSFORMERS = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Missing:
    """An input that is not there, and the page or command that provides it; a run goes without an optional one."""

    what: str
    how: str
    optional: bool = False
    unreadable: bool = False    # it is there, and cannot be used


def missing(p, need_bytes: int) -> list[Missing]:
    """Everything that a run with the parameters `p` and `need_bytes` of disk lacks."""
    return [*delivery(p), *pretrained(p), *compared(p), *backbones(p), *fid_features(p), *disk(need_bytes), *gpu(p)]


def delivery(p) -> list[Missing]:
    """Tables, nodule list and images below data_delivery; nothing for a phantom, which notebook 01 writes."""
    if p.data_source == "phantom":
        return []
    if not p.data_delivery:
        return [Missing("a delivery: data_delivery is empty", "-p data_delivery=<folder>, or -p data_source=phantom")]
    folder = REPO / p.data_delivery
    files = read_files(folder)
    kinds = {file.kind: file.text for file in files}
    lacking = [_unreadable(file) for file in files if file.refusal]
    if not folder.is_dir():
        lacking.append(Missing(f"folder {p.data_delivery} (data_delivery)", "make it, for the files below"))
    perhaps = " or ".join(file.name for file in files if file.kind is None)
    perhaps = f" (if it is not {perhaps})" if perhaps else ""
    lacking += [Missing(f"NLST table `{kind}`: {TABLES[kind]}{perhaps}", CDAS) for kind in NEEDED if kind not in kinds]
    if not kinds.keys() & set(CENTRE_LISTS):
        lacking.append(Missing("list of nodule centres, for NLST recorded none", "NLSTx: https://github.com/benVZ/NLSTx"
                               " or LUNA25: https://luna25.grand-challenge.org"))
    people = kinds.get("participant")
    unknown = [] if people is None else [name for name in ASKED if name not in people]
    asked = [Missing(f"{', '.join(unknown)} of the participants (reports say: unknown)", CDAS, True)] if unknown else []
    return lacking + _images(folder, p, complete=all(item.optional for item in lacking)) + asked


def _unreadable(file) -> Missing:
    """A CSV file that is there and cannot be used; the run goes without one that is no needed table."""
    needed = file.kind in (*NEEDED, *CENTRE_LISTS)
    what = f"{file.name}, the `{file.kind}` table" if needed else f"{file.name}, passed over"
    return Missing(f"{what}: {file.refusal}", "mend or export it again" if needed else "nothing to do, if it is no "
                   "table of the trial", optional=not needed, unreadable=True)


def _images(folder, p, complete) -> list[Missing]:
    """CT series; counted one by one where the tables are `complete` enough to say which are needed."""
    fetch = f'pip install idc-index; idc download "<series UID>,..." --download-dir {p.data_delivery}'
    if not complete:
        return [] if find_series(folder) else [Missing("CT series (DICOM) of the listed nodules", fetch)]
    try:
        linked, refused = link_nodules(read_delivery(folder), p.data_label_days)
    except UserError as error:
        return [Missing(f"the tables: {error}", "mend or export them again", unreadable=True)]
    wanted = {centre.uid for link in linked for centre in (link.start, link.end)}
    workers = n_workers(p.data_workers, len(linked))
    with joblib.Parallel(n_jobs=workers) as parallel:
        index = index_series(folder, parallel, 4 * workers)
    absent, twice = wanted - set(index), {uid for uid in wanted if len(index.get(uid, [])) > 1}
    if not wanted:
        return [Missing(f"a nodule at T0 and T1: {len(refused)} are named, none can be linked", causes(refused))]
    lacking = [Missing(f"{len(absent)} of {len(wanted)} CT series, e.g. {min(absent)}", fetch)] if absent else []
    if twice:
        lacking.append(Missing(f"{len(twice)} of {len(wanted)} CT series lie in several folders, e.g. {min(twice)}",
                               "leave one folder of each: " + ", ".join(index[min(twice)]), unreadable=True))
    return lacking


def pretrained(p) -> list[Missing]:
    """Weights named by vae_path, unet_path and llm_path that are neither in a directory nor in the hub's cache."""
    named = (("VAE", p.vae_path, "vae", DIFFUSERS), ("U-Net", p.unet_path, "unet", DIFFUSERS),
             ("language model", p.llm_path, "", TRANSFORMERS))
    return [_weights(*each) for each in named if each[1] and not _whole(*each[1:])]


def _whole(path, part, files) -> bool:
    """Whether configuration, every shard of the weights and what else `files` names are on this machine."""
    config = hub.config_file(path, part)
    if config is None:
        return False
    weights, *others = files
    index = config.with_name(f"{weights}.index.json")
    shards = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {weights}
    return all(config.with_name(name).is_file() for name in (*shards, *others))


def _weights(what, path, part, files) -> Missing:
    """One pretrained model that is not here."""
    name, _ = hub.split(path)
    if Path(name).is_dir():
        return Missing(f"{what}: {name} lacks config.json or {' or '.join(files)}",
                       "write it, or name another directory")
    licence, gated = hub.SOURCES.get(name, ("licence on its page", False))
    picks = [f"{part}/config.json", f"{part}/{files[0]}"] if part else ["*.json", "*.safetensors"]
    visit = f"accept the licence at https://huggingface.co/{name}, `hf auth login`, then\n" if gated else ""
    return Missing(f"{what} {name} ({licence})", visit + _download(path, picks))


def _download(path, picks) -> str:
    """The command that fetches the files `picks` of a hub repository, in short lines."""
    name, revision = hub.split(path)
    lines = [f"hf download {name}", f"--revision {revision}" if revision else "",
             " ".join(f'--include "{pick}"' for pick in picks)]
    return " \\\n    ".join(filter(None, lines))


def compared(p) -> list[Missing]:
    """What notebook 08 alone reads: CLIP's text encoder and tokenizer beside the U-Net, and FLUX.1."""
    lacking = []
    if p.unet_path and not _whole(p.unet_path, "text_encoder", CLIP):
        clip = _weights("text encoder (08)", p.unet_path, "text_encoder", CLIP)
        lacking.append(Missing(clip.what, clip.how, optional=True))
    words = [name for name in TOKENIZER if hub.file_of(p.unet_path, f"tokenizer/{name}") is None] if p.unet_path else []
    if words:
        lacking.append(_tokenizer(p.unet_path, words))
    absent = [part for part in FLUX if p.flux_path and not _whole(p.flux_path, part, DIFFUSERS)]
    if absent:
        name, _ = hub.split(p.flux_path)
        licence, _ = hub.SOURCES.get(name, ("licence on its page", True))
        includes = " ".join(f'--include "{part}/*"' for part in FLUX)
        fetch = (f"accept the licence at https://huggingface.co/{name},\n`hf auth login`, then\nhf download {name} \\\n"
                 f"    {includes}\n")
        what, how = ((f"Flux (08): {name} lacks {' and '.join(absent)}", "name another directory, ")
                     if Path(name).is_dir() else (f"{name} (08; {licence})", fetch))
        lacking.append(Missing(what, f"{how}or train a small transformer instead: -p flux_path=", optional=True))
    return lacking


def _tokenizer(path, lacking) -> Missing:
    """CLIP's tokenizer, of which the files `lacking` are not here."""
    name, _ = hub.split(path)
    how = "write it, or name another directory" if Path(name).is_dir() else _download(path, ["tokenizer/*"])
    return Missing(f"tokenizer of {name} (08): {', '.join(lacking)}", how, optional=True)


def backbones(p) -> list[Missing]:
    """ImageNet weights of the perceptual distance, in the training and in the evaluation."""
    if p.lpips_weights != "imagenet":
        return []
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    lacking = []
    for net in dict.fromkeys((p.lpips_net, p.eval_lpips_net)):
        name, weights = BACKBONES[net]
        if not (folder / Path(weights.IMAGENET1K_V1.url).name).is_file():
            lacking.append(Missing(f"ImageNet weights of {name} for LPIPS",
                                   f"python -c \"from torchvision.models import {name} as m; m(weights='DEFAULT')\""))
    return lacking


def fid_features(p) -> list[Missing]:
    """Package and weights of Inception's FID, where `eval_inception` asks for it."""
    lacking = inception.lacking(p.eval_inception) if p.eval_inception else []
    if p.eval_inception and not lacking:
        try:
            inception.load(p.eval_inception)
        except UserError as error:
            return [Missing(str(error), "fetch it again, or -p eval_inception= to go without", unreadable=True)]
    return [Missing(what, how.replace(" https", " \\\n    https")) for what, how in lacking]


def disk(need_bytes: int) -> list[Missing]:
    """Free space where outputs/ is or will be."""
    root = outputs_root()
    free = shutil.disk_usage(next(folder for folder in (root, *root.parents) if folder.is_dir())).free
    if free >= need_bytes:
        return []
    return [Missing(f"disk space: about {need_bytes / 1e9:.0f} GB needed, {free / 1e9:.0f} GB free",
                    "free some, or set the environment variable NAMD_OUTPUTS to a folder on another disk")]


def gpu(p) -> list[Missing]:
    """A GPU where `device` asks for one."""
    if p.device == "cuda" and not torch.cuda.is_available():
        return [Missing("a GPU that torch can see, for device: cuda", "https://pytorch.org/get-started/locally")]
    return []
