"""Files and folders that are whole or not there, whatever a kill or a full disk does to their writer."""

import ctypes
import errno
import fcntl
import json
import os
import platform
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError

from namd.ground import marks
from namd.ground.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
BOOT = Path("/proc/sys/kernel/random/boot_id")
MANY = 100
LONG_DEAD = 7 * 24 * 3600       # seconds after which another machine's writer is taken for dead
HERE = -100                     # AT_FDCWD of renameat2
EXCHANGE = 2                    # RENAME_EXCHANGE of renameat2


@contextmanager
def replacing(path):
    """Yield a path beside `path`; the file or folder that the block writes there is synced and renamed to `path`.

    A reader sees the old one or the whole new one. (Where the system cannot exchange two folders in one step, the
    folder is missing for an instant; the next writer puts back the old one if that instant was the last.)

    Args:
        path: its folder is made when it is missing.

    Raises:
        UserError: what is at `path` is not this program's (`marks.only_ours`), or the disk is full; it stays.

    Source: ours, because a killed writer must not leave half a file that looks like a whole one.
    """
    path = Path(path)
    with or_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        marks.only_ours(path)
        with _name(path.parent) as name:
            aside = path.with_name(f".tmp-{name}-{path.name}")
            before = path.with_name(f".old-{name}-{path.name}")
            try:
                yield aside
                _sign(aside, path)
                sync(aside)
                marks.only_ours(path)           # the block may have taken hours
                _put(aside, path, before)
            finally:
                remove(aside)
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
    """Delete a file or a folder with all it holds, if it is there. Only for what this program made.

    Source: ours, because half a folder, as a kill would leave it, has lost the list that says it is ours.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if marks.ASIDE.fullmatch(path.name):
        shutil.rmtree(path)
        return
    with _name(path.parent) as name:
        aside = path.with_name(f".tmp-{name}-{path.name}")
        os.replace(path, aside)
        shutil.rmtree(aside)


def discard(path):
    """`remove` what this program made and needs no more, damaged or not; it stays where a user has put a file."""
    if not marks.foreign(path):
        remove(path)


def sync(path):
    """Flush a file, or a folder and all below it, to the disk; many files together, which is many times faster."""
    parts = [path, *path.rglob("*")]
    if len(parts) > MANY:
        os.sync()
        return
    for part in reversed(parts):
        _fsync(part)


def alive(pid):
    """Whether a process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sign(aside, path):
    """Enter what is about to be renamed to `path` in the list that says it is ours."""
    if aside.is_dir():
        marks.sign_folder(aside)
    else:
        marks.sign_file(path, aside)


def _put(aside, path, before):
    """Rename `aside` to `path`; what was at `path` is removed when the new one is there."""
    takes_a_folder = path.is_dir() or aside.is_dir() and path.exists()
    if not takes_a_folder:
        os.replace(aside, path)
        return
    if _exchange(aside, path):
        return                          # `aside` is the old one now, and the caller removes it
    os.replace(path, before)
    try:
        os.replace(aside, path)
    except BaseException:
        os.replace(before, path)
        raise
    remove(before)


def _exchange(one, other):
    """Swap two names in one step; False where the system cannot."""
    try:
        swap = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    return swap(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0


@contextmanager
def _name(folder):
    """Yield a name for temporary files in `folder` that is a live writer's as long as its lock file is locked.

    Source: ours: a process number names nothing on another host or in another container, and the system frees a
    lock when its process dies.
    """
    name = f"{_machine()}-{secrets.token_hex(4)}"
    lock = folder / f".lock-{name}"
    with open(lock, "w") as handle:
        with suppress(OSError):                         # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield name
        finally:
            lock.unlink(missing_ok=True)


def _machine():
    """Eight letters that all processes share that share a kernel, those of other containers too."""
    told = BOOT.read_text() if BOOT.is_file() else platform.node()
    return sha256(told.encode()).hexdigest()[:8]


def _sweep(folder):
    """Delete what killed writers left in `folder`; a folder they had taken away for its successor is put back."""
    for lock in folder.glob(".lock-*"):
        if not marks.ASIDE.fullmatch(lock.name):
            continue
        name = lock.name.removeprefix(".lock-")
        strays = [lock, *folder.glob(f".tmp-{name}-*"), *folder.glob(f".old-{name}-*")]
        if _is_dead(lock, name, strays):
            _clear(strays, name)


def _is_dead(lock, name, strays):
    """Whether the writer who locked `lock` is gone; one of another machine only after it wrote nothing for a week."""
    try:
        with open(lock) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if name.startswith(_machine()):
            return True
        return time.time() - max(map(_last_change, strays)) > LONG_DEAD
    except OSError:         # it is held, or another process sweeps too
        return False


def _last_change(path):
    """When something at or below `path` was last written, in seconds since 1970."""
    return max(file.lstat().st_mtime for file in (path, *path.rglob("*")))


def _clear(strays, name):
    """Put back the folders among `strays`, delete the rest; the lock last, without which they would not be found."""
    for stray in reversed(strays):
        successor = stray.with_name(stray.name.removeprefix(f".old-{name}-"))
        if successor != stray and not successor.exists():
            os.replace(stray, successor)
        with suppress(FileNotFoundError):
            remove(stray)


def _fsync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path, record):
    """Write `record` as JSON: a reader sees the old file or the new one, never a part."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(record, indent=1, default=_plain) + "\n", encoding="utf-8")


def _plain(value):
    """numpy and torch values as JSON numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
