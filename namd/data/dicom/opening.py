"""A DICOM file's first bytes, before a library believes them: its mark, its transfer syntax, what it inflates to."""

import os
import zlib

from namd.data.refused import RefusedError

MEDIA_INDEX = b"1.2.840.10008.1.3.10"           # SOP class of a DICOMDIR, in the first bytes of the file
DEFLATED = b"1.2.840.10008.1.2.1.99"
MAX_BYTES = 1 << 26                             # of one slice, 2048 x 2048 pixels with whatever a vendor adds
HEAD = 1 << 16                                  # bytes in which a series is named
MARK = 132                                      # preamble and DICM
LONG = (b"OB", b"OW", b"UN", b"SQ", b"UT")      # VRs of a long length, in the meta group
BARE_VRS = (b"UL", b"UI", b"CS", b"DA", b"TM", b"SH", b"LO")        # of a first element
SERIES = b"\x20\0\x0e\0"                        # (0020,000E) SeriesInstanceUID
MAX_UID = 64


def is_dicom(path) -> bool:
    """Whether a file is of DICOM part 10 or a bare data set, and no DICOMDIR, the index of a medium.

    Raises:
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    return (start[128:MARK] == b"DICM" or is_bare(start)) and MEDIA_INDEX not in start


def is_stump(path) -> bool:
    """Whether a file ends before the mark of DICOM part 10."""
    return os.path.getsize(path) < MARK


def is_bare(start: bytes) -> bool:
    """Whether a file begins with an element of group 2 or 8, as one does whose preamble a program left out.

    Source: ours, because a slice that is passed over so would be missing without any sign of it.
    """
    if start[:2] not in (b"\2\0", b"\x08\0") or start[3:4] != b"\0":
        return False
    return start[4:6] in BARE_VRS or (start[5:8] == b"\0\0\0" and start[4] <= MAX_UID)


def refuse_a_bomb(file, name: str, whole: bool) -> None:
    """Refuse an open file that would fill the memory; the place in it is lost.

    Args:
        whole: the pixels are wanted too.

    Raises:
        RefusedError: E23 where it is larger than a slice can be, or inflates to more.
    """
    start = file.read(1024)
    if whole and os.fstat(file.fileno()).st_size > MAX_BYTES:
        raise _too_large(name, "holds")
    if DEFLATED not in start:
        return
    file.seek(_end_of_meta(file, MARK if start[128:MARK] == b"DICM" else 0))
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    n_bytes = 0
    packed = file.read(HEAD)
    while packed and n_bytes <= MAX_BYTES:
        n_bytes += len(inflate.decompress(packed, HEAD))
        packed = inflate.unconsumed_tail or file.read(HEAD)
    if n_bytes > MAX_BYTES:
        raise _too_large(name, "inflates to")


def _too_large(name: str, does: str) -> RefusedError:
    return RefusedError("E23", f"{name} {does} more than {MAX_BYTES >> 20} MiB, as no CT slice does; export it again")


def _end_of_meta(file, place: int) -> int:
    """Where the elements of group 2, always explicit and little endian, end."""
    while True:
        file.seek(place)
        head = file.read(12)
        if head[:2] != b"\2\0":
            return place
        is_long = head[4:6] in LONG
        length = int.from_bytes(head[8:12] if is_long else head[6:8], "little")
        place += (12 if is_long else 8) + length


def named_series(path) -> str:
    """SeriesInstanceUID that stands among the first bytes of a file, which may be damaged; empty where none does.

    Source: ours; a damaged series that lies in the delivery is another thing than one that does not.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(HEAD)
            if DEFLATED in start[:1024]:
                file.seek(_end_of_meta(file, MARK if start[128:MARK] == b"DICM" else 0))
                start = _inflated(file.read(HEAD))
    except OSError:
        return ""
    at = start.find(SERIES)
    if at < 0:
        return ""
    length = start[at + 6:at + 8] if start[at + 4:at + 6] == b"UI" else start[at + 4:at + 8]
    value = start[at + 8:at + 8 + min(MAX_UID, int.from_bytes(length, "little"))].rstrip(b" \0")
    return value.decode("ascii", "replace") if value[:1].isdigit() else ""


def _inflated(packed: bytes) -> bytes:
    """What the first `packed` bytes of a deflated data set hold, up to the first damage."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    found = b""
    try:
        for i in range(0, len(packed), 64):             # a step beyond the damage would give nothing
            found += inflate.decompress(packed[i:i + 64], HEAD)
            if len(found) > HEAD:
                break
    except zlib.error:
        pass
    return found
