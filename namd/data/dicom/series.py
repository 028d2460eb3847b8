"""A folder of DICOM files to one checked series, by headers alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namd.data.dicom.header import Header, folders, is_dicom, regular_files
from namd.data.dicom.pixels import read_hu, resample_crop
from namd.data.refused import RefusedError

MAX_GAP_SPREAD_MM, MIN_AXIAL_COSINE = 0.1, 0.999
SPACING_MM, MAX_THICKNESS_MM, MAX_POSITION_MM = (0.01, 10), 1000, 100_000      # what a CT scanner can mean


@dataclass(frozen=True)
class Centre:
    """Where one list puts one nodule in one year: a slice number and pixel, or a point in mm."""

    source: str                         # nlstx or luna25
    lesion: int                         # the list's own identity over the years
    number: int | None                  # sct_ab_num
    uid: str                            # SeriesInstanceUID
    malignant: bool | None
    repeated: bool
    instance: int | None = None         # InstanceNumber
    pixel: tuple[float, float] | None = None
    point: tuple[float, float, float] | None = None


@dataclass
class Slice:
    """One file of a series: where it lies (mm, DICOM patient axes) and how its rows and columns run."""

    path: str
    sop_uid: str
    instance: int | None
    origin: np.ndarray      # (3,) mm, centre of the first pixel
    axes: np.ndarray        # (2, 3) direction of increasing column, of increasing row
    spacing: float          # mm
    along: float            # mm along the slice normal


@dataclass
class Series:
    """A checked axial CT series, slices ordered by position along the normal."""

    uid: str
    patient_id: str
    study_date: str
    kernel: str
    manufacturer: str
    thickness: float | None
    slices: list[Slice]


def find_series(root) -> list[str]:
    """Folders below `root` that hold DICOM files, sorted; names mean nothing, and links to folders are followed."""
    return sorted(folder for folder, _ in folders(root) if next(_dicom_files(folder), None))


def _dicom_files(folder):
    """DICOM files of a folder in the order of names; what cannot be opened is passed over."""
    for path in regular_files(folder):
        try:
            if is_dicom(path):
                yield path
        except OSError:
            continue


def series_uid(folder) -> str:
    """SeriesInstanceUID of the first axial CT image of a folder, else of the first DICOM file that can be read."""
    other = ""
    for path in _dicom_files(folder):
        try:
            header = Header(path)
        except RefusedError:
            continue
        if header.is_axial_ct:
            return header.stored("SeriesInstanceUID")
        other = other or header.stored("SeriesInstanceUID")
    return other


def read_series(folder) -> Series:
    """Headers of all files of a folder, checked and ordered by position (image position . slice normal).

    Raises:
        RefusedError: E15 to E18, E20 to E23; the sentence names the folder's own values.

    Source: ours, because neither file names nor InstanceNumber give the order of slices in space.
    """
    headers = [header for header in _headers(folder) if header.is_axial_ct]
    if not headers:
        raise RefusedError("E15", f"{Path(folder).name} holds no axial CT image (localizers are not read)")
    uids = sorted({header.stored("SeriesInstanceUID") for header in headers})
    if len(uids) > 1 or not uids[0]:
        raise RefusedError("E16", f"{Path(folder).name} holds {len(uids)} SeriesInstanceUIDs ({', '.join(uids[:3])}); "
                             "give each series a folder of its own")
    slices = sorted((_slice(header) for header in headers), key=lambda item: item.along)
    _check_slices(slices)
    first = headers[0]
    return Series(uids[0], *(first.text(name) for name in ("PatientID", "StudyDate", "ConvolutionKernel",
                                                           "Manufacturer")),
                  first.number("SliceThickness", 0, MAX_THICKNESS_MM), slices)


def _headers(folder) -> list[Header]:
    """The header of every DICOM file of a folder."""
    try:
        return [Header(path) for path in regular_files(folder) if is_dicom(path)]
    except OSError as error:                                          # a slice left out would pass unnoticed
        raise RefusedError("E23", f"{Path(error.filename or folder).name} cannot be opened ({error.strerror})"
                           ) from error


def _slice(header: Header) -> Slice:
    """Geometry of one file."""
    if header.number("NumberOfFrames", 1):
        raise RefusedError("E23", f"{header.name} holds several frames; export the series as one file a slice")
    axes = header.numbers("ImageOrientationPatient", 6, "E20").reshape(2, 3)
    origin, normal = header.numbers("ImagePositionPatient", 3, "E20"), np.cross(*axes)
    if np.abs(origin).max() > MAX_POSITION_MM or np.abs((axes**2).sum(1) - 1).max() > 0.02:
        raise RefusedError("E20", f"{header.name} lies at {origin} mm along {axes.tolist()}, which is no position")
    if min(abs(normal[2]), abs(axes[0, 0])) < MIN_AXIAL_COSINE:
        angle = np.degrees(np.arccos(min(abs(normal[2]), abs(axes[0, 0]), 1)))
        raise RefusedError("E20", f"{header.name} is turned by {angle:.1f} degrees; only axial slices are read")
    spacing = header.numbers("PixelSpacing", 2, "E22")
    low, high = SPACING_MM
    if not low <= min(spacing) <= high or abs(spacing[0] - spacing[1]) > 1e-4:
        raise RefusedError("E22", f"{header.name} has PixelSpacing {spacing.tolist()}, not two equal numbers of "
                                  f"{low} to {high} mm")
    return Slice(header.path, header.stored("SOPInstanceUID"), header.instance, origin, axes,
                 float(spacing[0]), float(origin @ normal))


def _check_slices(slices) -> None:
    """No slice twice, one orientation, one pixel size."""
    if len({item.sop_uid for item in slices}) < len(slices):
        raise RefusedError("E18", f"a SOPInstanceUID occurs twice among {len(slices)} slices")
    along = np.array([item.along for item in slices])
    if len(along) > 1 and np.diff(along).min() < 0.01:
        raise RefusedError("E18", f"two slices lie at {along[np.diff(along).argmin()]:.2f} mm along the normal")
    if np.ptp([item.spacing for item in slices]) > 1e-4 or np.ptp([item.axes for item in slices], axis=0).max() > 1e-3:
        raise RefusedError("E22", "PixelSpacing or orientation changes within the series")


def find_instance(series: Series, instance: int) -> int:
    """Place, in order of position, of the slice with this InstanceNumber (NLST's sct_slice_num)."""
    found = [i for i, item in enumerate(series.slices) if item.instance == instance]
    if len(found) != 1:
        numbers = sorted(item.instance for item in series.slices if item.instance is not None)
        raise RefusedError("E24", f"{len(found)} slices have InstanceNumber {instance}; the series holds "
                             f"{numbers[0] if numbers else 'none'} to {numbers[-1] if numbers else 'none'}")
    return found[0]


def find_position(series: Series, point_mm) -> tuple[int, tuple[float, float]]:
    """Place of the slice nearest to a point (x, y, z) in mm, and the point's pixel (column, row) in it."""
    normal = np.cross(*series.slices[0].axes)
    along = np.array([item.along for item in series.slices])
    distance = np.abs(along - np.asarray(point_mm) @ normal)
    i = int(distance.argmin())
    reach = np.diff(along).max() / 2 if len(along) > 1 else (series.thickness or 0) / 2
    if distance[i] > reach + 0.01:
        raise RefusedError("E24", f"the centre lies {distance[i]:.1f} mm from the nearest slice")
    item = series.slices[i]
    column, row = item.axes @ (np.asarray(point_mm) - item.origin) / item.spacing
    return i, (float(column), float(row))


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


def read_crop(series: Series, i: int, centre_px) -> tuple[np.ndarray, np.ndarray]:
    """Crop of slice i around a stored pixel (column, row), and that point in mm (x, y, z).

    Rows always run to the patient's back and columns to the left, however the file stores them.
    """
    item, centre = series.slices[i], np.array(centre_px, dtype=float)
    hu = read_hu(item.path)
    point = item.origin + item.spacing * (centre @ item.axes)
    for axis, direction in ((0, item.axes[0, 0]), (1, item.axes[1, 1])):
        if direction < 0:
            hu, centre[axis] = np.flip(hu, 1 - axis), hu.shape[1 - axis] - 1 - centre[axis]
    return resample_crop(hu, item.spacing, centre), point


