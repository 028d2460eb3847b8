"""A folder of DICOM files to one checked series, by headers alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namd.data.dicom.header import Header, is_dicom
from namd.data.folders import folders, regular_files
from namd.data.refused import RefusedError
from namd.ground.workers import in_order

MIN_AXIAL_COSINE = 0.999
SPACING_MM = (0.01, 10)                 # what a CT scanner can mean, here and below
MAX_THICKNESS_MM = 1000
MAX_POSITION_MM = 100_000


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

    @property
    def normal(self) -> np.ndarray:
        """(3,) direction of the slice normal."""
        return np.cross(*self.axes)


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
    return Series(uid=uids[0], patient_id=first.text("PatientID"), study_date=first.text("StudyDate"),
                  kernel=first.text("ConvolutionKernel"), manufacturer=first.text("Manufacturer"),
                  thickness=first.number("SliceThickness", 0, MAX_THICKNESS_MM), slices=slices)


def index_series(root, workers: int) -> dict[str, list[str]]:
    """SeriesInstanceUID -> folders below `root` (more than one folder is refused later); nameless ones are left out."""
    found = find_series(root)
    size = max(1, -(-len(found) // (4 * workers)))
    batches = [found[i:i + size] for i in range(0, len(found), size)]
    read = in_order(_uids, [(batch,) for batch in batches], workers)
    index: dict[str, list[str]] = {}
    for batch, uids in zip(batches, read, strict=True):
        for folder, uid in zip(batch, uids, strict=True):
            index.setdefault(uid, []).append(folder)
    index.pop("", None)
    return index


def _uids(folders) -> list[str]:
    """One SeriesInstanceUID a folder."""
    return [series_uid(folder) for folder in folders]


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
    origin = header.numbers("ImagePositionPatient", 3, "E20")
    if np.abs(origin).max() > MAX_POSITION_MM or np.abs((axes**2).sum(1) - 1).max() > 0.02:
        raise RefusedError("E20", f"{header.name} lies at {origin} mm along {axes.tolist()}, which is no position")
    normal = np.cross(*axes)
    cosine = min(abs(normal[2]), abs(axes[0, 0]), 1)
    if cosine < MIN_AXIAL_COSINE:
        angle = np.degrees(np.arccos(cosine))
        raise RefusedError("E20", f"{header.name} is turned by {angle:.1f} degrees; only axial slices are read")
    spacing = header.numbers("PixelSpacing", 2, "E22")
    low, high = SPACING_MM
    if not low <= min(spacing) <= high or abs(spacing[0] - spacing[1]) > 1e-4:
        raise RefusedError("E22", f"{header.name} has PixelSpacing {spacing.tolist()}, not two equal numbers of "
                                  f"{low} to {high} mm")
    return Slice(path=header.path, sop_uid=header.stored("SOPInstanceUID"), instance=header.instance, origin=origin,
                 axes=axes, spacing=float(spacing[0]), along=float(origin @ normal))


def _check_slices(slices) -> None:
    """No slice twice, one orientation, one pixel size."""
    if len({item.sop_uid for item in slices}) < len(slices):
        raise RefusedError("E18", f"a SOPInstanceUID occurs twice among {len(slices)} slices")
    along = np.array([item.along for item in slices])
    if len(along) > 1 and np.diff(along).min() < 0.01:
        raise RefusedError("E18", f"two slices lie at {along[np.diff(along).argmin()]:.2f} mm along the normal")
    if np.ptp([item.spacing for item in slices]) > 1e-4 or np.ptp([item.axes for item in slices], axis=0).max() > 1e-3:
        raise RefusedError("E22", "PixelSpacing or orientation changes within the series")
