"""Where weights come from: a directory, or a repository of the hub at a named revision, with its licence."""

import hashlib
import re
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import ConfigMixin
from huggingface_hub import try_to_load_from_cache
from transformers.utils import logging

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.ground.text import read_json, read_text
from namd.models.sound import UNREADABLE, check_complete, check_finite, check_placed, first_line

NO_CONFIG = "the folder holds no config.json"
NO_FOLDER = "there is no such folder, and it is no hub id"
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


class Source(NamedTuple):
    """A repository of the hub that the study names, its licence, and whether a login must accept it first."""

    licence: str
    gated: bool


SOURCES = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": Source("CreativeML OpenRAIL-M", gated=False),
    "google/medgemma-1.5-4b-it": Source("Health AI Developer Foundations terms of use", gated=True),
    "timm/resnet50_clip.openai": Source("MIT", gated=False),
    "black-forest-labs/FLUX.1-dev": Source("FLUX.1 [dev] Non-Commercial License", gated=True),
    "apple/aimv2-large-patch14-224": Source("apple-amlr, research only", gated=False),
    "openai/clip-vit-large-patch14": Source("MIT", gated=False),
}


def directory(path) -> Path | None:
    """The directory that `path` names, from the checkout where it is relative; None where it names none.

    Source: ours, because a notebook and a command are started in different folders.
    """
    place = REPO / path
    return place if str(path) and place.is_dir() else None


def is_absent_folder(path) -> bool:
    """Whether `path` names no directory and cannot be a hub id, so that the hub need not be asked."""
    name, _ = split(path)
    return directory(path) is None and not HUB_ID.fullmatch(name)


def refuse_absent_folder(path) -> None:
    """FileNotFoundError where `is_absent_folder`."""
    if is_absent_folder(path):
        raise FileNotFoundError(NO_FOLDER)


def split(path) -> tuple[str, str | None]:
    """("org/name", "revision") of "org/name@revision"; (its place, None) of a directory, (id, None) of a bare id.

    Source: ours, written as in hf:// paths, because `main` of a repository may change between two runs.
    """
    local = directory(path)
    if local:
        return str(local), None
    name, _, revision = str(path).partition("@")
    return (name, revision) if revision else (str(path), None)


def leaves_out(path, part: str) -> bool:
    """Whether model_index.json of a directory says that the pipeline has no `part`, as diffusers writes it.

    Args:
        path, part: as in `config_file`.
    """
    index = file_of(path, "model_index.json") if directory(path) else None
    return index is not None and read_json(read_text(index, str(index)), str(index)).get(part) == [None, None]


def advice(path, part: str = "") -> str:
    """How to get weights that are out of reach: the page that asks for consent and the command that fetches them.

    Args:
        path, part: as in `config_file`.
    """
    name, revision = split(path)
    if name not in SOURCES:
        inside = f" ({part}/ in it, not its fp16 variant alone)" if part else ""
        return f"give a complete directory in the Hugging Face format{inside}, or a hub id that you can reach"
    licence, gated = SOURCES[name]
    consent = f"accept its licence ({licence}) at https://huggingface.co/{name}, `hf auth login`, " if gated else ""
    command = f"hf download {name}" + (f" --revision {revision}" if revision else "")
    return f"{consent}`{command}" + (f' --include "{part}/*"`' if part else "`")


def config_file(path, part: str = "") -> Path | None:
    """config.json of a directory or of this machine's copy of a hub repository; None where there is none yet.

    Args:
        path: directory, "org/name" or "org/name@revision".
        part: folder inside (vae, unet), where the repository has one for each model.
    """
    found = file_of(path, f"{part}/config.json".lstrip("/"))
    return found or (file_of(path, "config.json") if directory(path) else None)


def file_of(path, file: str) -> Path | None:
    """One file of a directory or of this machine's copy of a hub repository; None where there is none yet.

    Args:
        path: as in `config_file`; file: its name inside, e.g. "tokenizer/vocab.json".
    """
    local = directory(path)
    if local:
        return local / file if (local / file).is_file() else None
    name, revision = split(path)
    try:
        cached = try_to_load_from_cache(name, file, revision=revision)
    except ValueError:  # neither a directory nor the form of a hub id
        return None
    return Path(cached) if isinstance(cached, str) else None


def provenance(path, part: str = "") -> dict:
    """What a stamp says about loaded weights.

    Args:
        path, part: as in `config_file`.

    Returns:
        id (a directory by its name alone), revision (the commit, where this machine's copy tells it), licence
        (None where the study knows none) and config_sha256.

    Source: ours, because gated weights are never copied into a run: the stamp must say which they were.
    """
    name, revision = split(path)
    local = directory(path)
    config = config_file(path, part)
    if config and not local:
        revision = config.parts[config.parts.index("snapshots") + 1]
    return dict(
        id=local.resolve().name if local else name, revision=revision,
        licence=SOURCES[name].licence if name in SOURCES else None,
        config_sha256=hashlib.sha256(config.read_bytes()).hexdigest() if config else None,
    )


def load(kind, path, part: str, what: str, dtype=torch.float32):
    """A model of diffusers or transformers with every weight from safetensors, or a refusal.

    Args:
        kind: the model's class, e.g. AutoencoderKL.
        path: directory (the model itself, or with a folder `part`), "org/name" or "org/name@revision".
        part: the folder of a pipeline, e.g. "vae".
        what: begins the sentences, e.g. "vae_path".
        dtype: of the loaded weights, whatever the file has.

    Raises:
        UserError: nothing readable there, weights missing from the file, or weights that are no numbers.

    Source: ours, because diffusers fills what a file lacks with uninitialised memory and goes on, and transformers
    keeps the number format of the file.
    """
    model, info = _read(kind, path, part, what, dtype)
    check_complete(info["missing_keys"], path, what)
    check_finite(model.state_dict(), path, what)
    return model


def load_whole(kind, path, what: str, may_lack=()):
    """As `load`, a model of transformers of which the file holds no more than the class reads, in float32.

    Args:
        kind, path, what: as of `load`; the class says itself which weights of another part the file may hold
            (`_keys_to_ignore_on_load_unexpected`).
        may_lack: names of weights that the file need not hold.

    Raises:
        UserError: as `load`, or weights in the file that the model has no place for.

    Source: ours, because a tower with fewer layers than its file would be read as another network without a word.
    Places that are counted and not learnt (`position_ids`) stood in older files.
    """
    model, info = _read(kind, path, "", what, torch.float32)
    missing = set(info["missing_keys"])
    check_complete(missing - set(may_lack), path, what)
    counted = {name for name, _ in model.named_buffers()}
    check_placed(set(info["unexpected_keys"]) - counted, path, what)
    check_finite({name: weight for name, weight in model.state_dict().items() if name not in missing}, path, what)
    return model


def _read(kind, path, part, what, dtype):
    """A model and what its library tells of the names in the file; arguments as of `load`."""
    name, revision = split(path)
    local = directory(path)
    inside = part if not local or (local / part).is_dir() else ""
    try:
        refuse_absent_folder(path)
        if local and not (local / inside / "config.json").is_file():
            raise FileNotFoundError(NO_CONFIG)
        with without_report():
            model, info = kind.from_pretrained(
                name, revision=revision, subfolder=inside, dtype=dtype, use_safetensors=True, output_loading_info=True)
    except UNREADABLE as error:
        raise UserError(f"{what}: nothing can be loaded from '{path}' ({first_line(error)}); "
                        f"{advice(path, part)}.") from error
    if local:
        _name_alone(model, local.name)
    return model, info


@contextmanager
def without_report():
    """Without transformers' table of the weights that do not fit, which a sentence of ours follows."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _name_alone(model, name) -> None:
    """Let the configuration name the directory without its place, which would travel with every copy."""
    if isinstance(model, ConfigMixin):
        model.register_to_config(_name_or_path=name)
    else:
        model.name_or_path = model.config.name_or_path = name
