"""IDC's Sybil boxes: DICOM reports (TID 1500) with the tumour outlined by rectangles, slice by slice of one series."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom

from namd.data.codes import FIRST_STUDY_YEAR, YEARS
from namd.data.dicom.opening import refuse_a_bomb
from namd.data.folders import folders, regular_files
from namd.data.nlst.centres import Listed
from namd.data.refused import Refused, RefusedError, one_line, only_refusals

REPORTS = {f"1.2.840.10008.5.1.4.1.1.88.{n}" for n in (22, 33, 34)}     # SOP classes: enhanced, comprehensive, 3D
MEDIA_CLASS = b"\x02\0\x02\0UI"        # (0002,0002) MediaStorageSOPClassUID, always explicit and little endian
MEASUREMENTS = "126010"                 # DCM code of the container Imaging Measurements
MAX_REPORT_BYTES = 8 << 20              # IDC's are 20 kB
MAX_BOXES = 2000
MAX_DEPTH = 8                           # of nested content items


def read_boxes(root) -> tuple[list[Listed], list[Refused]]:
    """The boxes of every report below `root`, a lesion each, and the reports that cannot be used.

    Reports are looked for in folders of their own: in one whose first DICOM file is an image, no other is opened.

    Source: ours, because to open every slice of a trial for a report beside it takes an hour.
    """
    found = []
    refused = []
    for folder, _ in folders(root):
        for path in _reports(folder):
            try:
                with only_refusals(f"the report {Path(path).name}"):
                    found += report_boxes(path)
            except RefusedError as error:
                name = one_line(Path(path).name)
                refused.append(Refused(f"sybil: {name}", "tables", error.code, error.message, "sybil", name))
    return found, refused


def _reports(folder):
    """The files of a folder that are reports, as long as no image comes first."""
    for path in regular_files(folder):
        kind = sop_class(path)
        if kind in REPORTS:
            yield path
        elif kind:
            return


def sop_class(path) -> str:
    """SOP class of a DICOM file by its first bytes, read once; empty where they name none."""
    try:
        with open(path, "rb") as file:
            start = file.read(1024)
    except OSError:
        return ""
    at = start.find(MEDIA_CLASS)
    if start[128:132] != b"DICM" or at < 0:
        return ""
    length = int.from_bytes(start[at + 6:at + 8], "little")
    return start[at + 8:at + 8 + length].rstrip(b" \0").decode("ascii", "replace")


def report_boxes(path) -> list[Listed]:
    """The lesions that one report outlines in its series: boxes that overlap in the plane are of one lesion.

    A lesion lies where its largest box does. It keeps its identity over the years where a series shows no other, for
    the boxes mark the one cancer that was found within a year; several in a series are told apart by number.

    Raises:
        RefusedError: E09 no participant, E17 another year, E15 not one series, E06 no box with a slice.

    Source: PS3.16 TID 1500 and 1410; PS3.3 C.18.6.1.2 (pixel coordinates count from the corner of the first pixel).
    """
    if Path(path).stat().st_size > MAX_REPORT_BYTES:
        raise RefusedError("E23", f"{Path(path).name} is larger than {MAX_REPORT_BYTES >> 20} MB, no report of boxes")
    with open(path, "rb") as file:
        refuse_a_bomb(file, Path(path).name, whole=False)
    report = pydicom.dcmread(path)
    pid = str(report.get("PatientID", "")).strip()
    if not (pid.isascii() and pid.isdigit() and len(pid) == 6 and pid[0] in "12"):
        raise RefusedError("E09", f"PatientID '{pid[:20]}' is not six digits that begin with 1 or 2")
    date = str(report.get("StudyDate", ""))
    year = int(date[:4]) - FIRST_STUDY_YEAR if date[:4].isascii() and date[:4].isdigit() else -1
    if year not in YEARS:
        raise RefusedError("E17", f"StudyDate '{date[:20]}' is in none of the three study years")
    uid = _series(report)
    boxes = _boxes(report)
    if len(boxes) > MAX_BOXES:
        raise RefusedError("E23", f"the report holds {len(boxes)} boxes, and no series has so many slices")
    lesions = _lesions(boxes)
    if not lesions:
        raise RefusedError("E06", "the report holds no box in a slice")
    names = ["0"] if len(lesions) == 1 else [f"{k} of {len(lesions)}" for k in range(1, len(lesions) + 1)]
    return [Listed(pid=int(pid), year=year, uid=uid, source="sybil", lesion=name, malignant=True,
                   sop=sop, pixel=((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2), row=one_line(Path(path).name))
            for name, (sop, (x0, y0, x1, y1)) in zip(names, lesions, strict=True)]


def _series(report) -> str:
    """SeriesInstanceUID of the one series that a report is of."""
    uids = set()
    for evidence in report.get("CurrentRequestedProcedureEvidenceSequence", []):
        uids |= {str(series.SeriesInstanceUID) for series in evidence.get("ReferencedSeriesSequence", [])}
    if len(uids) != 1:
        raise RefusedError("E15", f"the report is of {len(uids)} series, not of one")
    return uids.pop()


def _boxes(report) -> list[tuple[str, tuple]]:
    """(SOPInstanceUID, (x0, y0, x1, y1)) of every rectangle in the measurements, in the order of the report."""
    found = []

    def walk(items, depth, is_measured):
        for item in items if depth else []:
            name = item.get("ConceptNameCodeSequence", [{}])[0]
            inside = is_measured or (name and name.get("CodeValue") == MEASUREMENTS)
            if inside and item.get("ValueType") == "SCOORD":
                points = np.array(item.GraphicData, dtype=float).reshape(-1, 2)
                images = [part.ReferencedSOPSequence[0] for part in item.get("ContentSequence", [])
                          if part.get("ValueType") == "IMAGE"]
                if len(images) == 1 and len(points) > 2 and np.isfinite(points).all():
                    box = tuple(np.concatenate([points.min(0), points.max(0)]).tolist())
                    found.append((str(images[0].ReferencedSOPInstanceUID), box))
            walk(item.get("ContentSequence", []), depth - 1, inside)

    walk(report.get("ContentSequence", []), MAX_DEPTH, False)
    return found


def _lesions(boxes) -> list[tuple[str, tuple]]:
    """The largest box of each group of boxes that overlap, in the order of their first."""
    group = list(range(len(boxes)))
    for i, (_, first) in enumerate(boxes):
        for j, (_, second) in enumerate(boxes[:i]):
            if _overlap(first, second):
                group = [group[j] if number == group[i] else number for number in group]
    members = defaultdict(list)
    for number, box in zip(group, boxes, strict=True):
        members[number].append(box)
    return [max(several, key=lambda box: (box[1][2] - box[1][0]) * (box[1][3] - box[1][1]))
            for several in members.values()]


def _overlap(a, b) -> bool:
    """Whether two boxes share a part of the plane."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
