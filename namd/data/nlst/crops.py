"""Crops of many nodules, read by several processes and streamed to one file."""

import os
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from namd.data.dicom.series import (
    find_instance,
    find_position,
    find_series,
    read_crop,
    read_series,
    series_uid,
    slice_gap,
)
from namd.data.images import PIXELS
from namd.data.refused import RefusedError, only_refusals

PAIRS_PER_WORKER = 100                  # fewer than this and another process costs more than it saves
FIRST_STUDY_YEAR = 1999                 # NLST's shifted dates: 1999 is T0, 2000 T1, 2001 T2


def n_workers(wanted: int, n_pairs: int) -> int:
    """Reader processes: one a core where `wanted` is 0, never more than the work is worth."""
    return max(1, min(wanted or os.cpu_count(), n_pairs // PAIRS_PER_WORKER))


def index_series(root, parallel: Parallel, n_batches: int) -> dict[str, list[str]]:
    """SeriesInstanceUID -> folders below `root` (more than one folder is refused later); nameless ones are left out."""
    folders = find_series(root)
    size = max(1, -(-len(folders) // n_batches))
    uids = parallel(delayed(_uids)(folders[i:i + size]) for i in range(0, len(folders), size))
    index: dict[str, list[str]] = {}
    for folder, uid in zip(folders, (uid for batch in uids for uid in batch), strict=True):
        index.setdefault(uid, []).append(folder)
    index.pop("", None)
    return index


def _uids(folders) -> list[str]:
    """One SeriesInstanceUID a folder."""
    return [series_uid(folder) for folder in folders]


def read_nodule(folders, pid: int, year: int, centre) -> tuple[np.ndarray, dict]:
    """Crop around one centre, and what the series says about it.

    Args:
        folders: the folders that hold the centre's series.
        pid, year: participant and study year the series must belong to.
        centre: a `series.Centre`.

    Returns:
        (128, 128) int16 HU, and the scan columns of the contract.

    Raises:
        RefusedError: E15 to E24.
    """
    if not folders:
        raise RefusedError("E15", f"series {centre.uid} is not in the delivery, or no header of it can be read; "
                                  "fetch it into a folder of its own")
    if len(folders) > 1:
        raise RefusedError("E16", f"series {centre.uid} lies in {len(folders)} folders of the delivery; leave one")
    series = read_series(folders[0])
    date, patient = series.study_date[:4], series.patient_id.strip()
    if patient != str(pid) or date != str(FIRST_STUDY_YEAR + year):
        raise RefusedError("E17", f"series {series.uid} is of patient {patient or 'unknown'}, study date "
                                  f"{series.study_date or 'unknown'}; expected {pid} in {FIRST_STUDY_YEAR + year}")
    if centre.point is None:
        i, pixel = find_instance(series, int(centre.instance)), centre.pixel
    else:
        i, pixel = find_position(series, centre.point)
    gap, item = slice_gap(series, i), series.slices[i]
    crop, point = read_crop(series, i, pixel)
    return crop, dict(series_uid=series.uid, sop_uid=item.sop_uid, instance=item.instance, center_x_mm=point[0],
                      center_y_mm=point[1], center_z_mm=point[2], spacing_mm=item.spacing,
                      thickness_mm=series.thickness, gap_mm=gap, kernel=series.kernel, manufacturer=series.manufacturer)


def read_pairs(jobs) -> list[tuple]:
    """For each (number, T0 request, T1 request): number, crops (2, 128, 128) or None, two dicts or a refusal.

    Source: ours; whatever one file makes a library raise costs one nodule, never the cohort.
    """
    done = []
    for number, *requests in jobs:
        try:
            with only_refusals("the series of the nodule"):
                (x1, scan1), (x2, scan2) = (read_nodule(*request) for request in requests)
            done.append((number, np.stack([x1, x2]), (scan1, scan2)))
        except RefusedError as error:
            done.append((number, None, error))
    return done


class CropFile:
    """A `.npy` of crops written as they arrive, so that memory does not grow with the number of series."""

    def __init__(self, path: Path):
        self.path, self.n_crops = path, 0
        self._file = open(path, "wb")
        self._header()

    def _header(self) -> None:
        """The header for the crops so far; its length never changes (padded to 128 bytes)."""
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, dict(
            descr="<i2", fortran_order=False, shape=(self.n_crops, PIXELS, PIXELS)))

    def append(self, crops: np.ndarray) -> int:
        """Write (n, 128, 128) crops; the row of the first one."""
        self._file.write(np.ascontiguousarray(crops, dtype="<i2").tobytes())
        self.n_crops += len(crops)
        return self.n_crops - len(crops)

    def close(self) -> None:
        """Write the final header."""
        self._header()
        self._file.close()
