"""One XML file of LIDC-IDRI: what up to four readers marked in one CT series."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from namd.data.lidc.clusters import READERS
from namd.data.lidc.consensus import Outline
from namd.data.lidc.labels import SCALES
from namd.data.refused import Refused, RefusedError, one_line

ROOT = "LidcReadMessage"                # of a CT series; of a chest film it is IdriReadMessage
SYNTHETIC = "phantom, synthetic"        # RequestingSite of a reading that nobody made; "removed" in those of LIDC


@dataclass(frozen=True)
class Mark:
    """A nodule as one reader outlined and rated it."""

    reader: int                 # 1 to 4, the place of the session in the file; another person in another file
    name: str                   # noduleID
    ratings: dict[str, int]     # the nine of labels.SCALES
    outlines: list[Outline]     # their place is the SOPInstanceUID of the slice


@dataclass(frozen=True)
class Reading:
    """What a file says: the marks that can be used, and those that cannot, with the reason."""

    series_uid: str
    synthetic: bool
    marks: list[Mark]
    refused: list[Refused]

    def source(self, mark: Mark) -> str:
        """Name of a mark in refused.csv."""
        return _source(self.series_uid, mark.reader, mark.name)


def _source(series_uid: str, reader: int, name: str) -> str:
    return f"{series_uid} reader {reader} nodule {name}"


def read_sessions(path) -> Reading:
    """The nodules of at least 3 mm that the readers of one file outlined.

    A nodule below 3 mm is marked by one point and not rated, so it is refused here; what readers call no nodule
    (nonNodule) is passed over. A single point among the outlines of a nodule is taken for a slip.

    Args:
        path: a file of a TCIA delivery, LidcReadMessage in the name space http://www.nih.gov.

    Raises:
        RefusedError: E26 where the whole file cannot be used.

    Source: the XML documentation and the annotated XML file of March 2010 at TCIA; scales as in pylidc's Annotation,
    which leaves out single points too.
    """
    root = _root(Path(path))
    name = Path(path).name
    series_uid = one_line(root.findtext("{*}ResponseHeader/{*}SeriesInstanceUid") or "")
    if not series_uid:
        raise RefusedError("E26", f"{name} names no SeriesInstanceUid in its ResponseHeader; copy it again")
    sessions = root.findall("{*}readingSession")
    if not 1 <= len(sessions) <= READERS:
        raise RefusedError("E26", f"{name} holds {len(sessions)} reading sessions, not 1 to {READERS}; copy it again")
    marks = []
    refused = []
    for reader, session in enumerate(sessions, start=1):
        _take(series_uid, reader, session.findall("{*}unblindedReadNodule"), marks, refused)
    site = one_line(root.findtext("{*}ResponseHeader/{*}RequestingSite") or "")
    return Reading(series_uid, site == SYNTHETIC, marks, refused)


def _root(path: Path):
    """The root element of a file."""
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise RefusedError("E26", f"{path.name} cannot be opened ({error.strerror})") from error
    except Exception as error:                                        # no XML, an unknown encoding, ...
        raise RefusedError("E26", f"{path.name} is no XML ({error}); copy it again") from error
    kind = root.tag.rpartition("}")[2]
    if kind != ROOT:
        raise RefusedError("E26", f"{path.name} is a {kind}, not a {ROOT}, so it is no reading of a CT series")
    return root


def _take(series_uid, reader: int, nodules, marks, refused) -> None:
    """Add each nodule of a session to the marks or to the refused."""
    names = [one_line(nodule.findtext("{*}noduleID") or "without noduleID") for nodule in nodules]
    times = Counter(names)
    for name, nodule in zip(names, nodules, strict=True):
        try:
            if times[name] > 1:
                raise RefusedError("E03", f"its noduleID occurs {times[name]} times in the session of reader {reader}")
            marks.append(Mark(reader, name, outlines=_outlines(nodule), ratings=_ratings(nodule)))
        except RefusedError as error:
            refused.append(Refused(_source(series_uid, reader, name), "reading", error.code, error.message))


def _outlines(nodule) -> list[Outline]:
    """All outlines of a nodule but single points."""
    outlines = [_outline(roi) for roi in nodule.findall("{*}roi")]
    outlines = [outline for outline in outlines if len(outline.points) > 1]
    if not outlines:
        raise RefusedError("E27", "it is marked by a point, as nodules below 3 mm are, and has no outline")
    if not any(outline.inclusion for outline in outlines):
        raise RefusedError("E27", "every outline of it goes round a hole (inclusion FALSE)")
    return outlines


def _outline(roi) -> Outline:
    """One outline with the SOPInstanceUID of its slice."""
    uid = one_line(roi.findtext("{*}imageSOP_UID") or "")
    word = (roi.findtext("{*}inclusion") or "").strip().upper()
    if word not in ("TRUE", "FALSE"):
        raise RefusedError("E27", f"inclusion is {word or 'missing'} in slice {uid}, not TRUE or FALSE")
    points = [(edge.findtext("{*}xCoord"), edge.findtext("{*}yCoord")) for edge in roi.findall("{*}edgeMap")]
    try:
        numbers = np.array([(int(x), int(y)) for x, y in points], dtype=np.int64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError("E27", f"an xCoord or yCoord in slice {uid} is no whole number") from None
    return Outline(uid, numbers, word == "TRUE")


def _ratings(nodule) -> dict[str, int]:
    """The nine ratings of a nodule."""
    ratings = {}
    for name, top in SCALES.items():
        found = nodule.findall(f"{{*}}characteristics/{{*}}{name}")
        if not found:
            raise RefusedError("E04", f"it is outlined, but {name} is not rated")
        if len(found) > 1:
            raise RefusedError("E04", f"{name} is rated {len(found)} times, once is allowed")
        text = (found[0].text or "").strip()
        if text not in map(str, range(1, top + 1)):
            raise RefusedError("E04", f"{name} is {text or 'empty'}; allowed 1 to {top}")
        ratings[name] = int(text)
    return ratings
