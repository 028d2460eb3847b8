"""Checkpoints that a kill, a torn file or a full disk cannot spoil: safetensors, JSON, a list of their sha256."""

import json
import os
import re
from itertools import count
from pathlib import Path

from safetensors.torch import load_file, save_file

from namd.ground import files, marks

STATE = "state.json"
PART = 2**30            # bytes of one file, about: what a GPU or another order in memory holds is copied to be written
NAME = re.compile(r"step-\d{8}")


def save(folder: Path, step: int, tensors: dict[str, dict], state: dict, keep: int = 2) -> Path:
    """Write checkpoint `step-<n>` below `folder` atomically; keep it and the `keep` - 1 before it of the same key.

    Args:
        tensors: group -> {name: tensor}; each becomes <group>.safetensors, <group>-1.safetensors and so on.
        state: JSON-serialisable values; "key" names the run that may resume from it.

    Raises:
        UserError: the disk is full; the older checkpoints stay as they were.

    Source: ours, because no long training should depend on luck (written aside, fsynced, renamed).
    """
    final = Path(folder) / f"step-{step:08d}"
    _make_room(final)
    with files.replacing(final) as aside:
        aside.mkdir()
        for stem, group in tensors.items():
            for number, part in enumerate(_parts(group)):
                plain = {name: group[name].detach().cpu().contiguous() for name in part}
                save_file(plain, aside / f"{stem}{f'-{number}' if number else ''}.safetensors")
        (aside / STATE).write_text(json.dumps(state))
    ours = [path for path in complete(folder) if path <= final and _key(path) == state.get("key")]
    for old in set(complete(folder)) - set(ours[-keep:]):       # a newer one did not verify, or we would not be here
        files.discard(old)
    return final


def _make_room(final):
    """Take away a checkpoint of another key or a damaged one; one whose list is damaged may be a user's, and moves."""
    files.discard(final)
    if final.exists():
        names = (final.with_name(f"{final.name}.damaged{n or ''}") for n in count())
        final.rename(next(name for name in names if not name.exists()))


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
    state = json.loads((newest[0] / STATE).read_text())
    return state.get("finished", False) and key in (None, state.get("key"))


def latest(folder: Path, key: str | None = None) -> tuple[int, dict[str, dict], dict] | None:
    """Newest checkpoint whose files are as they were written: (step, tensors, state), or None.

    Args:
        key: only checkpoints with this "key" in their state count; None takes any.
    """
    for path in reversed(complete(folder)):
        if key in (None, _key(path)) and verifies(path):
            step = int(path.name.split("-")[1])
            tensors = {}
            for file in sorted(path.glob("*.safetensors")):
                tensors.setdefault(file.stem.partition("-")[0], {}).update(load_file(file))
            return step, tensors, json.loads((path / STATE).read_text())
    return None


def complete(folder: Path) -> list[Path]:
    """The renamed (not necessarily sound) checkpoints below `folder`, oldest first."""
    return sorted(path for path in Path(folder).glob("step-*") if NAME.fullmatch(path.name))


def _key(path):
    """The key of a checkpoint, None when it has none or cannot be read."""
    try:
        return json.loads((path / STATE).read_text()).get("key")
    except (OSError, ValueError, AttributeError):
        return None


def verifies(path: Path) -> bool:
    """True when the state and every other file of a checkpoint are there as they were written."""
    return (path / STATE).is_file() and not marks.foreign(path) and not marks.changed(path)


def _parts(group: dict) -> list[list[str]]:
    """Names of a group in their order, in parts of about PART bytes."""
    parts = [[]]
    held = 0
    for name, tensor in group.items():
        if held >= PART:
            parts.append([])
            held = 0
        parts[-1].append(name)
        held += tensor.nbytes
    return parts
