"""The attributes of one DICOM file, each converted in one guarded place."""

import math
from pathlib import Path

import numpy as np
import pydicom
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from namd.data.dicom import scan
from namd.data.dicom.opening import refuse_a_bomb
from namd.data.refused import RefusedError, one_line

ATTRIBUTES = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "PatientID", "StudyDate", "Modality",
    "ImageType", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "ConvolutionKernel", "Manufacturer", "NumberOfFrames", "Rows", "Columns", "BodyPartExamined",
    "LossyImageCompression", "PixelRepresentation", "PixelPaddingValue",
)
OF_PIXELS = ("RescaleSlope", "RescaleIntercept", "PixelPaddingRangeLimit", "PhotometricInterpretation",
             "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit")
TAGS = {name: Tag(name) for name in (*ATTRIBUTES, *OF_PIXELS)}                  # looked up once, not a file
LAST = max(TAGS[name] for name in ATTRIBUTES)
CT = "1.2.840.10008.5.1.4.1.1.2"                # SOP class of a CT slice
SEVERAL_SLICES = {f"{CT}.1": "an enhanced CT", f"{CT}.2": "a CT converted to the enhanced form"}
CT_CLASSES = ("", CT, *SEVERAL_SLICES)          # where none is named, the modality tells
SEVERAL = (list, tuple, pydicom.multival.MultiValue)      # how pydicom holds an attribute of several values
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}   # transfer syntaxes that are never without loss
NLST_FIELDS = 11                                # of a SeriesDescription as NLST writes it; the second is the view
MAX_SIDE = 2048                                 # rows or columns
MAX_INSTANCE = 2**31
WANTED = {*(TAGS[name] for name in ATTRIBUTES), Tag("SpecificCharacterSet")}


class Header:
    """What one DICOM file says of itself; reading it raises nothing but a RefusedError.

    Attributes:
        path, name: of the file; dataset: pydicom's; syntax: transfer syntax, a pydicom UID, None where none is named.

    Args:
        path: the file.
        pixels: read the whole file, so that `dataset` can be decoded.

    Raises:
        RefusedError: E23 where the file is damaged, cut off before its pixels or without an SOPInstanceUID.

    Source: ours, because a header is typed by people and by scanners, and pydicom converts it only when asked.
    """

    def __init__(self, path, pixels=False):
        self.path = path
        self.name = Path(path).name
        try:
            with open(path, "rb") as file:
                self.dataset, self.syntax, is_cut = _all(file, self.name) if pixels else _head(file, self.name)
        except RefusedError:
            raise
        except Exception as error:                                    # every damage raises its own kind
            raise RefusedError("E23", f"the header of {self.name} is damaged ({error}); copy it again") from error
        if is_cut and self.stored("Modality") in ("", "CT") and self.stored("SOPClassUID") in CT_CLASSES:
            raise RefusedError("E23", f"the header of {self.name} is cut off; copy it again")
        if not pixels and not self.stored("SOPInstanceUID"):
            raise RefusedError("E23", f"{self.name} has an empty SOPInstanceUID or none; export the series again")

    def _values(self, attribute: str) -> list:
        """The values of an attribute as pydicom converts them; none where it is absent, empty or unreadable."""
        try:
            tag = TAGS[attribute]
            value = self.dataset[tag].value if tag in self.dataset else None
            if isinstance(value, SEVERAL):
                return list(value)
            return [] if value in (None, "") else [value]
        except Exception:                                             # text where a number belongs, an unknown VR ...
            return []

    def stored(self, attribute: str) -> str:
        """An attribute as the file writes it, values parted by a backslash; all of a UID, a date or a code word."""
        try:
            element = self.dataset.get_item(TAGS[attribute]) if TAGS[attribute] in self.dataset else None
        except Exception:                                             # pydicom converts an empty one
            element = None
        value = "" if element is None or element.value is None else element.value
        if isinstance(value, SEVERAL):
            value = "\\".join(map(str, value))
        return one_line(value.decode("latin-1") if isinstance(value, bytes) else value)

    def text(self, attribute: str) -> str:
        """An attribute as clean text in its character set; empty where it is absent or unreadable."""
        words = [one_line(value) for value in self._values(attribute)]
        if len(words) > 1:
            return str(words)
        return words[0] if words else ""

    def number(self, attribute: str, low=-math.inf, high=math.inf) -> float | None:
        """A finite number in (low, high]; None where the file gives no such one."""
        try:
            value, = map(float, self._values(attribute))
        except (TypeError, ValueError, OverflowError):
            return None
        return value if math.isfinite(value) and low < value <= high else None

    def numbers(self, attribute: str, count: int, code: str) -> np.ndarray:
        """(count,) finite float64 values.

        Raises:
            RefusedError: `code` where the attribute is absent, unreadable, of another length or not finite.
        """
        try:
            values = [float(value) for value in self._values(attribute)]
        except (TypeError, ValueError, OverflowError):
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            raise RefusedError(code, f"{self.name} has {attribute} {self.stored(attribute)[:60] or 'missing'}, not "
                               + ("a number" if count == 1 else f"{count} numbers"))
        return np.array(values)

    def padding(self, attribute: str, dtype) -> int | None:
        """What a stored value of `dtype` is where there is no scan; None where the file declares no such whole number.

        Source: ours, because programs write -2000 as 63536 and the reverse.
        """
        value = self.number(attribute, -MAX_INSTANCE, MAX_INSTANCE - 1)
        if value is None or value % 1:
            return None
        return int(np.array(int(value) % 256**dtype.itemsize, dtype=f"u{dtype.itemsize}").astype(dtype))

    @property
    def instance(self) -> int | None:
        """InstanceNumber, where it is a whole number."""
        value = self.number("InstanceNumber", -MAX_INSTANCE, MAX_INSTANCE - 1)
        return None if value is None or value % 1 else int(value)

    @property
    def shape(self) -> tuple[int, int]:
        """(Rows, Columns).

        Raises:
            RefusedError: E23 where they are absent or no size of an image.
        """
        sides = [self.number(name, 0, MAX_SIDE) for name in ("Rows", "Columns")]
        if None in sides:
            raise RefusedError("E23", f"{self.name} does not have 1 to {MAX_SIDE} Rows and Columns; copy it again")
        return int(sides[0]), int(sides[1])

    @property
    def other_kind(self) -> str:
        """What the file is when it is no axial CT image, in words; empty for one.

        An image computed from others is none; an ORIGINAL SECONDARY one is acquired, and NLST has 952 such series.
        """
        if self.stored("Modality") != "CT" or self.stored("SOPClassUID") not in CT_CLASSES:
            return f"no CT image (modality {self.stored('Modality')[:16] or 'missing'})"
        kind = self.stored("ImageType").upper().split("\\")
        fields = self.stored("SeriesDescription").split(",")
        if "LOCALIZER" in kind or (len(fields) >= NLST_FIELDS and not fields[1].startswith("OPA")):
            return "a localizer"
        if "SECONDARY" in kind and kind[0] != "ORIGINAL":
            return "computed from other images"
        return ""

    @property
    def frames(self) -> str:
        """Why the file holds more than one slice, in words; empty where it holds one."""
        words = SEVERAL_SLICES.get(self.stored("SOPClassUID"), "")
        if not words and self.number("NumberOfFrames", 1):
            words = "an image of several frames"
        return words and f"{self.name} is {words}, several slices in one file; export the series as one file a slice"

    @property
    def is_lossy(self) -> bool:
        """Whether the pixels were once compressed with loss, so that HU may be tens off."""
        return self.stored("LossyImageCompression") == "01" or self.syntax in LOSSY


def _all(file, name: str):
    """As `_head`, with the pixels; how many of them there must be, who decodes them tells."""
    return *_whole(file, name), False


def _head(file, name: str):
    """Data set of the ATTRIBUTES of an open file, its transfer syntax (pydicom's, or None), and whether it ends there.

    Source: ours; pydicom reads a cut file without a word, and what it then lacks would be told as missing.
    """
    head = file.read(scan.HEAD)
    found = scan.plain_dataset(head, WANTED, LAST) if head[128:132] == b"DICM" else None
    if found:
        return *found, False
    beyond = []

    def is_beyond(tag, vr, length) -> bool:
        beyond.extend([tag] * (tag > LAST))             # elements ascend
        return bool(beyond)

    return *_whole(file, name, stop_when=is_beyond, specific_tags=list(WANTED)), not beyond


def _whole(file, name: str, **wanted):
    """The same by pydicom, of all elements that are `wanted`; a bare data set is read too."""
    file.seek(0)
    refuse_a_bomb(file, name, whole=not wanted)
    file.seek(0)
    dataset = read_partial(file, force=True, **wanted)
    return dataset, getattr(dataset.file_meta, "TransferSyntaxUID", None)
