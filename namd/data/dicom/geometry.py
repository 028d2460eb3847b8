"""Where things lie in a series: a slice number, a point in mm, the gap between slices, the whole volume."""

import numpy as np

from namd.data.dicom.series import Series
from namd.data.refused import RefusedError

MAX_GAP_SPREAD_MM = 0.1


def find_instance(series: Series, instance: int) -> int:
    """Place, in order of position, of the slice with this InstanceNumber (NLST's sct_slice_num)."""
    found = [i for i, item in enumerate(series.slices) if item.instance == instance]
    numbers = [item.instance for item in series.slices if item.instance is not None]
    n_unknown = len(series.slices) - len(numbers)
    if not found and n_unknown:
        raise RefusedError("E23", f"{n_unknown} of {len(series.slices)} slices have no whole InstanceNumber, by which "
                                  f"slice {instance} would be found; export the series again")
    if len(found) != 1:
        raise RefusedError("E24", f"{len(found)} slices have InstanceNumber {instance}; the series holds "
                                  f"{min(numbers, default='none')} to {max(numbers, default='none')}")
    return found[0]


def find_sop(series: Series, sop_uid: str) -> int:
    """Place, in order of position, of the slice with this SOPInstanceUID."""
    found = [i for i, item in enumerate(series.slices) if item.sop_uid == sop_uid]
    if not found:
        raise RefusedError("E24", f"no slice of series {series.uid} is {sop_uid}")
    return found[0]


def find_position(series: Series, point_mm) -> tuple[int, tuple[float, float]]:
    """Place of the slice nearest to a point (x, y, z) in mm, and the point's pixel (column, row) in it."""
    point = np.asarray(point_mm)
    along = np.array([item.along for item in series.slices])
    distance = np.abs(along - point @ series.slices[0].normal)
    i = int(distance.argmin())
    if distance[i] > _gap_towards(series, i, point @ series.slices[0].normal) / 2 + 0.01:
        raise RefusedError("E24", f"the centre lies {distance[i]:.1f} mm from the nearest slice")
    item = series.slices[i]
    column, row = item.axes @ (point - item.origin) / item.spacing
    return i, (float(column), float(row))


def mm_to_slice(series: Series, i: int, point_mm) -> float:
    """Distance in mm from a point to slice i."""
    item = series.slices[i]
    return abs(float(np.asarray(point_mm) @ item.normal) - item.along)


def slice_gap(series: Series, i: int, reach: int = 2) -> float | None:
    """Distance in mm between the slices around slice i; None for a series of one slice.

    Raises:
        RefusedError: E19 where the gaps within `reach` slices differ by more than 0.1 mm (a slice is missing).
    """
    along = np.array([item.along for item in series.slices[max(0, i - reach):i + reach + 1]])
    gaps = np.diff(along)
    if len(gaps) and np.ptp(gaps) > MAX_GAP_SPREAD_MM:
        raise RefusedError("E19", f"gaps {', '.join(f'{gap:.2f}' for gap in gaps)} mm near the nodule; "
                             f"allowed spread {MAX_GAP_SPREAD_MM} mm")
    return float(gaps.mean()) if len(gaps) else None


def extent(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x, y, z (mm) of the volume, to the outer faces of its voxels."""
    first = series.slices[0]
    last = series.slices[-1]
    half = 0.5 * (first.spacing * first.axes.sum(0) + _slab(series) * first.normal)
    rows, columns = first.shape
    far = last.origin + first.spacing * (np.array([columns - 1, rows - 1]) @ first.axes)
    corners = np.stack([first.origin - half, far + half])
    return corners.min(0), corners.max(0)


def _gap_towards(series: Series, i: int, along: float) -> float:
    """Gap in mm from slice i to its neighbour on the side of a point; at an end of the series to its only one.

    Source: ours, because a series of which only parts are there has wide gaps that say nothing of its ends.
    """
    if len(series.slices) == 1:
        return _slab(series)
    side = 1 if along > series.slices[i].along else -1
    other = i + side if 0 <= i + side < len(series.slices) else i - side
    return abs(series.slices[other].along - series.slices[i].along)


def _slab(series: Series) -> float:
    """Thickness in mm that a slice stands for: the widest gap, of a single slice its own thickness where known."""
    if len(series.slices) == 1:
        return series.thickness or 0.0
    return np.diff([item.along for item in series.slices]).max()
