"""One nodule of one CT series: from a folder and a point in mm to the crop the models see."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namd.data.dicom.geometry import extent, find_position, mm_to_slice, slice_gap
from namd.data.dicom.pixels import read_crop
from namd.data.dicom.series import Series, find_series, read_series
from namd.data.refused import RefusedError, one_line, only_refusals
from namd.ground.errors import UserError

LUNG_HU = -700                                  # a nodule, ground glass too, has a pixel above it, and so has a vessel


@dataclass
class Nodule:
    """A crop around a point, and where it was cut.

    `crop` is (128, 128) int16 HU at 0.6 mm; `pixel` (column, row) of the point in slice `place`; `off_slice` mm from
    the point to that slice; `gap` mm between slices, None for a single one.
    """

    series: Series
    point: tuple[float, float, float]
    place: int
    pixel: tuple[float, float]
    off_slice: float
    gap: float | None
    crop: np.ndarray


def read_nodule_at(folder, point) -> Nodule:
    """Crop of a CT series around a point.

    Args:
        folder: holds the DICOM files of one series.
        point: (x, y, z) mm, DICOM patient coordinates (left, back, head).

    Raises:
        UserError: no such folder, or a point outside the volume (the sentence gives its extents).
        RefusedError: E15 to E24, as for a cohort.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: give the folder that holds the DICOM files of one CT series.")
    with only_refusals(f"the series in {folder.name}"):
        return _nodule(_series(folder), point)


def _nodule(series: Series, point) -> Nodule:
    """The crop of a checked series around a point inside it."""
    low, high = extent(series)
    if (np.asarray(point) < low).any() or (np.asarray(point) > high).any():
        reach = ", ".join(f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in zip("xyz", low, high, strict=True))
        raise UserError(f"The centre ({', '.join(f'{value:g}' for value in point)}) lies outside the volume, which "
                        f"reaches {reach} mm (DICOM: x to the patient's left, y to the back, z to the head).")
    place, pixel = find_position(series, point)
    crop, _ = read_crop(series, place, pixel)
    refuse_air(crop, Path(series.slices[place].path).name)
    return Nodule(series=series, point=tuple(point), place=place, pixel=pixel,
                  off_slice=mm_to_slice(series, place, point), gap=slice_gap(series, place), crop=crop)


def refuse_air(crop: np.ndarray, what: str) -> None:
    """Refuse a crop that shows air and lung alone.

    Args:
        crop: (128, 128) int16 HU; what: the file or series it is of.

    Raises:
        RefusedError: E21 where no pixel reaches -700 HU, as with a wrong slope or pixels of 8 bits.

    Source: ours, because an empty picture looks to a model like any other crop.
    """
    highest = int(crop.max())
    if highest < LUNG_HU:
        raise RefusedError("E21", f"{what} shows no tissue around the nodule: no pixel is above {highest} HU, as with "
                                  "a wrong RescaleSlope, blank pixels or a point in the air")


def _series(folder: Path) -> Series:
    """The series of a folder; where it has none, the sentence names series folders below."""
    try:
        return read_series(folder)
    except RefusedError as error:
        below = [one_line(Path(found).relative_to(folder)) for found in find_series(folder) if Path(found) != folder]
        if error.code != "E15" or not below:
            raise
        raise UserError(f"{folder} holds no CT image itself; name one folder below it: {', '.join(below[:5])}"
                        f"{' ...' if len(below) > 5 else ''}.") from error
