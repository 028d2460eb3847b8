"""Checkpoints that a kill, a torn file or a full disk cannot spoil: safetensors, JSON, a sha256 manifest."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from namd.errors import UserError

MANIFEST = "MANIFEST.json"


def save(folder: Path, step: int, tensors: dict[str, dict], state: dict, keep: int = 2) -> Path:
    """Write checkpoint `step-<n>` below `folder` atomically and drop all but the newest `keep`.

    Args:
        tensors: file stem -> {name: tensor}; each becomes <stem>.safetensors.
        state: JSON-serialisable values.

    Raises:
        UserError: the disk is full; the older checkpoints stay as they were.

    Source: ours, because no long training should depend on luck (written aside, fsynced, renamed).
    """
    final, aside = folder / f"step-{step:08d}", folder / f".tmp-{step:08d}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        for stem, group in tensors.items():
            save_file({k: v.detach().cpu().contiguous().clone() for k, v in group.items()},
                      aside / f"{stem}.safetensors")
        (aside / "state.json").write_text(json.dumps(state))
        (aside / MANIFEST).write_text(json.dumps({f.name: sha256(f) for f in sorted(aside.iterdir())}))
        for file in aside.iterdir():
            _fsync(file)
        _fsync(aside)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise UserError(
                f"The disk holding {folder} is full, so the checkpoint of step {step} was not written: "
                "free some space and start again; the run goes on from the checkpoint before."
            ) from None
        raise
    if final.exists():
        shutil.rmtree(final)
    os.replace(aside, final)
    _fsync(folder)
    for old in complete(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def latest(folder: Path) -> tuple[int, dict[str, dict], dict] | None:
    """Newest checkpoint whose files match their manifest: (step, tensors, state), or None."""
    for path in reversed(complete(folder)):
        if verifies(path):
            tensors = {f.stem: load_file(f) for f in sorted(path.glob("*.safetensors"))}
            return int(path.name.split("-")[1]), tensors, json.loads((path / "state.json").read_text())
    return None


def complete(folder: Path) -> list[Path]:
    """The renamed (not necessarily sound) checkpoints below `folder`, oldest first."""
    return sorted(Path(folder).glob("step-*"))


def verifies(path: Path) -> bool:
    """True when every file named in the manifest is there with its sha256."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        return all(sha256(path / name) == digest for name, digest in manifest.items())
    except (OSError, ValueError):
        return False


def sha256(file: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
