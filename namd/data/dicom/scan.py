"""The wanted elements at the head of a plain DICOM file, without a library: what is not plain is left to pydicom."""

import struct

from pydicom import uid
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

HEAD = 1 << 14                                  # bytes; NLST's headers are below 3 kB
MARK = 132                                      # preamble and DICM
PLAIN = {bytes(name, "ascii"): name for name in map(str, uid.AllTransferSyntaxes)
         if name not in (uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian)}
LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
         b"ST", b"TM", b"UI", b"UL", b"US"}
META = 0x00020000                               # length of the meta group, its first element, of 12 bytes
SYNTAX = 0x00020010
CHARACTERS = 0x00080005
ITEM = 0xFFFEE000
END_OF_ITEM = 0xFFFEE00D
END = 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
TAG = struct.Struct("<HH")
WORD = struct.Struct("<H")
LENGTH = struct.Struct("<I")


def plain_dataset(head: bytes, wanted, last: int) -> tuple[Dataset, uid.UID] | None:
    """The `wanted` tags up to `last`, which no more than `head` holds, and the transfer syntax; None for what is odd.

    Args:
        head: first bytes of a file; wanted: set of tags; last: the highest of them.

    Source: DICOM PS3.5 7.1 and 7.5 (elements and sequences), PS3.10 7.1 (meta). Ours, because pydicom spends a dozen
    times as long on the elements that nobody asks for.
    """
    try:
        meta, start = _elements(head, MARK, {META, SYNTAX}, 0x0002FFFF, implicit=False)
        if LENGTH.unpack(meta[META].value)[0] != start - MARK - 12 or TAG.unpack_from(head, start)[0] < 8:
            return None
        syntax = PLAIN[meta[SYNTAX].value.rstrip(b"\0 ")]
        implicit = syntax == uid.ImplicitVRLittleEndian
        found, _ = _elements(head, start, wanted, last, implicit)
        encoding = None
        if CHARACTERS in found:
            names = found[CHARACTERS].value.decode("ascii").rstrip("\0 ").split("\\")
            encoding = convert_encodings(names if len(names) > 1 else names[0].strip())
    except (LookupError, struct.error, ValueError, RecursionError):
        return None
    dataset = Dataset(found)
    dataset.set_original_encoding(implicit, True, encoding)
    return dataset, uid.UID(syntax)


def _elements(head: bytes, at: int, wanted, last: int, implicit: bool) -> tuple[dict, int]:
    """{tag: element} of those that are wanted, from the byte `at` to the first tag beyond `last`, and its place.

    Raises:
        KeyError, struct.error, RecursionError: the elements do not ascend, have no known VR, or reach beyond `head`.
    """
    found = {}
    before = -1
    tag = _tag(head, at)
    while tag <= last:
        vr, start, end = _element(head, at, implicit)
        if tag <= before or end > len(head) or (tag in wanted and vr == b"SQ"):
            raise KeyError(tag)
        if tag in wanted:
            found[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr and vr.decode(), end - start, head[start:end], start,
                                                 implicit, True)
        before = tag
        at = end
        tag = _tag(head, at)
    return found, at


def _tag(head: bytes, at: int) -> int:
    group, element = TAG.unpack_from(head, at)
    return group << 16 | element


def _element(head: bytes, at: int, implicit: bool) -> tuple[bytes | None, int, int]:
    """VR of the element at a byte (None where it is implicit), where its value starts and where it ends."""
    vr = None if implicit else head[at + 4:at + 6]
    if vr in SHORT:
        return vr, at + 8, at + 8 + WORD.unpack_from(head, at + 6)[0]
    if not implicit and vr not in LONG:
        raise KeyError(vr)
    start = at + (8 if implicit else 12)
    length, = LENGTH.unpack_from(head, start - 4)
    if length != UNDEFINED:
        return vr, start, start + length
    if vr not in (None, b"SQ"):
        raise KeyError(vr)
    return b"SQ", start, _end_of_sequence(head, start, implicit)


def _end_of_sequence(head: bytes, at: int, implicit: bool) -> int:
    """Where a sequence of undefined length ends."""
    tag = _tag(head, at)
    while tag == ITEM:
        length, = LENGTH.unpack_from(head, at + 4)
        at = _end_of_item(head, at + 8, implicit) if length == UNDEFINED else at + 8 + length
        tag = _tag(head, at)
    if tag != END:
        raise KeyError(tag)
    return at + 8


def _end_of_item(head: bytes, at: int, implicit: bool) -> int:
    """Where an item of undefined length ends."""
    while _tag(head, at) != END_OF_ITEM:
        _, _, at = _element(head, at, implicit)
    return at + 8
