"""What is this program's: each folder it writes in keeps a list `.namd` of its files, with their sums.

The list has the form of `sha256sum`. Nothing is replaced unless it stands there as it is: what is not there, or has
another sum, was written or changed by somebody else. It also tells a damaged file from a sound one.
"""

import fcntl
import hashlib
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from namd.ground.errors import UserError

LIST = ".namd"
ASIDE = re.compile(r"\.(?:tmp|old|lock)-[0-9a-f]{8}-\w{8}(?:-.*)?")      # what a writer makes on its way


def begin(folder) -> Path:
    """Make `folder` for this program, or go on in one that it has begun; returns it.

    Raises:
        UserError: it cannot be made or written, or it holds files and no list of ours.

    Source: ours, because a run_name may be the name of somebody's own folder.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = next((path for path in folder.iterdir() if path.name != LIST), None)
        if held and not (folder / LIST).is_file():
            raise UserError(f"{folder} holds {held.name} and was begun by somebody else, or by an older version of this"
                            " program: nothing in it is touched; choose another run_name, or move that folder away.")
        (folder / LIST).open("a").close()
    except OSError as error:
        raise UserError(f"Nothing can be written to {folder} ({error.strerror}): give the environment variable"
                        " NAMD_OUTPUTS a folder that you may write to.") from None
    return folder


def only_ours(path) -> None:
    """Refuse to replace or remove `path`, a file, a folder or nothing, when part of it is not ours.

    Raises:
        UserError: it is a link, or there is a file that this program did not write, or not as it is now.

    Source: ours, because nothing of a user's may be lost, and a result may have been edited by hand.
    """
    lists = cache(_read)
    for file in _below(Path(path)):
        if file.is_symlink() or sha256(file) not in _sums(file, lists):
            raise UserError(f"{file} was not written by this program, or was changed or damaged since, so it is not"
                            " replaced: move it away or delete it, or choose another name, and start again.")


def foreign(path) -> Path | None:
    """The first file or link at or below `path` that no list of ours names, whatever the named ones hold by now."""
    lists = cache(_read)
    for file in _below(Path(path)):
        if file.is_symlink() or not _sums(file, lists):
            return file
    return None


def changed(path) -> Path | None:
    """The first file at or below `path` that is not as this program wrote it; files it did not write do not count."""
    path = Path(path)
    lists = cache(_read)
    inside = [path / name for name in lists(path / LIST)] if path.is_dir() else []
    for file in (path, *(inside or _below(path))):
        sums = _sums(file, lists)
        if sums and not (file.is_file() and sha256(file) in sums):
            return file
    return None


def missing(folder) -> Path | None:
    """The first file that this program wrote below `folder`, a folder or a file of ours, and that is not there."""
    folder = Path(folder)
    names = _read(folder / LIST) if folder.is_dir() else {}
    return next((folder / name for name in names if not (folder / name).exists()), None)


def sign_folder(folder) -> None:
    """Write the list of all that `folder` holds; whoever made it has just finished."""
    lines = [_line(file, file.relative_to(folder)) for file in _below(folder)]
    (folder / LIST).write_text("".join(lines), encoding="utf-8")


def sign_file(path, content) -> None:
    """Enter `path` with the sum of the file `content`, which is about to be renamed to it; older sums stay valid."""
    line = _line(content, path.name)
    with open(path.with_name(LIST), "a+", encoding="utf-8") as handle:
        with suppress(OSError):                         # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        before = handle.read()
        if line not in before.splitlines(keepends=True):
            handle.write(line if before[-1:] in ("", "\n") else "\n" + line)     # a kill may have torn the last one
            handle.flush()
            os.fsync(handle.fileno())


def sha256(file) -> str:
    """Hex digest of a file's bytes; empty for what is no file or cannot be read."""
    if not Path(file).is_file():        # reading a pipe would wait for ever
        return ""
    try:
        with open(file, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return ""


def _below(path) -> list[Path]:
    """`path` itself, or every file and link below it but our lists and what writers make on their way, sorted."""
    if path.is_symlink() or not path.is_dir():
        return [path] if path.is_symlink() or path.exists() else []
    found = []
    for file in path.rglob("*"):
        is_folder = file.is_dir() and not file.is_symlink()
        on_its_way = any(ASIDE.fullmatch(part) for part in file.relative_to(path).parts)
        if not is_folder and not on_its_way and file.name != LIST:
            found.append(file)
    return sorted(found)


def _line(file, name) -> str:
    return f"{sha256(file)}  {Path(name).as_posix()}\n"


def _read(path) -> dict[str, set[str]]:
    """{name: its sums} of a list; a torn line names nothing."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        sum_, _, name = line.partition("  ")
        found.setdefault(name, set()).add(sum_)
    return found


def _sums(file, lists) -> set[str]:
    """The sums that `file` may have by the lists of the folders above it."""
    found = set()
    for folder in file.parents:
        found |= lists(folder / LIST).get(file.relative_to(folder).as_posix(), set())
    return found
