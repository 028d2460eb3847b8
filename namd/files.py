"""Files and folders that are whole or not there, whatever a kill or a full disk does to their writer."""

import errno
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from namd.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(path):
    """Yield a path beside `path`; the file or folder that the block writes there is synced and renamed to `path`.

    A reader sees the old file or the whole new one; a folder is missing for the instant between two renames.

    Args:
        path: its folder is made when it is missing.

    Raises:
        UserError: the disk is full; what was at `path` stays.

    Source: ours, because a killed writer must not leave half a file that looks like a whole one.
    """
    path = Path(path)
    aside, before = (path.with_name(f".{word}-{os.getpid()}-{path.name}") for word in ("tmp", "old"))
    with or_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        remove(aside)
        try:
            yield aside
            sync(aside)
        except BaseException:
            remove(aside)
            raise
        if path.is_dir():
            os.replace(path, before)
        os.replace(aside, path)
        remove(before)
        _fsync(path.parent)


@contextmanager
def or_disk_full(path):
    """Turn a full disk, met while the block writes `path`, into one sentence.

    Raises:
        UserError: the disk is full or over its quota, or the file larger than the system allows.

    Source: ours, because a full disk is the user's to mend and loses nothing.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        if not says_full(error):
            raise
        raise UserError(f"The disk holding {Path(path).parent} is full or over its quota, so {Path(path).name} was not"
                        " written: free some space and start again; the run goes on from where it was.") from None


def says_full(error):
    """True when `error`, Python's or that of a library in Rust, means that no more can be written."""
    said = re.search(r"(?:Errno|os error|code:) (\d+)", str(error))
    return getattr(error, "errno", None) in FULL or (said is not None and int(said[1]) in FULL)


def remove(path):
    """Delete a file or a folder with all it holds, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path):
    """Flush a file, or a folder and all below it, to the disk."""
    for inner in path.iterdir() if path.is_dir() else ():
        sync(inner)
    _fsync(path)


def _sweep(folder):
    """Delete what killed writers left in `folder`; the name holds the number of its process."""
    for stray in folder.glob(".*"):
        name = re.fullmatch(r"\.(?:tmp|old)-(\d+)-.*", stray.name)
        if name and not alive(int(name[1])):
            remove(stray)


def alive(pid):
    """Whether a process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _fsync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
