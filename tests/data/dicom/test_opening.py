"""Bytes before a library believes them: bare data sets, bombs, damaged files that still name their series."""

import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless
from small_delivery import CENTRE, write_series, write_slice
from two_participants import POINT, read, sentence

from namd.data.dicom import codestream
from namd.data.dicom.header import Header
from namd.data.dicom.nodule import read_nodule_at
from namd.data.dicom.opening import MAX_BYTES, is_bare, named_series
from namd.data.dicom.pixels import read_crop, read_hu
from namd.data.dicom.series import index_series, read_series
from namd.data.refused import RefusedError

pytestmark = pytest.mark.filterwarnings("ignore")
SIZ = b"\xff\x4f\xff\x51\0\x29\0\0"


def rewrite(folder, change):
    for file in sorted(folder.iterdir()):
        ds = pydicom.dcmread(file)
        change(ds)
        ds.save_as(file, enforce_file_format=True)


def deflated(folder):
    """Deflate the files of a folder, whose last rows become noise, so that the stream is longer than its header."""
    def change(ds):
        noise = np.random.default_rng(0).integers(0, 2000, 1200).astype("<u2").tobytes()
        ds.PixelData = ds.PixelData[:-len(noise)] + noise
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    rewrite(folder, change)


def as_bytes(folder, change):
    for file in sorted(folder.iterdir()):
        file.write_bytes(change(file.read_bytes()))


def without_meta(raw):
    """The data set of a file alone."""
    return raw[144 + int.from_bytes(raw[140:144], "little"):]


def test_a_file_without_its_preamble_is_read_by_its_meta(two):
    as_bytes(two / "100001_0", lambda raw: raw[132:])
    assert read(two) == [None, None] and read_nodule_at(two / "100001_0", POINT).crop[64, 64] == 40


def test_a_bare_data_set_is_found_and_says_what_it_lacks(two):
    as_bytes(two / "100001_0", without_meta)
    refusal, other = read(two)
    assert other is None and refusal.code == "E23" and "in which transfer syntax" in refusal.message


@pytest.mark.parametrize("start", [b"", b"\x08\0", b"\x08\0\5\0hello wo", b"\2\0\0\1UL\4\0", b"PK\3\4", b"pid,age\n"])
def test_other_files_are_no_bare_data_set(start):
    assert not is_bare(start)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-2000], lambda raw: raw[:-900] + b"\xa5" * 99 + raw[-801:]],
                         ids=["half", "other bytes"])
def test_a_damaged_deflated_series_is_in_the_delivery_and_damaged(two, damage):
    deflated(two / "100001_0")
    assert read(two) == [None, None]
    as_bytes(two / "100001_0", damage)
    refusal, other = read(two)
    assert other is None and refusal.code == "E23" and "damaged" in refusal.message
    assert sentence(two / "100001_0").startswith("E23")


@pytest.mark.parametrize("pixels", [True, False], ids=["pixels", "header"])
def test_a_file_that_inflates_beyond_any_slice_takes_no_memory(tmp_path, pixels):
    write_slice(tmp_path / "a.dcm", np.zeros((64, 64), np.uint16))
    raw = (tmp_path / "a.dcm").read_bytes()
    meta = raw[:144 + int.from_bytes(raw[140:144], "little")]
    meta = meta.replace(b"UI\x14\0" + b"1.2.840.10008.1.2.1\0", b"UI\x16\0" + b"1.2.840.10008.1.2.1.99")
    meta = meta[:140] + (len(meta) - 144).to_bytes(4, "little") + meta[144:]
    pack = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = [pack.compress(without_meta(raw)), *(pack.compress(bytes(1 << 20)) for _ in range(256)), pack.flush()]
    (tmp_path / "a.dcm").write_bytes(meta + b"".join(packed))
    tracemalloc.start()
    with pytest.raises(RefusedError, match="^E23.*a.dcm inflates to more than 64 MiB"):
        Header(tmp_path / "a.dcm", pixels)
    assert tracemalloc.get_traced_memory()[1] < MAX_BYTES / 4
    tracemalloc.stop()


def test_a_file_larger_than_any_slice_is_not_read_whole(tmp_path):
    write_slice(tmp_path / "a.dcm", np.zeros((64, 64), np.uint16))
    with open(tmp_path / "a.dcm", "ab") as file:
        file.truncate(MAX_BYTES + 1)
    assert Header(tmp_path / "a.dcm").instance == 1
    with pytest.raises(RefusedError, match="E23.*holds more than 64 MiB"):
        read_hu(tmp_path / "a.dcm")


FRAMES = {
    "JPEG 2000": (JPEG2000Lossless, SIZ + b"".join(n.to_bytes(4) for n in (60000, 50000, 0, 0)), (50000, 60000)),
    "with an offset": (JPEG2000Lossless, SIZ + b"".join(n.to_bytes(4) for n in (70, 68, 6, 4)), (64, 64)),
    "JPEG-LS": (JPEGLSLossless, b"\xff\xd8\xff\xf7\0\x0b\x10\xea\x60\xc3\x50\1", (60000, 50000)),
    "JPEG behind a table": (JPEGLSLossless, b"\xff\xd8\xff\xc4\0\4\0\0\xff\xff\xc3\0\x0b\x10\0\x40\0\x41\1", (64, 65)),
    "cut off": (JPEGLSLossless, b"\xff\xd8\xff\xf7\0\x0b", None), "no image": (JPEGLSLossless, b"none", None),
    "a loop": (JPEGLSLossless, b"\xff\xd8\xff\xe0\0\0" * 9, None),
}


@pytest.mark.parametrize("case", FRAMES)
def test_what_a_compressed_image_says_of_its_size_is_read_before_a_decoder(tmp_path, case):
    syntax, frame, size = FRAMES[case]
    assert codestream.size(frame) == size
    write_slice(tmp_path / "a.dcm", np.zeros((64, 64), np.uint16))
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    ds.save_as(tmp_path / "a.dcm")
    too_large = size not in (None, (64, 64))
    words = f"holds a compressed image of {size[0]} x {size[1]}" if too_large else "E23"
    with pytest.raises(RefusedError, match=words):
        read_hu(tmp_path / "a.dcm")


@pytest.mark.parametrize("raw", [b"", b"\x20\0\x0e\0", b"\x20\0\x0e\0UI\xff\xff" + b"\xe9" * 9, b"x" * 999])
def test_bytes_that_name_no_series(tmp_path, raw):
    (tmp_path / "a").write_bytes(raw)
    assert named_series(tmp_path / "a") == "" == named_series(tmp_path / "absent")


def test_declared_padding_is_air_whatever_its_number_means(tmp_path):
    stored = np.full((120, 120), 1064, np.uint16)
    stored[:20] = 63536                                          # -2000 in two's complement
    write_slice(tmp_path / "a" / "1.dcm", stored, PixelPaddingValue=63536)
    series = read_series(tmp_path / "a")
    assert read_hu(tmp_path / "a" / "1.dcm")[0, 0] == -1024 and series.padding == 63536
    assert read_crop(series, 0, CENTRE)[0][64, 64] == 40
    stored[:20] = 32000
    write_slice(tmp_path / "b" / "1.dcm", stored, PixelPaddingValue=31000, PixelPaddingRangeLimit=33000)
    assert read_hu(tmp_path / "b" / "1.dcm")[0, 0] == -1024
    write_slice(tmp_path / "c" / "1.dcm", stored, PixelPaddingValue=None or 5)
    assert read_hu(tmp_path / "c" / "1.dcm")[0, 0] == 32000 - 1024


@pytest.mark.parametrize("change, words", [
    (dict(BodyPartExamined="BRAIN"), "names the body part BRAIN, not the chest"),
    (dict(LossyImageCompression="01"), "compressed with loss"), (dict(PixelPaddingValue=7), "are stored as 7"),
    (dict(BodyPartExamined="chest^routine"), None), (dict(LossyImageCompression="00"), None), ({}, None)])
def test_a_series_says_what_makes_it_doubtful(tmp_path, change, words):
    write_series(tmp_path, 100001, 0, 5, **change)
    doubts = read_series(tmp_path).doubts
    assert len(doubts) == bool(words) and (words or "") in "".join(doubts)


def test_series_in_one_folder_are_told_from_absent_ones(two):
    for file in (two / "100001_1").iterdir():
        file.rename(two / "100001_0" / f"x{file.name}")
    (two / "100001_1").rmdir()
    refusal, other = read(two)
    assert other is None and refusal.code == "E16" and set(index_series(two, 1)) == {
        f"1.2.{pid}.{year}" for pid in (100001, 100002) for year in (0, 1)}
