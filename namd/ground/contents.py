"""What lies in a run, named by its content, whenever it was written."""

import hashlib
import json
from pathlib import Path

from namd.ground.marks import LIST, sha256
from namd.ground.provenance import prepared
from namd.ground.reading import read_json

FOUND = ("parameters", "data", "numbers")   # of a notebook's stamp: what it found, not how long it took


class Contents:
    """Digests of files and folders; a file whose size and time are as recorded is not read again.

    Args:
        known: {file: [digest, size, time in ns]} as `state` gave them.
    """

    def __init__(self, known=None):
        self.known = dict(known or {})

    def digest(self, path):
        """Names the content of an artefact; "" for what is not there.

        Of a cohort only the files that notebooks read count, of a stamp (runs/NN.json) only what the notebook found,
        of another folder only what this program wrote there.
        """
        path = Path(path)
        if _is_stamp(path):
            stamp = read_json(path, path.stem)
            return _sha([stamp.get(name) for name in FOUND])
        sums = prepared(path)
        if sums is not None:
            return _sha(sums)
        if path.is_dir():
            return _sha({file.relative_to(path).as_posix(): self._sum(file) for file in files(path)})
        return self._sum(path)

    def state(self, file):
        """[digest, size, time] of a file, by which `same` knows it again."""
        status = file.stat()
        return [self.digest(file), status.st_size, status.st_mtime_ns]

    def same(self, file, state):
        """Whether `file` has the content of a recorded state."""
        digest, *told = state
        return _told(file) == told or self.digest(file) == digest

    def _sum(self, file):
        told = _told(file)
        if told is None:
            return ""
        digest, *then = self.known.get(file, (None,))
        if then != told:
            digest = sha256(file)
            self.known[file] = [digest, *told]
        return digest


def files(folder):
    """The files below `folder` that its own list names, or all but hidden ones where it has none."""
    mark = folder / LIST
    if mark.is_file():
        names = {line.partition("  ")[2] for line in mark.read_text(errors="replace").splitlines()}
        return sorted(folder / name for name in names if (folder / name).is_file())
    inside = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in inside if not _hidden(file.relative_to(folder)))


def _hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _is_stamp(path):
    return path.parent.name == "runs" and path.suffix == ".json" and path.is_file()


def _told(file):
    """[size, time in ns] of a file, None without one."""
    try:
        status = file.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _sha(what):
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
