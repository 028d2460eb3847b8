"""Headers that a person or a scanner got wrong, and damaged files: each costs one nodule at most."""

import pydicom
import pytest
from two_participants import read, rewrite, sentence

from namd.data.refused import REASONS

pytestmark = pytest.mark.filterwarnings("ignore")


HEADERS = {
    "decimal comma": (dict(PixelSpacing=b"0,75\\0,75 "), "E22"), "one spacing": (dict(PixelSpacing=b"0.75"), "E22"),
    "three spacings": (dict(PixelSpacing=b"1\\1\\1 "), "E22"), "no number": (dict(PixelSpacing=b"NaN\\NaN "), "E22"),
    "spacing in metres": (dict(PixelSpacing=b"750\\750 "), "E22"), "word": (dict(PixelSpacing=b"small "), "E22"),
    "five cosines": (dict(ImageOrientationPatient=b"1\\0\\0\\0\\1 "), "E20"),
    "no direction": (dict(ImageOrientationPatient=b"0\\0\\0\\0\\0\\0 "), "E20"),
    "infinite": (dict(ImageOrientationPatient=b"inf\\0\\0\\0\\1\\0 "), "E20"),
    "text position": (dict(ImagePositionPatient=b"a\\b\\c "), "E20"),
    "no place": (dict(ImagePositionPatient=b"nan\\0\\0 "), "E20"),
    "far away": (dict(ImagePositionPatient=b"1e300\\0\\0 "), "E20"),
    "number with a fraction": (dict(InstanceNumber=b"1.5 "), "E23"),
    "huge number": (dict(InstanceNumber=b"1e99"), "E23"), "empty number": (dict(InstanceNumber=b""), "E23"),
    "slope 0": (dict(RescaleSlope=b"0 "), "E21"), "slope NaN": (dict(RescaleSlope=b"nan "), "E21"),
    "slope text": (dict(RescaleSlope=b"one "), "E21"), "huge slope": (dict(RescaleSlope=b"1e300 "), "E21"),
    "no intercept": (dict(RescaleIntercept=b""), "E21"), "two intercepts": (dict(RescaleIntercept=b"0\\1 "), "E21"),
    "rows 0": (dict(Rows=b"\0\0"), "E23"), "rows 65535": (dict(Rows=b"\xff\xff"), "E23"),
    "fewer rows": (dict(Rows=b"\x64\0"), "E23"),
    "half the columns": (dict(Columns=b"\x3c\0"), "E23"), "rows of one byte": (dict(Rows=b"\x78"), "E23"),
    "odd bits": (dict(BitsAllocated=b"\x0d\0"), "E23"), "colours": (dict(SamplesPerPixel=b"\3\0"), "E23"),
    "frames": (dict(NumberOfFrames=b"3 "), "E23"), "no pixels": (dict(PixelData=None), "E23"),
    "empty pixels": (dict(PixelData=b""), "E23"), "half the pixels": (dict(PixelData=b"\0" * 14400), "E23"),
    "other patient": (dict(PatientID=b"200001.0"), "E17"), "odd date": (dict(StudyDate=b"02JAN99 "), "E17"),
    "another UID": (dict(SeriesInstanceUID=b"\xff\xfe.1 "), "E15"), "empty UID": (dict(SeriesInstanceUID=b""), "E15"),
}


UNASKED = ("another UID", "number with a fraction", "huge number", "empty number")      # of `predict`


@pytest.mark.parametrize("case", HEADERS)
def test_one_odd_header_costs_one_nodule_and_says_why(two, case):
    change, code = HEADERS[case]
    rewrite(two / "100001_0", **change)
    refusal, other = read(two)
    assert other is None and refusal.code == code and "\n" not in str(refusal)
    assert bool(sentence(two / "100001_0")) == (code != "E17" and case not in UNASKED)


@pytest.mark.parametrize("change", [
    dict(SliceThickness=b"thin"), dict(SliceThickness=b""), dict(SliceThickness=b"1e400 "),
    dict(ConvolutionKernel=b"B30f\\3\xff"), dict(Manufacturer=b"\0\n\xc3"), dict(SpecificCharacterSet=b"KLINGON "),
    dict(PatientID=b"100001 \0"), dict(StudyDate=b"1999.01.02"), dict(SmallestImagePixelValue=b"x"),
    dict(PixelPaddingValue=b"\x30\xf8"), dict(NumberOfFrames=b"1 ")])
def test_what_nobody_needs_may_be_odd(two, change):
    rewrite(two / "100001_0", **change)
    assert read(two) == [None, None]


def without_syntax(raw):
    """The bytes of a file whose meta group names no transfer syntax."""
    element = b"\2\0\x10\0UI\x14\0" + b"1.2.840.10008.1.2.1\0"
    length = int.from_bytes(raw[140:144], "little") - len(element)
    return raw[:140] + length.to_bytes(4, "little") + raw[144:].replace(element, b"")


SYNTAX = b"1.2.840.10008.1.2.1\0"
DAMAGE = {
    "no transfer syntax": without_syntax, "half a file": lambda raw: raw[:len(raw) // 2],
    "a header cut off": lambda raw: raw[:200], "ones in the header": lambda raw: raw[:300] + b"\xff" * 200 + raw[500:],
    "unknown syntax": lambda raw: raw.replace(SYNTAX, b"1.2.840.9.9".ljust(20, b"\0")),
    "an empty element of no VR": lambda raw: raw.replace(b"\x08\0\x60\0CS\2\0CT", b"\x08\0\x60\0C\0\0\0"),
    "a UID of no syntax": lambda raw: raw.replace(SYNTAX, b"1.2.3.4".ljust(20, b"\0")),
    "called big endian": lambda raw: raw.replace(SYNTAX, b"1.2.840.10008.1.2.2\0"),
    "called deflated": lambda raw: raw.replace(b"UI\x14\0" + SYNTAX, b"UI\x16\0" + b"1.2.840.10008.1.2.1.99"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_costs_one_nodule(two, case):
    for file in (two / "100001_0").iterdir():
        file.write_bytes(DAMAGE[case](file.read_bytes()))
    refusal, other = read(two)
    assert other is None and refusal.code in REASONS and sentence(two / "100001_0")
    assert case != "a UID of no syntax" or "E23" in str(refusal) and "no package decodes it" in refusal.message
    assert case != "no transfer syntax" or "E23" in str(refusal) and "does not say" in refusal.message


def test_a_character_set_of_no_name_costs_one_nodule(two):
    for file in (two / "100001_0").iterdir():
        ds = pydicom.dcmread(file)
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.Manufacturer = "caf\u00e9"
        ds.save_as(file)
        file.write_bytes(file.read_bytes().replace(b"ISO_IR 100", b"\0\1_IR \xff00"))
    refusal, other = read(two)
    assert other is None and refusal.code == "E23" and "the header of 0.dcm is damaged" in refusal.message
    assert "E23" in sentence(two / "100001_0")


def test_a_surprise_inside_a_library_costs_one_nodule(two, monkeypatch):
    monkeypatch.setattr("namd.data.nlst.crops.read_crop", lambda series, i, pixel: 1 / 0)
    assert [str(refusal).count("ZeroDivisionError") for refusal in read(two)] == [1, 1]
