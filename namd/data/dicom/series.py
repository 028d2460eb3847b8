"""A folder of DICOM files to one checked series, by headers alone."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namd.data.dicom.header import Header
from namd.data.dicom.opening import is_dicom, is_stump, named_series
from namd.data.folders import folders, regular_files
from namd.data.refused import RefusedError
from namd.ground.workers import in_order

MIN_AXIAL_COSINE = 0.999
SPACING_MM = (0.01, 10)                 # what a CT scanner can mean, here and below
MAX_THICKNESS_MM = 1000
MAX_POSITION_MM = 100_000
FILE_NAMES = (".dcm", ".dicom", ".ima")
CHEST = ("CHEST", "THORA", "LUNG")      # in a BodyPartExamined


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
    shape: tuple[int, int]  # rows, columns

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
    body_part: str          # as the header names it; empty where it does not
    lossy: bool             # a slice was once compressed with loss
    padding: float | None   # stored value that the header declares for pixels outside the scan
    slices: list[Slice]

    @property
    def doubts(self) -> list[str]:
        """What the headers say that may make HU or place doubtful, one sentence each; the series is read all the same.

        Source: ours, because a head or a picture saved with loss looks to a model like any other crop.
        """
        said = []
        if self.lossy:
            said.append("the scan was once compressed with loss, so its HU may be tens off")
        if self.body_part and not any(word in self.body_part for word in CHEST):
            said.append(f"the header names the body part {self.body_part}, not the chest")
        if self.padding is not None:
            said.append(f"pixels outside the scan are stored as {self.padding:g} and read as air")
        return said


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
    """SeriesInstanceUID of the first axial CT image of a folder, else of the first DICOM file that names one."""
    return next(iter(series_uids(folder)), "")


def series_uids(folder) -> list[str]:
    """SeriesInstanceUIDs of the axial CT images of a folder: that of the first and, where the last differs, all.

    Where there is no such image, the first DICOM file counts that names a series, a damaged one too; it is refused
    when the series is read.
    """
    paths = regular_files(folder)
    ends = [uid for uid in (_first_axial(paths), _first_axial(reversed(paths))) if uid is not None]
    if len(set(ends)) == 2:
        return sorted({uid for uid in map(_axial, paths) if uid})
    if ends:
        return ends[:1]
    return [uid for uid in map(named_series, _dicom_files(folder)) if uid][:1]


def _first_axial(paths) -> str | None:
    """SeriesInstanceUID of the first axial CT image, which may be empty; None where there is none."""
    return next((uid for uid in map(_axial, paths) if uid is not None), None)


def _axial(path) -> str | None:
    """SeriesInstanceUID of an axial CT image, which may be empty; None for another file or one that cannot be read."""
    try:
        if not is_dicom(path):
            return None
        header = Header(path)
    except (RefusedError, OSError):
        return None
    return None if header.other_kind else header.stored("SeriesInstanceUID")


def read_series(folder) -> Series:
    """Headers of all files of a folder, checked and ordered by position (image position . slice normal).

    Raises:
        RefusedError: E15 to E18, E20 to E23; the sentence names the folder's own values.

    Source: ours, because neither file names nor InstanceNumber give the order of slices in space.
    """
    name = Path(folder).name
    headers = _headers(folder)
    others = Counter(header.other_kind for header in headers)
    headers = [header for header in headers if not header.other_kind]
    if not headers:
        held = ", ".join(f"{n} x {kind}" for kind, n in others.most_common(3))
        raise RefusedError("E15", f"{name} holds no axial CT image, but {held or 'no DICOM file at all'}")
    uids = sorted({header.stored("SeriesInstanceUID") for header in headers})
    if not uids[0]:
        raise RefusedError("E16", f"{name} holds files without SeriesInstanceUID; export the series again")
    if len(uids) > 1:
        raise RefusedError("E16", f"{name} holds {len(uids)} SeriesInstanceUIDs ({', '.join(uids[:3])}); "
                             "give each series a folder of its own")
    patients = sorted({header.stored("PatientID").upper() for header in headers} - {""})
    if len(patients) > 1:
        raise RefusedError("E17", f"{name} holds slices of {len(patients)} PatientIDs ({', '.join(patients[:3])}); "
                                  "give each patient a folder of its own")
    slices = sorted((_slice(header) for header in headers), key=lambda item: item.along)
    _check_slices(slices)
    first = headers[0]
    return Series(uid=uids[0], patient_id=first.text("PatientID"), study_date=first.text("StudyDate"),
                  kernel=first.text("ConvolutionKernel"), manufacturer=first.text("Manufacturer"),
                  thickness=first.number("SliceThickness", 0, MAX_THICKNESS_MM),
                  body_part=first.text("BodyPartExamined").upper(), lossy=any(header.is_lossy for header in headers),
                  padding=first.number("PixelPaddingValue"), slices=slices)


class SeriesIndex(dict):
    """SeriesInstanceUID -> folders that hold it (more than one is refused later); `nameless`: those that name none."""

    def __init__(self, folders_of):
        super().__init__(folders_of)
        self.nameless = self.pop("", [])


def index_series(root, workers: int) -> SeriesIndex:
    """Where the series below `root` lie."""
    found = find_series(root)
    size = max(1, -(-len(found) // (4 * workers)))
    batches = [found[i:i + size] for i in range(0, len(found), size)]
    read = in_order(_uids, [(batch,) for batch in batches], workers)
    index: dict[str, list[str]] = {}
    for batch, uids in zip(batches, read, strict=True):
        for folder, names in zip(batch, uids, strict=True):
            for uid in names or [""]:
                index.setdefault(uid, []).append(folder)
    return SeriesIndex(index)


def _uids(folders) -> list[list[str]]:
    """The SeriesInstanceUIDs of each folder."""
    return [series_uids(folder) for folder in folders]


def _headers(folder) -> list[Header]:
    """The header of every DICOM file of a folder; a file too short to be one is refused where it is called as one."""
    try:
        paths = regular_files(folder)
        images = [path for path in paths if is_dicom(path)]
        rest = sorted({*paths} - {*images}) if images else []
        stumps = [Path(path).name for path in rest if path.lower().endswith(FILE_NAMES) and is_stump(path)]
        if stumps:
            raise RefusedError("E23", f"{stumps[0]} is empty or cut off at its first bytes; copy it again")
        return [Header(path) for path in images]
    except OSError as error:                                          # a slice left out would pass unnoticed
        raise RefusedError("E23", f"{Path(error.filename or folder).name} cannot be opened ({error.strerror})"
                           ) from error


def _slice(header: Header) -> Slice:
    """Geometry of one file."""
    if header.frames:
        raise RefusedError("E23", header.frames)
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
                 axes=axes, spacing=float(spacing[0]), along=float(origin @ normal), shape=header.shape)


def _check_slices(slices) -> None:
    """No slice twice, one orientation, one pixel size, one matrix."""
    if len({item.sop_uid for item in slices}) < len(slices):
        raise RefusedError("E18", f"a SOPInstanceUID occurs twice among {len(slices)} slices")
    along = np.array([item.along for item in slices])
    if len(along) > 1 and np.diff(along).min() < 0.01:
        raise RefusedError("E18", f"two slices lie at {along[np.diff(along).argmin()]:.2f} mm along the normal")
    if np.ptp([item.spacing for item in slices]) > 1e-4 or np.ptp([item.axes for item in slices], axis=0).max() > 1e-3:
        raise RefusedError("E22", "PixelSpacing or orientation changes within the series")
    if len({item.shape for item in slices}) > 1:
        sizes = sorted({"{} x {}".format(*item.shape) for item in slices})
        raise RefusedError("E22", f"Rows and Columns change within the series: {', '.join(sizes[:3])}")
