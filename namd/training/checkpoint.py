"""Checkpoints that a kill, a torn file or a full disk cannot spoil: safetensors, JSON, a sha256 manifest."""

import json
import os
import re
from pathlib import Path

from safetensors.torch import load_file, save_file

from namd.ground import files
from namd.ground.marks import sha256

MANIFEST = "MANIFEST.json"
NAME = re.compile(r"step-\d{8}")


def save(folder: Path, step: int, tensors: dict[str, dict], state: dict, keep: int = 2) -> Path:
    """Write checkpoint `step-<n>` below `folder` atomically; keep it and the `keep` - 1 before it of the same key.

    Args:
        tensors: file stem -> {name: tensor}; each becomes <stem>.safetensors.
        state: JSON-serialisable values; "key" names the run that may resume from it.

    Raises:
        UserError: the disk is full; the older checkpoints stay as they were.

    Source: ours, because no long training should depend on luck (written aside, fsynced, renamed).
    """
    final = Path(folder) / f"step-{step:08d}"
    files.discard(final)                        # of another key, or it does not verify: we would have gone on from it
    with files.replacing(final) as aside:
        aside.mkdir()
        for stem, group in tensors.items():
            plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in group.items()}
            save_file(plain, aside / f"{stem}.safetensors")
        (aside / "state.json").write_text(json.dumps(state))
        sums = {file.name: sha256(file) for file in sorted(aside.iterdir())}
        (aside / MANIFEST).write_text(json.dumps(sums))
    ours = [path for path in complete(folder) if path <= final and _key(path) == state.get("key")]
    for old in set(complete(folder)) - set(ours[-keep:]):       # a newer one did not verify, or we would not be here
        files.discard(old)
    return final


def place(folder: Path, key: str) -> Path:
    """Where the checkpoints of `key` live: a folder below `folder` that bears its first twelve letters.

    Source: ours, because two keys that take turns, as an edit and its reversal, must not push out each other's.
    """
    return Path(folder) / key[:12]


def supersede(folder: Path, key: str) -> None:
    """Once the stage of `key` is finished its last checkpoint stays, and of other keys the finished one used last.

    Source: ours, because an edit that is taken back must find its weights, and a disk is finite.
    """
    ours = place(folder, key)
    os.utime(ours)                              # used now
    for older in complete(ours)[:-1]:           # a kill may come between the last checkpoint and its clearing up
        files.discard(older)
    others = [path for path in Path(folder).iterdir() if path != ours and complete(path)]
    others.sort(key=lambda path: path.stat().st_mtime)
    spare = [path for path in others if is_finished(path)][-1:]
    for path in others:
        if path not in spare:
            files.discard(path)


def is_finished(place: Path, key: str | None = None) -> bool:
    """True when the newest checkpoint in `place` is sound, that of a last step, and of `key` where one is given."""
    newest = complete(place)[-1:]
    if not newest or not verifies(newest[0]):
        return False
    state = json.loads((newest[0] / "state.json").read_text())
    return state.get("finished", False) and key in (None, state.get("key"))


def latest(folder: Path, key: str | None = None) -> tuple[int, dict[str, dict], dict] | None:
    """Newest checkpoint whose files match their manifest: (step, tensors, state), or None.

    Args:
        key: only checkpoints with this "key" in their state count; None takes any.
    """
    for path in reversed(complete(folder)):
        if key in (None, _key(path)) and verifies(path):
            step = int(path.name.split("-")[1])
            tensors = {f.stem: load_file(f) for f in sorted(path.glob("*.safetensors"))}
            state = json.loads((path / "state.json").read_text())
            return step, tensors, state
    return None


def complete(folder: Path) -> list[Path]:
    """The renamed (not necessarily sound) checkpoints below `folder`, oldest first."""
    return sorted(path for path in Path(folder).glob("step-*") if NAME.fullmatch(path.name))


def _key(path):
    """The key of a checkpoint, None when it has none or cannot be read."""
    try:
        return json.loads((path / "state.json").read_text()).get("key")
    except (OSError, ValueError, AttributeError):
        return None


def verifies(path: Path) -> bool:
    """True when the state and every other file named in the manifest are there with their sha256."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        return "state.json" in manifest and all(sha256(path / name) == digest for name, digest in manifest.items())
    except (OSError, ValueError, AttributeError):
        return False
