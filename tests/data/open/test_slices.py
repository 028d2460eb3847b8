"""Which objects a nodule needs, told from the first bytes of each."""

import inspect
import io

import numpy as np
import pydicom
import pytest
from small_delivery import write_slice

from namd.data.dicom.geometry import find_position, slice_gap
from namd.data.dicom.series import read_series
from namd.data.open import slices
from namd.data.open.bucket import Stored
from namd.data.open.series import REACH
from namd.data.open.slices import choose, look
from namd.data.refused import RefusedError

PIXELS = np.full((64, 64), 1000, np.uint16)


def seen(path, read=None):
    content = path.read_bytes()
    sizes = []

    def start(n_bytes):
        sizes.append(n_bytes)
        return content[:n_bytes]

    return look(Stored(path.name, len(content), ""), start), sizes


@pytest.fixture
def series(tmp_path):
    """Twenty slices 2.5 mm apart, numbered from the head: 20 is the lowest."""
    for i in range(20):
        write_slice(tmp_path / f"{i:02d}", PIXELS, z=2.5 * i, instance=20 - i)
    return tmp_path


def chosen(folder, *places):
    found = choose([seen(path)[0] for path in sorted(folder.iterdir()) if path.is_file()], places, REACH)
    return [int(one.key) for one in found]


def test_reach_is_the_one_of_the_reader():
    assert REACH == inspect.signature(slice_gap).parameters["reach"].default


def test_a_nodule_takes_the_slices_around_it_by_number_name_or_point(series):
    assert chosen(series, 10) == [8, 9, 10, 11, 12]
    assert chosen(series, "1.2.3.10") == [8, 9, 10, 11, 12]
    assert chosen(series, (0.0, 0.0, 26.0)) == [8, 9, 10, 11, 12]
    assert chosen(series, 20, (0.0, 0.0, 47.0)) == [0, 1, 2, 17, 18, 19]
    assert chosen(series, 99) == [0, 1, 2]                                  # the reader names the numbers that are


@pytest.mark.parametrize("z", range(0, 50, 3))
def test_a_part_is_read_as_the_whole(series, tmp_path, z):
    whole = read_series(series)
    part = tmp_path / "part"
    part.mkdir()
    for i in chosen(series, (0.0, 0.0, float(z)), 4):
        (series / f"{i:02d}").rename(part / f"{i:02d}")
    point = (-30.0, -20.0, float(z))
    i, pixel = find_position(whole, point)
    j, same = find_position(read_series(part), point)
    assert whole.slices[i].sop_uid == read_series(part).slices[j].sop_uid and same == pixel
    assert slice_gap(read_series(part), j) == slice_gap(whole, i) == 2.5


def test_a_point_beyond_the_end_is_refused_in_a_part_too(series, tmp_path):
    part = tmp_path / "part"
    part.mkdir()
    for i in chosen(series, (0.0, 0.0, 60.0), 20):
        (series / f"{i:02d}").rename(part / f"{i:02d}")
    with pytest.raises(RefusedError, match="12.5 mm from the nearest slice"):
        find_position(read_series(part), (0.0, 0.0, 60.0))


def test_a_header_is_asked_for_in_larger_pieces_until_it_ends(tmp_path):
    write_slice(tmp_path / "a", PIXELS, instance=7, z=3.0)
    found, sizes = seen(tmp_path / "a")
    assert sizes == [4096] and (found.instance, found.along, found.uid) == (7, 3.0, "1.2.3")
    write_slice(tmp_path / "b", PIXELS, instance=7, z=3.0, ImageComments="x" * 9000, PatientComments="y" * 9000)
    found, sizes = seen(tmp_path / "b")
    assert sizes == [4096, 65536] and (found.instance, found.along) == (7, 3.0)


@pytest.mark.parametrize("cut", range(130, 1000, 37))
def test_a_header_that_is_cut_anywhere_is_no_header(tmp_path, cut):
    """Never a shorter number: each value is believed only when something behind it was seen."""
    write_slice(tmp_path / "a", PIXELS, ImagePositionPatient=[-123.456, -234.567, -1234.5678], instance=12345)
    content = (tmp_path / "a").read_bytes()
    head = slices.header(content[:cut])
    if head is not None:
        assert head.ImagePositionPatient[2] == -1234.5678 and head.InstanceNumber == 12345
    assert slices.header(content) is not None


def test_what_the_reader_refuses_the_whole_for_goes_along(series):
    write_slice(series / "20", PIXELS, z=45.0, instance=77, sop="1.2.3.77")             # a second one at 18
    write_slice(series / "21", PIXELS, z=100.0, instance=78, PixelSpacing=[.5, .5])
    write_slice(series / "22", PIXELS, z=110.0, instance=79, uid="1.2.4")
    write_slice(series / "23", PIXELS, z=120.0, instance=80, ImagePositionPatient=["1", "2"])
    (series / "24").write_bytes(b"no DICOM")
    assert chosen(series, 15) == [0, 3, 4, 5, 6, 7, 18, 20, 21, 22, 23, 24]


def test_a_name_that_two_slices_have_goes_along_from_both_places(series):
    write_slice(series / "20", PIXELS, z=80.0, instance=77, sop="1.2.3.20")              # the name of slice 0
    assert chosen(series, 10) == [0, 8, 9, 10, 11, 12, 20]


def test_a_localizer_is_no_neighbour(series):
    write_slice(series / "20", PIXELS, z=26.0, instance=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert chosen(series, (0.0, 0.0, 26.0)) == [8, 9, 10, 11, 12]


def test_a_deflated_file_is_read_whole(tmp_path):
    write_slice(tmp_path / "a", np.random.default_rng(1).integers(0, 4000, (200, 200)).astype(np.uint16), instance=3)
    dataset = pydicom.dcmread(tmp_path / "a")
    buffer = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(buffer, enforce_file_format=True)
    (tmp_path / "b").write_bytes(buffer.getvalue())
    found, sizes = seen(tmp_path / "b")
    assert found.instance == 3 and sizes[-1] >= len(buffer.getvalue())
