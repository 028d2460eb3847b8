"""Crops of many nodules, read by several processes and streamed to one file."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namd.data.codes import FIRST_STUDY_YEAR
from namd.data.dicom.geometry import find_instance, find_position, find_sop, slice_gap
from namd.data.dicom.pixels import place_crop, read_crop
from namd.data.dicom.series import Series, read_series
from namd.data.images import PIXELS
from namd.data.nlst.centres import Listed
from namd.data.refused import RefusedError, only_refusals

FETCH = "fetch it into a folder of its own"                 # what to do about a series that is not there
PAIRS_PER_WORKER = 100                  # fewer than this and another process costs more than it saves


@dataclass(frozen=True)
class Scan:
    """One scan to read: where it lies, whose and of which year it must be, and the place of the nodule in it."""

    folders: list[str]                  # that hold the centre's series; one is right
    pid: int
    year: int
    centre: Listed
    unread: str = ""                    # what lies in the delivery and may be the series, in words


@dataclass(frozen=True)
class PairRead:
    """What the two scans of a nodule gave: crops and what the series say of themselves, or the refusal of one."""

    crops: np.ndarray | None = None             # (2, 128, 128) int16 HU; None also where headers alone were read
    scans: tuple[dict, dict] | None = None      # the scan columns of the contract at T0 and T1
    refusal: RefusedError | None = None


def n_workers(wanted: int, n_pairs: int) -> int:
    """Reader processes: one a core where `wanted` is 0, never more than the work is worth."""
    return max(1, min(wanted or os.cpu_count(), n_pairs // PAIRS_PER_WORKER))


def read_scan(scan: Scan, open_series=read_series) -> tuple[np.ndarray, dict]:
    """Crop around the nodule of a scan, and what the series says about it.

    Args:
        open_series: `read_series`, or the same with a memory.

    Returns:
        (128, 128) int16 HU, and the scan columns of the contract.

    Raises:
        RefusedError: E15 to E24.
    """
    series, i, pixel, gap = _found(scan, open_series)
    crop, point = read_crop(series, i, pixel)
    return crop, scan_columns(series, i, point, gap)


def see_scan(scan: Scan, open_series=read_series) -> dict:
    """The scan columns of `read_scan` by headers alone; what only the pixels would tell (E21, E23) is not refused."""
    series, i, pixel, gap = _found(scan, open_series)
    return scan_columns(series, i, place_crop(series, i, pixel), gap)


def _found(scan: Scan, open_series) -> tuple[Series, int, tuple[float, float], float | None]:
    """The series of a scan, the place of the nodule's slice in it, the nodule's pixel there, the gap around."""
    uid = scan.centre.uid
    if not scan.folders:
        perhaps = f", unless it is {scan.unread}" if scan.unread else ""
        raise RefusedError("E15", f"series {uid} is not in the delivery{perhaps}; {FETCH}")
    if len(scan.folders) > 1:
        raise RefusedError("E16", f"series {uid} lies in {len(scan.folders)} folders of the delivery; leave one")
    series = open_series(scan.folders[0])
    _check_whose(series, scan.pid, scan.year)
    i, pixel = _find(series, scan.centre)
    return series, i, pixel, slice_gap(series, i)


def scan_columns(series: Series, i: int, point, gap: float | None) -> dict:
    """The scan columns of the contract for a crop of slice i around a point (x, y, z), mm; `gap` as of `slice_gap`."""
    item = series.slices[i]
    return dict(series_uid=series.uid, sop_uid=item.sop_uid, instance=item.instance, center_x_mm=point[0],
                center_y_mm=point[1], center_z_mm=point[2], spacing_mm=item.spacing, thickness_mm=series.thickness,
                gap_mm=gap, kernel=series.kernel, manufacturer=series.manufacturer, body_part=series.body_part,
                lossy=series.lossy, padding=series.padding)


def _check_whose(series: Series, pid: int, year: int) -> None:
    """Refuse a series of another participant or study year."""
    patient = series.patient_id.strip()
    if patient != str(pid) or series.study_date[:4] != str(FIRST_STUDY_YEAR + year):
        raise RefusedError("E17", f"series {series.uid} is of patient {patient or 'unknown'}, study date "
                                  f"{series.study_date or 'unknown'}; expected {pid} in {FIRST_STUDY_YEAR + year}")


def _find(series: Series, centre: Listed) -> tuple[int, tuple[float, float]]:
    """Place of the centre's slice in the series, and the centre's pixel (column, row) in it."""
    if centre.sop is not None:
        return find_sop(series, centre.sop), centre.pixel
    if centre.point is None:
        return find_instance(series, int(centre.instance)), centre.pixel
    return find_position(series, centre.point)


def read_pair(first: Scan, second: Scan, open_series=read_series) -> PairRead:
    """What the scans of one nodule at T0 and T1 give.

    Source: ours; whatever one file makes a library raise costs one nodule, never the cohort.
    """
    def crops_of():
        x1, scan1 = read_scan(first, open_series)
        x2, scan2 = read_scan(second, open_series)
        return PairRead(crops=np.stack([x1, x2]), scans=(scan1, scan2))

    return _or_refusal(crops_of)


def see_pair(first: Scan, second: Scan, open_series=read_series) -> PairRead:
    """`read_pair` by headers alone, without crops."""
    return _or_refusal(lambda: PairRead(scans=(see_scan(first, open_series), see_scan(second, open_series))))


def _or_refusal(read) -> PairRead:
    """What `read` gives, or why it gives nothing."""
    try:
        with only_refusals("the series of the nodule"):
            return read()
    except RefusedError as error:
        return PairRead(refusal=error)


class CropFile:
    """A `.npy` of crops written as they arrive, so that memory does not grow with the number of series."""

    def __init__(self, path: Path):
        self.n_crops = 0
        self._file = open(path, "wb")
        self._header()

    def __enter__(self) -> "CropFile":
        return self

    def __exit__(self, *raised) -> None:
        """Write the final header."""
        self._header()
        self._file.close()

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
