"""Which slices of a series the reader needs for its nodules, told from the first bytes of each file."""

import io
from dataclasses import dataclass

import numpy as np
from pydicom.filereader import read_partial

from namd.data.open.bucket import Stored

HEAD = 4096                             # bytes: 99 % of NLST's headers end below 2.8 kB
TAGS = {"ImageType": 0x00080008, "SOPInstanceUID": 0x00080018, "SeriesInstanceUID": 0x0020000E,
        "InstanceNumber": 0x00200013, "ImagePositionPatient": 0x00200032, "ImageOrientationPatient": 0x00200037,
        "PixelSpacing": 0x00280030}
LAST = max(TAGS.values())
SAME_PLACE = 0.01                       # mm


@dataclass(frozen=True)
class Seen:
    """What the start of a file says: whose series, and where the slice lies; `along` None where it does not tell."""

    stored: Stored
    uid: str = ""
    sop: str = ""
    instance: int | None = None
    along: float | None = None          # mm along the normal
    normal: tuple = (0.0, 0.0, 1.0)
    spacing: float = 0.0
    is_localizer: bool = False


def look(stored: Stored, read) -> Seen:
    """What an object says of itself, by as few bytes as it takes.

    Args:
        stored: the object; read: called with a number of bytes, gives the first so many of it.
    """
    n_bytes = HEAD
    while True:
        content = read(n_bytes)
        head = header(content)
        if head is not None:
            return _seen(stored, head)
        if len(content) >= stored.size or len(content) < n_bytes:
            return Seen(stored)
        n_bytes *= 16


def header(content: bytes):
    """The attributes of `TAGS` in the first bytes of a DICOM file; None where they may go on behind `content`."""
    reached = []

    def is_behind(tag, vr, length):
        if tag > LAST:
            reached.append(tag)
        return tag > LAST

    try:
        head = read_partial(io.BytesIO(content), stop_when=is_behind, specific_tags=list(TAGS.values()))
    except Exception:                                   # cut off, deflated, or no DICOM
        return None
    return head if reached else None


def _seen(stored: Stored, head) -> Seen:
    """The slice that a header describes; without a place where a value is none."""
    uid = str(head.get("SeriesInstanceUID", ""))
    sop = str(head.get("SOPInstanceUID", ""))
    try:
        axes = np.array(head.ImageOrientationPatient, dtype=float).reshape(2, 3)
        normal = np.cross(*axes)
        along = float(np.array(head.ImagePositionPatient, dtype=float) @ normal)
        number = float(head.InstanceNumber) if head.get("InstanceNumber") is not None else 0.5
        spacing = float(head.PixelSpacing[0])
        kind = str(head.get("ImageType", "")).upper()
        if not np.isfinite([along, number, spacing]).all():
            return Seen(stored, uid, sop)
    except Exception:                                   # every malformed value raises its own kind
        return Seen(stored, uid, sop)
    return Seen(stored, uid, sop, None if number % 1 else int(number), along, tuple(normal), spacing,
                "LOCALIZER" in kind)


def choose(seen: list[Seen], places, reach: int) -> list[Stored]:
    """The objects around the nodules, and those that the reader would refuse the whole series for.

    Args:
        seen: every object of the series; places: InstanceNumbers (int), SOPInstanceUIDs (str) and points (x, y, z) mm;
            reach: slices on either side of a nodule's that the reader measures the gaps of.

    Source: ours, because a series of 150 slices has five that decide a crop; a copy of a slice, a second series or a
    header that cannot be read must refuse a part of a series as it refuses the whole.
    """
    axial = sorted((one for one in seen if one.along is not None and not one.is_localizer), key=lambda one: one.along)
    keep = {one.stored.key: one.stored for one in seen if one.along is None}
    for place in places:
        for i in _hits(axial, place):
            keep |= {one.stored.key: one.stored for one in axial[max(0, i - reach):i + reach + 1]}
    kinds = {}
    names = {}
    for i, one in enumerate(axial):
        is_copy = i > 0 and one.along - axial[i - 1].along < SAME_PLACE or one.sop in names
        if is_copy:
            twin = names.get(one.sop) or axial[i - 1]
            keep |= {each.stored.key: each.stored for each in (one, twin)}
        names.setdefault(one.sop, one)
        kinds.setdefault((one.uid, round(one.spacing, 4), *np.round(one.normal, 3)), one)
    if len(kinds) > 1:
        keep |= {one.stored.key: one.stored for one in kinds.values()}
    return [keep[key] for key in sorted(keep)]


def _hits(axial: list[Seen], place) -> list[int]:
    """Indices of the slices of a place: all of its name or number, else the nearest one, so that there is a series."""
    if not axial:
        return []
    if isinstance(place, str):
        return [i for i, one in enumerate(axial) if one.sop == place] or [len(axial) // 2]
    if isinstance(place, int):
        found = [i for i, one in enumerate(axial) if one.instance == place]
        far = [abs(one.instance - place) if one.instance is not None else np.inf for one in axial]
        return found or [int(np.argmin(far))]
    far = [abs(one.along - float(np.dot(place, one.normal))) for one in axial]
    return [int(np.argmin(far))]
