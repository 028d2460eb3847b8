"""The authors' checkpoints: opened as numbers alone, and told apart by the names of their weights, not of the files."""

import pickle
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch

from namd.ground.errors import UserError
from namd.models.sound import UNREADABLE, first_line

UNET = "model.diffusion_model."
FIRST_STAGE = "first_stage_model."          # the VAE inside the U-Net's checkpoint, and inside one of its own
KINDS = {"U-Net": (UNET,), "judge": ("to_patch_embedding.",), "VAE": ("encoder.conv_in.", FIRST_STAGE)}   # begin names
SUFFIXES = (".ckpt", ".pth", ".pt")
ARCHIVE = b"PK\x03\x04"
PICKLE = b"\x80"
POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights, what it holds (U-Net, VAE or judge), and {name: tensor} as their code names them."""

    file: Path
    kind: str
    weights: dict


def find(folder) -> dict[str, Checkpoint]:
    """{kind: checkpoint} of a folder: U-Net, VAE and judge, or the judge alone.

    A VAE that has no file of its own is taken from the U-Net's, which holds the one it was trained with.

    Raises:
        UserError: one of them is absent, cannot be used, is none of the three or is there twice.

    Source: ours; the authors publish the judge, and U-Net and VAE are what their training leaves.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"--authors {folder} is no folder: give the one that holds the authors' checkpoints.")
    found = {}
    for file in sorted(folder.iterdir()):
        if not _is_checkpoint(file):
            continue
        one = read(file)
        if one.kind in found:
            raise UserError(f"{found[one.kind].file.name} and {file.name} of {folder} both hold a {one.kind}: leave one"
                            " there.")
        found[one.kind] = one
    if not found:
        raise UserError(f"{folder} holds no checkpoint ({', '.join(SUFFIXES)}): put the authors' U-Net, VAE and ViT"
                        " there.")
    return found if set(found) == {"judge"} else _with_first_stage(found, folder)


def _with_first_stage(found, folder) -> dict[str, Checkpoint]:
    """All three, the VAE perhaps from the U-Net's file."""
    there = ", ".join(one.file.name for one in found.values())
    for kind, how in (("U-Net", "the .ckpt of their conditional stage"), ("judge", "their 42.pth")):
        if kind not in found:
            raise UserError(f"{folder} lacks the {kind}: put {how} beside {there}.")
    unet = found["U-Net"]
    inside = {name.removeprefix(FIRST_STAGE): weight for name, weight in unet.weights.items()
              if name.startswith(FIRST_STAGE)}
    if "VAE" not in found:
        if not inside:
            raise UserError(f"{folder} lacks the VAE, and {unet.file.name} holds none: put the .ckpt of the aligned VAE"
                            " there.")
        return found | {"VAE": Checkpoint(unet.file, "VAE", inside)}
    own = found["VAE"].weights
    unlike = [name for name in inside.keys() & own.keys() if not torch.equal(inside[name], own[name])]
    if unlike:
        raise UserError(f"{found['VAE'].file.name} is not the VAE that {unet.file.name} was trained with ({min(unlike)}"
                        " differs): take it out, and the other is used.")
    return found


def _is_checkpoint(file: Path) -> bool:
    """Whether a file has the beginning or the name of one."""
    if not file.is_file():
        return False
    with open(file, "rb") as handle:
        return handle.read(len(POINTER)).startswith((ARCHIVE, PICKLE, POINTER)) or file.suffix in SUFFIXES


def read(file: Path) -> Checkpoint:
    """One checkpoint, its tensors read from the disk when they are needed.

    Raises:
        UserError: a pointer, a file that is cut off, one that holds more than numbers, or none of the three models.

    Source: ours; `weights_only`, because opening any other pickle runs the code in it.
    """
    weights = _state(file, _opened(file))
    kind = _kind(weights)
    if kind is None:
        raise UserError(f"{file} is neither the authors' U-Net nor their VAE nor their ViT (its first weight is"
                        f" {next(iter(weights))}): take it out of the folder.")
    if kind == "VAE":
        weights = {name.removeprefix(FIRST_STAGE): weight for name, weight in weights.items()}
    return Checkpoint(file, kind, weights)


def _kind(weights) -> str | None:
    """Which of the three models these names are of."""
    for kind, starts in KINDS.items():
        if any(name.startswith(starts) for name in weights):
            return kind
    return None


def _opened(file: Path):
    """What torch reads of a file, as numbers."""
    with open(file, "rb") as handle:
        head = handle.read(len(POINTER))
    whole = zipfile.is_zipfile(file)
    if head == POINTER:
        raise UserError(f"{file} is a pointer of Git LFS, not the weights: run `git lfs pull` where it comes from, or"
                        " download the file itself.")
    if not head or head.startswith(ARCHIVE) and not whole:
        raise UserError(f"{file} is cut off: copy or download it again.")
    if whole:
        _refuse_damaged(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=whole)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            raise UserError(f"{file} holds more than numbers ({code[1]}), and to open such a file is to run what it"
                            " says: where you trust it, save its state_dict alone and give that.") from None
        raise _unreadable(file, error) from None
    except (*UNREADABLE, EOFError) as error:
        raise _unreadable(file, error) from None


def _refuse_damaged(file) -> None:
    """Compare the sums in the archive, which torch does not, so that no changed byte becomes a weight."""
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise _unreadable(file, error) from None
    if damaged:
        raise UserError(f"{file} is damaged ({damaged} in it has another sum than it had): copy or download it again.")


def _unreadable(file, error) -> UserError:
    return UserError(f"{file} is no checkpoint of torch, or a damaged one ({first_line(error).rstrip('.')}): copy or"
                     " download it again.")


def _state(file, found) -> dict:
    """{name: tensor} in what was read, as Lightning or torch wrote it."""
    state = found.get("state_dict", found) if isinstance(found, dict) else None
    are_weights = isinstance(state, dict) and all(isinstance(name, str) and _is_plain(weight)
                                                  for name, weight in state.items())
    if not state or not are_weights:
        raise UserError(f"{file} holds no state_dict of weights: give the checkpoint itself.")
    return state


def _is_plain(weight) -> bool:
    """Whether this is a tensor with every number in its place, neither sparse nor quantised nor without any."""
    return (isinstance(weight, torch.Tensor) and weight.layout is torch.strided and weight.device.type == "cpu"
            and not weight.is_quantized)
