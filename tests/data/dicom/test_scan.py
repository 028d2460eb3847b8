"""Our own scan of a header against pydicom: the same elements, or none at all."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from fuzzing import fuzz
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from small_delivery import REAL, needs_real, write_slice

from namd.data.dicom import header, scan
from namd.data.dicom.header import ATTRIBUTES, LAST, WANTED, Header
from namd.data.dicom.opening import is_dicom
from namd.data.folders import regular_files

pytestmark = pytest.mark.filterwarnings("ignore")


def by_pydicom(raw):
    return header._whole(BytesIO(raw), "a.dcm", stop_when=lambda tag, *_: tag > LAST, specific_tags=list(WANTED))


def said(dataset, syntax):
    """Everything that the reader asks of a header."""
    found = Header.__new__(Header)
    found.dataset = dataset
    found.syntax = syntax
    return [syntax, *((found.stored(name), found.text(name), found.number(name)) for name in ATTRIBUTES)]


def agree(raw):
    """Whether our scan read the file; it then says what pydicom says."""
    ours = scan.plain_dataset(raw[:scan.HEAD], WANTED, LAST)
    if ours is not None:
        assert said(*ours) == said(*by_pydicom(raw))
    return ours is not None


@pytest.fixture
def written(tmp_path):
    def write(syntax="1.2.840.10008.1.2.1", **changes):
        write_slice(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16), **changes)
        ds = pydicom.dcmread(tmp_path / "a.dcm")
        ds.file_meta.TransferSyntaxUID = syntax
        if "ReferencedImageSequence" in ds:
            ds["ReferencedImageSequence"].is_undefined_length = True
        pydicom.dcmwrite(tmp_path / "a.dcm", ds, enforce_file_format=True)
        return (tmp_path / "a.dcm").read_bytes()
    return write


def nested(**elements):
    inner = Dataset()
    inner.is_undefined_length_sequence_item = True
    for name, value in elements.items():
        setattr(inner, name, value)
        inner[name].is_undefined_length = name.endswith("Sequence")
    return Sequence([inner, Dataset()])


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
@pytest.mark.parametrize("changes", [
    {}, dict(SpecificCharacterSet="ISO_IR 192", Manufacturer="caf\u00e9"), dict(PixelPaddingValue=63536),
    dict(SpecificCharacterSet=["", "ISO 2022 IR 87"], SeriesDescription="x"), dict(Manufacturer=""),
    dict(PixelPaddingValue=7, PixelRepresentation=1), dict(ReferencedImageSequence=nested(InstanceNumber=9)),
    dict(ReferencedImageSequence=nested(Rows=9, ReferencedImageSequence=nested(InstanceNumber=9))),
    dict(ReferencedImageSequence=Sequence([]))])
def test_plain_files_are_read_as_pydicom_reads_them(written, syntax, changes):
    assert agree(written(syntax, **changes))


@pytest.mark.parametrize("change", [
    lambda raw: raw[:300], lambda raw: raw[:132], lambda raw: raw.replace(b"UI\x14\0", b"UI\xff\xff", 1),
    lambda raw: raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),
    lambda raw: raw.replace(b"\x08\0\x60\0CS", b"\x08\0\x60\0??"),
    lambda raw: raw.replace(b"\x08\0\x60\0", b"\x08\0\1\0")],
    ids=["cut", "mark alone", "long", "big endian", "no VR", "does not ascend"])
def test_what_is_odd_is_left_to_pydicom(written, change):
    assert scan.plain_dataset(change(written()), WANTED, LAST) is None


def test_a_sequence_in_a_sequence_without_end_is_left_to_pydicom(written):
    raw = written("1.2.840.10008.1.2")
    endless = b"\x08\0\x40\x11\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 900
    at = raw.index(b"\x10\0\x20\0")
    assert scan.plain_dataset(raw[:at] + endless + raw[at:], WANTED, LAST) is None


@fuzz()
@given(where=st.integers(132, 1100), what=st.binary(min_size=1, max_size=10), implicit=st.booleans())
@example(where=146, what=b"\0", implicit=False)
def test_whatever_bytes_change_both_say_the_same(tmp_path_factory, where, what, implicit):
    raw = whole(tmp_path_factory, "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1")
    raw = raw[:where] + what + raw[where + len(what):]
    try:
        by_pydicom(raw)
    except Exception:                       # whatever pydicom refuses, the reader may read or refuse
        return
    agree(raw)


WHOLE = {}


def whole(tmp_path_factory, syntax):
    """A file with every attribute that the reader uses."""
    if syntax not in WHOLE:
        file = tmp_path_factory.mktemp("whole") / "a.dcm"
        write_slice(file, np.zeros((8, 8), np.uint16), BodyPartExamined="CHEST", LossyImageCompression="00",
                    PixelPaddingValue=5, SeriesDescription="x", SpecificCharacterSet="ISO_IR 100",
                    ReferencedImageSequence=nested(InstanceNumber=9), NumberOfFrames=1)
        ds = pydicom.dcmread(file)
        ds.file_meta.TransferSyntaxUID = syntax
        ds["ReferencedImageSequence"].is_undefined_length = True
        pydicom.dcmwrite(file, ds, enforce_file_format=True)
        WHOLE[syntax] = file.read_bytes()
    return WHOLE[syntax]


@needs_real
def test_real_headers_are_read_as_pydicom_reads_them():
    files = [file for folder in ("chest_ct_philips", "transfer_syntaxes") for file in regular_files(REAL / folder)]
    assert sum(agree(Path(file).read_bytes()) for file in files if is_dicom(file)) >= 64
