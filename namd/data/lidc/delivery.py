"""Which XML file of a delivery reads which of its CT series."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from namd.data.dicom.series import index_series
from namd.data.folders import folders, regular_files
from namd.data.lidc.sessions import Reading, read_sessions
from namd.data.nlst.crops import n_workers
from namd.data.refused import Refused, RefusedError, one_line
from namd.ground.marks import sha256


@dataclass(frozen=True)
class Delivery:
    """What a delivery holds, before any image is read."""

    sums: dict[str, str]                    # XML file -> sha256, of those that could be read
    n_series: int
    scans: list[tuple[Reading, str]]        # a reading, and the folder of its series
    refused: list[Refused]

    @property
    def synthetic(self) -> bool:
        """Whether the readings say that nobody made them; they say so alike."""
        return bool(self.scans) and all(reading.synthetic for reading, _ in self.scans)


def read_delivery(delivery, workers: int) -> Delivery:
    """All readings of a delivery with their series, in the order of SeriesInstanceUIDs.

    A file belongs to the series it names, wherever it lies, so images and the XML files that TCIA offers apart may
    lie in two folders; a file that occurs twice, byte for byte, counts once.

    Args:
        delivery: folder; workers: processes, 0 for one a core.
    """
    found = defaultdict(dict)
    sums = {}
    refused = []
    for path in xml_files(delivery):
        place = one_line(path.relative_to(delivery).as_posix())
        try:
            reading = read_sessions(path)
        except RefusedError as error:
            refused.append(Refused(place, "reading", error.code, error.message))
            continue
        sums[place] = sha256(path)
        found[reading.series_uid].setdefault(sums[place], (place, reading))
    index = index_series(delivery, n_workers(workers, len(found)))
    scans = []
    for uid in sorted(found.keys() | index.keys()):
        try:
            scans.append(_scan(uid, list(found[uid].values()), index.get(uid, [])))
        except RefusedError as error:
            refused.append(Refused(f"series {uid}", "reading", error.code, error.message))
    scans = _of_one_kind(scans, refused)
    for reading, _ in scans:
        refused += reading.refused
    return Delivery(sums, len(index), scans, refused)


def _of_one_kind(scans, refused) -> list[tuple[Reading, str]]:
    """The scans without the synthetic ones where others are not; adds those to the refused."""
    real = [scan for scan in scans if not scan[0].synthetic]
    if real:
        refused += [Refused(f"series {reading.series_uid}", "reading", "E26",
                            f"its reading is synthetic, and {len(real)} others are not; leave it out")
                    for reading, _ in scans if reading.synthetic]
    return real or scans


def xml_files(delivery) -> list[Path]:
    """Every XML file of a delivery, in the order of folders and names."""
    paths = []
    for folder, _ in folders(delivery):
        paths += [Path(path) for path in regular_files(folder) if path.lower().endswith(".xml")]
    return paths


def _scan(uid: str, readings: list[tuple[str, Reading]], places: list[str]) -> tuple[Reading, str]:
    """The one reading and the one folder of a series."""
    if not readings:
        raise RefusedError("E26", f"no XML file of the delivery reads the series in {Path(places[0]).name}; fetch it")
    if len(readings) > 1:
        names = ", ".join(place for place, _ in readings)
        raise RefusedError("E26", f"{len(readings)} differing XML files read it ({names}); leave one")
    (place, reading), = readings
    if not places:
        raise RefusedError("E15", f"{place} reads it, but it is not in the delivery, or no header of it can be read; "
                                  "fetch it into a folder of its own")
    if len(places) > 1:
        raise RefusedError("E16", f"it lies in {len(places)} folders of the delivery; leave one")
    return reading, places[0]
