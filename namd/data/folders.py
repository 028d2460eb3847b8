"""The files of a delivery, whatever stands beside them: links that loop, pipes, names that lead nowhere."""

import os
from collections import Counter

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".iso")


def folders(root):
    """`root` and every folder below it in the order of names, with the names of its files; a linked one counts too.

    Source: ours, because images often lie on another disk, behind a link; one that leads back is not walked again.
    """
    seen = set()
    for folder, below, names in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            below.clear()
            continue
        seen.add(place)
        below.sort()
        yield folder, names


def regular_files(folder) -> list[str]:
    """Paths of the ordinary files of a folder, sorted; hidden names, pipes, and links that lead nowhere are not.

    Source: ours, because not every name is a file that can be read, and a pipe would be waited for without end.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and _is_file(entry)]
    except OSError:
        return []
    return [os.path.join(folder, name) for name in sorted(names)]


def _is_file(entry) -> bool:
    """`entry.is_file()`, also where a link loops or the entry is gone."""
    try:
        return entry.is_file()
    except OSError:
        return False


def packed_or_lost(root, at_most=3) -> str:
    """What `packed_and_lost` finds, as one phrase of at most so many parts; empty for nothing."""
    said = packed_and_lost(root)
    return " or ".join(said[:at_most]) + (f" or one of {len(said) - at_most} more" if len(said) > at_most else "")


def packed_and_lost(root) -> list[str]:
    """Archives and links that lead nowhere below `root`, in words, those of each folder as one.

    Source: ours, because images that lie there packed, or behind a link to a disk that is not mounted, are not missing.
    """
    found = Counter()
    example = {}
    for folder, names in folders(root):
        links = [name for name in os.listdir(folder) if _leads_nowhere(os.path.join(folder, name))]
        packed = [name for name in names if name.lower().endswith(ARCHIVES) and name not in links]
        for what, which in (("packed", packed), ("behind a link that leads nowhere", links)):
            if which:
                found[folder, what] = len(which)
                example[folder, what] = os.path.relpath(os.path.join(folder, min(which)), root)
    return [f"{example[key]} ({key[1]}{f', one of {n} there' if n > 1 else ''})" for key, n in found.items()]


def _leads_nowhere(path) -> bool:
    """Whether a name is a link to what is not there."""
    return os.path.islink(path) and not os.path.exists(path)
