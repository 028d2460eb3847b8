"""A LIDC message: the XML file that lies beside the slices of a series and says what four readers marked in it."""

from dataclasses import dataclass, field

import numpy as np

from namd.data.lidc.sessions import SYNTHETIC

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="{uid}" xmlns="http://www.nih.gov" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://www.nih.gov http://troll.rad.med.umich.edu/lidc/LidcReadMessage.xsd">
<ResponseHeader>
<Version>1.8.1</Version>
<MessageId>1</MessageId>
<DateRequest>2000-01-01</DateRequest>
<TimeRequest>00:00:00</TimeRequest>
<RequestingSite>{site}</RequestingSite>
<ServicingSite>removed</ServicingSite>
<TaskDescription>Second unblinded read</TaskDescription>
<CtImageFile>removed</CtImageFile>
<SeriesInstanceUid>{series}</SeriesInstanceUid>
<DateService>2000-01-01</DateService>
<TimeService>00:00:00</TimeService>
<ResponseDescription>1 - Reading complete</ResponseDescription>
<StudyInstanceUID>{study}</StudyInstanceUID>
</ResponseHeader>
"""


@dataclass(frozen=True)
class Roi:
    """What a reader marks in one slice."""

    z: float                # ImagePositionPatient of the slice, mm
    sop_uid: str
    points: np.ndarray      # (n, 2) pixels x, y, 0 is the first: a contour, or one point


@dataclass(frozen=True)
class Mark:
    """A nodule as one reader marks it; one below 3 mm is a point without ratings."""

    number: int             # of the reader's own counting
    rois: list
    ratings: dict = field(default_factory=dict)         # characteristic -> code


@dataclass(frozen=True)
class NonNodule:
    """A place that one reader marks as no nodule."""

    number: int
    roi: Roi


def message(uid: str, study_uid: str, series_uid: str, sessions) -> str:
    """The file's text.

    Args:
        sessions: one list of marks and non-nodules a reader; an empty one is a reader who marked nothing.

    Source: the files of LIDC-IDRI at TCIA: version 1.8.1, names and order of the elements.
    """
    parts = [HEADER.format(uid=uid, study=study_uid, series=series_uid, site=SYNTHETIC)]
    for marks in sessions:
        parts.append("<readingSession>\n<annotationVersion>3.12</annotationVersion>\n"
                     "<servicingRadiologistID>anonymous</servicingRadiologistID>\n")
        parts.extend(_nodule(mark) for mark in marks if isinstance(mark, Mark))
        parts.extend(_non_nodule(mark) for mark in marks if isinstance(mark, NonNodule))
        parts.append("</readingSession>\n")
    return "".join([*parts, "</LidcReadMessage>\n"])


def _nodule(mark: Mark) -> str:
    """One unblindedReadNodule."""
    codes = "".join(f"<{name}>{code}</{name}>\n" for name, code in mark.ratings.items())
    rated = f"<characteristics>\n{codes}</characteristics>\n" if codes else ""
    rois = "".join(map(_roi, mark.rois))
    return f"<unblindedReadNodule>\n<noduleID>{mark.number}</noduleID>\n{rated}{rois}</unblindedReadNodule>\n"


def _roi(roi: Roi) -> str:
    """One roi with its edge map."""
    edge = "".join(f"<edgeMap>{_point(point)}</edgeMap>\n" for point in roi.points.tolist())
    return f"<roi>\n{_slice(roi)}<inclusion>TRUE</inclusion>\n{edge}</roi>\n"


def _non_nodule(mark: NonNodule) -> str:
    """One nonNodule."""
    return (f"<nonNodule>\n<nonNoduleID>{mark.number}</nonNoduleID>\n{_slice(mark.roi)}"
            f"<locus>{_point(mark.roi.points[0].tolist())}</locus>\n</nonNodule>\n")


def _slice(roi: Roi) -> str:
    """Which slice it is."""
    return f"<imageZposition>{roi.z:.6f}</imageZposition>\n<imageSOP_UID>{roi.sop_uid}</imageSOP_UID>\n"


def _point(point) -> str:
    """One pixel."""
    x, y = point
    return f"<xCoord>{x}</xCoord><yCoord>{y}</yCoord>"
