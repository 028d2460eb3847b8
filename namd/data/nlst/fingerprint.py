"""Whether a delivery is still the one a cohort was built from, without opening its files."""

import hashlib
import os
from pathlib import Path

from namd.data.folders import folders

RECORD = "delivery.sha256"      # in the folder of the cohort


def fingerprint(delivery) -> str:
    """sha256 over name, size and times of every file below `delivery`: seconds for 100,000 files.

    A copy of a delivery differs, and its cohort is built again to the same bytes; a link that leads nowhere counts by
    its name.

    Source: ours, because reading a trial's images only to learn that they are the same takes an hour.
    """
    found = hashlib.sha256()
    for folder, names in folders(delivery):
        for path in (os.path.join(folder, name) for name in sorted(names)):
            found.update(repr((os.path.relpath(path, delivery), *_state(path))).encode())
    return found.hexdigest()


def _state(path):
    """Size and times of a file; its inode's time too, for a writer can set the other back."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def record(cohort, found) -> None:
    """Write what `fingerprint` found before the cohort in the folder `cohort` was built."""
    Path(cohort, RECORD).write_text(found + "\n")


def unchanged(cohort, delivery) -> bool:
    """Whether the cohort in the folder `cohort` was built from `delivery` as it is; a delivery out of reach counts."""
    kept = Path(cohort, RECORD)
    if not kept.is_file():
        return False
    return not Path(delivery).is_dir() or kept.read_bytes().strip() == fingerprint(delivery).encode()
