"""What lies in a delivery and is not read: by name and place, with a word on what to do where that helps."""

import os
from collections import Counter
from pathlib import Path

from namd.data.dicom.series import FILE_NAMES, SeriesIndex
from namd.data.folders import folders, packed_and_lost
from namd.data.nlst.links import Link
from namd.data.nlst.tables import SHEETS
from namd.data.refused import one_line

AT_MOST = 5                     # folders of one kind that are named


def lines(root: Path, index: SeriesIndex, linked: list[Link]) -> list[str]:
    """One line for each kind of thing below `root` that 01 passes over.

    Args:
        index: of the series; linked: the nodules whose series are read.
    """
    wanted = {link.start.uid for link in linked} | {link.end.uid for link in linked}
    unlisted = [places[0] for uid, places in index.items() if uid not in wanted]
    said = []
    if unlisted:
        said.append(f"{len(unlisted)} series that no linked nodule lies in, e.g. {_below(root, min(unlisted))}")
    if index.nameless:
        said.append(f"{len(index.nameless)} folders of DICOM files without a SeriesInstanceUID, e.g. "
                    f"{_below(root, min(index.nameless))}")
    packed = packed_and_lost(root)
    said += [f"{what}: unpack or link it anew" for what in packed[:AT_MOST]]
    if len(packed) > AT_MOST:
        said.append(f"and archives or lost links in {len(packed) - AT_MOST} more folders")
    return said + _by_name(root)


def _by_name(root: Path) -> list[str]:
    """Files that are passed over for their names, or for holding nothing."""
    found = Counter()
    example = {}
    for folder, names in folders(root):
        for name in sorted(names):
            what = _kind(folder, name, is_top=Path(folder) == root)
            if what:
                found[what] += 1
                example.setdefault(what, _below(root, os.path.join(folder, name)))
    return [f"{n} x {what}, e.g. {example[what]}" for what, n in found.items()]


def _kind(folder: str, name: str, is_top: bool) -> str:
    """What a file is that is passed over for its name, or because it is empty and not called a slice; "" for others."""
    if name.upper() == "DICOMDIR":
        return "index of a medium (DICOMDIR), which is not needed"
    if name.lower().endswith(SHEETS):
        return "table in another form than CSV: export it as comma-separated UTF-8 text"
    if name.lower().endswith(".csv") and not is_top:
        return "CSV file in a folder below: tables are read beside each other, at the top"
    if not name.lower().endswith(FILE_NAMES) and _is_empty(os.path.join(folder, name)):
        return "empty file: if it is a slice, copy it again"
    return ""


def _is_empty(path: str) -> bool:
    """Whether a file is there and holds nothing."""
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _below(root: Path, path) -> str:
    """A path as it lies below `root`."""
    return one_line(os.path.relpath(path, root))
