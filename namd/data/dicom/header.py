"""The attributes of one DICOM file, each converted in one guarded place."""

import math
from pathlib import Path

import numpy as np
import pydicom
from pydicom.tag import Tag

from namd.data.refused import RefusedError, one_line

ATTRIBUTES = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "PatientID", "StudyDate", "Modality",
    "ImageType", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "ConvolutionKernel", "Manufacturer", "NumberOfFrames", "Rows", "Columns",
)
TAGS = {name: Tag(name) for name in (*ATTRIBUTES, "RescaleSlope", "RescaleIntercept")}    # looked up once, not a file
CT_CLASSES = {"", *(f"1.2.840.10008.5.1.4.1.1.2{part}" for part in ("", ".1", ".2"))}   # CT, enhanced, converted
SEVERAL = (list, tuple, pydicom.multival.MultiValue)      # how pydicom holds an attribute of several values
MEDIA_INDEX = b"1.2.840.10008.1.3.10"           # SOP class of a DICOMDIR, in the first bytes of the file
NLST_FIELDS = 11                                # of a SeriesDescription as NLST writes it; the second is the view
MAX_SIDE = 8192                                 # rows or columns
MAX_INSTANCE = 2**31


class Header:
    """What one DICOM file says of itself; reading it raises nothing but a RefusedError.

    Args:
        path: the file.
        pixels: read the whole file, so that `dataset` can be decoded.

    Raises:
        RefusedError: E23 where the file is damaged or cut off.

    Source: ours, because a header is typed by people and by scanners, and pydicom converts it only when asked.
    """

    def __init__(self, path, pixels=False):
        self.path = path
        self.name = Path(path).name
        wanted = {} if pixels else {"stop_before_pixels": True, "specific_tags": [TAGS[name] for name in ATTRIBUTES]}
        try:
            self.dataset = pydicom.dcmread(path, **wanted)
        except Exception as error:                                    # every damage raises its own kind
            raise RefusedError("E23", f"the header of {self.name} is damaged ({error}); copy it again") from error
        if not pixels and not self.stored("SOPInstanceUID"):
            raise RefusedError("E23", f"the header of {self.name} is cut off; copy it again")

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
        element = self.dataset.get_item(TAGS[attribute]) if TAGS[attribute] in self.dataset else None
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
    def is_axial_ct(self) -> bool:
        """A CT image that is neither a localizer nor computed from other images, nor a report, a mark or a capture."""
        is_ct = self.stored("Modality") == "CT" and self.stored("SOPClassUID") in CT_CLASSES
        kind = self.stored("ImageType").upper()
        is_acquired = "LOCALIZER" not in kind and "SECONDARY" not in kind
        fields = self.stored("SeriesDescription").split(",")
        is_axial = len(fields) < NLST_FIELDS or fields[1].startswith("OPA")
        return is_ct and is_acquired and is_axial


def is_dicom(path) -> bool:
    """Whether the file carries the DICM mark of DICOM part 10 and is no DICOMDIR, the index of a medium.

    Raises:
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    return start[128:132] == b"DICM" and MEDIA_INDEX not in start
