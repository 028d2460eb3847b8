"""The files of a delivery, whatever stands beside them: links that loop, pipes, names that lead nowhere."""

import os


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
