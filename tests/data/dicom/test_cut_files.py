"""Files that end too early and pixels that lie: each is told by its own cause, and nothing is written beside it."""

import os
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from small_delivery import REAL, REPO, needs_real, write_slice
from two_participants import read, rewrite, sentence

from namd.data.dicom.geometry import find_instance
from namd.data.dicom.header import Header
from namd.data.dicom.pixels import AIR_HU, read_crop, read_hu
from namd.data.dicom.series import read_series
from namd.data.refused import RefusedError

pytestmark = pytest.mark.filterwarnings("ignore")
CUT = "is cut off; copy it again"
STUMP = "1.dcm is empty or cut off at its first bytes; copy it again"


@pytest.mark.parametrize("n_bytes, words", [(0, STUMP), (100, STUMP), (200, CUT), (400, CUT), (600, CUT)])
@pytest.mark.parametrize("name", ["1.dcm", "0.dcm"])
def test_a_cut_file_is_told_as_cut_beside_the_nodule_too(two, n_bytes, words, name):
    os.truncate(two / "100001_0" / name, n_bytes)
    refusal, other = read(two)
    assert other is None and refusal.code == "E23" and words.replace("1.dcm", name) in refusal.message
    assert name in refusal.message and refusal.message in sentence(two / "100001_0")


def test_a_file_that_is_cut_behind_the_header_still_gives_its_place(two):
    file = two / "100001_0" / "0.dcm"
    whole = pydicom.dcmread(file)
    os.truncate(file, file.stat().st_size - len(whole.PixelData) // 2)
    assert read(two) == [None, None]
    os.truncate(two / "100001_0" / "1.dcm", file.stat().st_size)
    assert "damaged pixels (14400 bytes, not the 28800 of 120 Rows" in read(two)[0].message


def test_a_note_or_a_report_beside_the_slices_is_passed_over(two):
    (two / "100001_0" / "VERSION").write_text("1")
    report = pydicom.dcmread(two / "100001_0" / "0.dcm")
    for name in ("PixelData", "RescaleSlope", "RescaleIntercept", "Rows", "Columns"):
        del report[name]
    report.Modality = "SR"
    report.save_as(two / "100001_0" / "report.dcm")
    assert read(two) == [None, None]


CASES = {
    "palette": (dict(PhotometricInterpretation=b"PALETTE COLOR "), "E23", "PhotometricInterpretation PALETTE COLOR,"),
    "high bit": (dict(HighBit=b"\3\0"), "E23", "has HighBit 3, so it is no CT slice"),
    "no bits": (dict(BitsStored=b"\0\0"), "E23", "has BitsStored 0,"),
    "more bits than room": (dict(BitsStored=b"\x14\0"), "E23", "has BitsStored 20,"),
    "frames": (dict(NumberOfFrames=b"abc "), "E23", "has NumberOfFrames abc,"),
    "colours": (dict(SamplesPerPixel=b"\3\0"), "E23", "has SamplesPerPixel 3,"),
    "no intercept": (dict(RescaleIntercept=b"0 "), "E21", "has no pixel below -300 HU"),
    "huge slope": (dict(RescaleSlope=b"1e300 "), "E21", "gives HU from"),
    "tiny slope": (dict(RescaleSlope=b"1e-7"), "E21", "no tissue around the nodule: no pixel is above -1024 HU"),
    "blank": (dict(PixelData=b"\0" * 28800), "E21", "shows no tissue around the nodule"),
    "no UID": (dict(SOPInstanceUID=b""), "E23", "has an empty SOPInstanceUID or none; export"),
}


@pytest.mark.parametrize("case", CASES)
def test_pixels_that_lie_are_told_by_attribute_and_value(two, case):
    change, code, words = CASES[case]
    rewrite(two / "100001_0", **change)
    refusal, other = read(two)
    assert other is None and refusal.code == code and words in refusal.message
    assert "copy" not in refusal.message and "The " not in refusal.message


@pytest.mark.parametrize("change", [
    dict(InstanceNumber=b"3A"), dict(NumberOfFrames=b"abc "), dict(RescaleSlope=b"1e300 ")])
def test_no_library_warns_the_user(two, change):
    rewrite(two / "100001_0", **change)
    code = f"import sys; sys.path.insert(0, {str(REPO / 'tests/data')!r}); from two_participants import read; " \
           f"from pathlib import Path; print(read(Path({str(two)!r}))[0].code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO,
                          env={**os.environ, "PYTHONPATH": str(REPO)})
    assert done.returncode == 0 and done.stderr == ""


def test_a_slice_with_some_air_is_read(tmp_path):
    stored = np.full((200, 200), 1200, np.uint16)
    write_slice(tmp_path / "a.dcm", stored)
    with pytest.raises(RefusedError, match="^E21 .* a.dcm has no pixel below -300 HU.* holds 176 to 176 HU"):
        read_crop(read_series(tmp_path), 0, (100, 100))
    stored[0, 0] = 1024 + AIR_HU - 1
    write_slice(tmp_path / "a.dcm", stored)
    assert read_crop(read_series(tmp_path), 0, (100, 100))[0].shape == (128, 128)


@needs_real
def test_every_slice_of_a_real_scan_is_whole_and_has_air():
    series = read_series(REAL / "chest_ct_philips")
    assert find_instance(series, 1) == len(series.slices) - 1
    assert max(read_hu(item.path).min() for item in series.slices[::8]) < AIR_HU
    assert all(Header(item.path).instance for item in series.slices)
