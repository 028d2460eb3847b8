"""All nodules of one CT series: image, consensus mask, what each reader said."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from namd.data.dicom.geometry import slice_gap
from namd.data.dicom.pixels import read_crop
from namd.data.dicom.series import Series, read_series
from namd.data.images import MM_PER_PX, PIXELS
from namd.data.lidc.clusters import group
from namd.data.lidc.consensus import Consensus, area_mm2, consensus, diameters_mm, fits, flaw, resample_mask
from namd.data.lidc.labels import class_of
from namd.data.lidc.sessions import Mark, Reading
from namd.data.nlst.crops import scan_columns
from namd.data.refused import Refused, RefusedError, only_refusals


@dataclass(frozen=True)
class Nodule:
    """One nodule of a scan that enters the cohort."""

    number: int             # in its scan
    crop: np.ndarray        # (128, 128) int16 HU, the middle slice around the centre of the consensus
    mask: np.ndarray        # (128, 128) bool, the consensus on the same pixels
    label3: int
    diameters: tuple        # longest, and across it, of the consensus; mm
    scan: dict              # the scan columns of the contract
    readers: list[dict]     # a row of readers.parquet each, without the nodule's name


@dataclass(frozen=True)
class ScanRead:
    """What a series and its reading gave."""

    series_uid: str
    patient_id: str = ""
    nodules: list[Nodule] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def read_scans(jobs: list[tuple[Reading, str]], min_readers: int) -> list[ScanRead]:
    """What some series give, in the same order; a job is a reading and the folder of its series.

    Source: ours; whatever one file makes a library raise costs one nodule or one scan, never the cohort.
    """
    return [_read_scan(reading, folder, min_readers) for reading, folder in jobs]


def _read_scan(reading: Reading, folder: str, min_readers: int) -> ScanRead:
    """One series and its reading; a series that cannot be used refuses all its nodules in one row."""
    uid = reading.series_uid
    try:
        with only_refusals(f"series {uid}"):
            series = read_series(folder)
            patient_id = series.patient_id.strip().upper()      # typed by people, and one patient is in one fold
            if not patient_id:
                raise RefusedError("E09", f"series {uid} names no PatientID, by which nodules are split")
            placed, refused = _placed(reading, series)
            groups = group([_points_mm(mark, series) for mark in placed], _tolerance_mm(series))
    except RefusedError as error:
        return ScanRead(uid, refused=[Refused(f"series {uid}", "series", error.code, error.message)])
    nodules = []
    for number, members in enumerate(groups, start=1):
        try:
            with only_refusals(f"nodule {number}"):
                nodules.append(_nodule(series, number, [placed[i] for i in members], min_readers))
        except RefusedError as error:
            refused.append(Refused(f"{uid} nodule {number}", "consensus", error.code, error.message))
    return ScanRead(uid, patient_id, nodules, refused)


def _placed(reading: Reading, series: Series) -> tuple[list[Mark], list[Refused]]:
    """Marks whose outlines lie in slices of the series, their place now the slice's; and the other marks."""
    where = {item.sop_uid: i for i, item in enumerate(series.slices)}
    rows, columns = series.slices[0].shape
    placed = []
    refused = []
    for mark in reading.marks:
        try:
            _check_outlines(mark, where, rows, columns)
            placed.append(replace(mark, outlines=[replace(line, place=where[line.place]) for line in mark.outlines]))
        except RefusedError as error:
            refused.append(Refused(reading.source(mark), "reading", error.code, error.message))
    return placed, refused


def _check_outlines(mark: Mark, where, rows: int, columns: int) -> None:
    """Refuse a mark with an outline in no slice of the series, outside its slice, or no closed line."""
    for line in mark.outlines:
        if line.place not in where:
            raise RefusedError("E27", f"an outline lies in slice {line.place or 'without imageSOP_UID'}, which the "
                                      f"series of {len(where)} slices does not hold")
        if line.points.min() < 0 or (line.points >= (columns, rows)).any():
            raise RefusedError("E27", f"an outline reaches from {line.points.min(axis=0).tolist()} to "
                                      f"{line.points.max(axis=0).tolist()}, outside a slice of {columns} x {rows}")
        why = flaw(line.points)
        if why:
            raise RefusedError("E27", f"an outline from {line.points[0].tolist()} on {why}; copy the file again")


def _points_mm(mark: Mark, series: Series) -> np.ndarray:
    """(n, 3) mm of all points of a mark: along columns, rows and the axis of the scan."""
    parts = [np.column_stack([line.points * series.slices[line.place].spacing,
                              np.full(len(line.points), series.slices[line.place].along)]) for line in mark.outlines]
    return np.concatenate(parts)


def _tolerance_mm(series: Series) -> float:
    """The slice thickness, or the usual distance of slices where the header has none."""
    along = [item.along for item in series.slices]
    return series.thickness or (float(np.median(np.diff(along))) if len(along) > 1 else series.slices[0].spacing)


def _nodule(series: Series, number: int, marks: list[Mark], min_readers: int) -> Nodule:
    """One nodule by all its marks, or the reason why it does not enter."""
    by_reader = defaultdict(list)
    for mark in marks:
        by_reader[mark.reader].append(mark)
    if len(by_reader) < min_readers:
        raise RefusedError("E14", f"{len(by_reader)} of its readers outlined and rated it; at least {min_readers} must")
    mm = {i: item.along for i, item in enumerate(series.slices)}
    found = consensus([_outlines(own) for own in by_reader.values()], mm)
    if found is None:
        raise RefusedError("E27", f"no pixel lies within the outlines of at least half of its {len(by_reader)} readers")
    item = series.slices[found.place]
    if not fits(found, item.spacing):
        raise RefusedError("E27", f"the consensus reaches beyond the crop of {PIXELS * MM_PER_PX:.1f} mm around it")
    turned = (np.sign(item.axes[0, 0]), np.sign(item.axes[1, 1]))
    mask = resample_mask(found.mask, found.centre - found.corner, MM_PER_PX / item.spacing, turned)
    if not mask.any():
        raise RefusedError("E27", f"the consensus of {found.mask.sum()} pixels of {item.spacing} mm falls between the "
                                  f"pixels of the crop, {MM_PER_PX} mm")
    gap = slice_gap(series, found.place)
    crop, point = read_crop(series, found.place, found.centre)
    readers = _rows(by_reader, found, item.spacing)
    return Nodule(number, crop, mask, class_of([row["malignancy"] for row in readers]),
                  diameters_mm(found.mask, item.spacing), scan_columns(series, found.place, point, gap), readers)


def _outlines(marks: list[Mark]) -> list:
    """The outlines of each of a reader's marks."""
    return [mark.outlines for mark in marks]


def _rows(by_reader, found: Consensus, spacing: float) -> list[dict]:
    """What each reader said: the ratings, and the area of his own outline in the middle slice.

    A reader who outlined a nodule in pieces counts once, with the union of the pieces and the ratings of the one with
    the longer outlines.
    """
    rows = []
    for (reader, own), mask in zip(by_reader.items(), found.readers, strict=True):
        largest = max(own, key=lambda mark: sum(len(line.points) for line in mark.outlines))
        area = area_mm2(mask, spacing)
        rows.append(dict(reader=reader, **largest.ratings, area_mm2=area, diameter_mm=2 * np.sqrt(area / np.pi)))
    return rows
