"""Any value of any attribute that the reader uses, and any bytes of a header: read, or refused with a code."""

import struct
from types import SimpleNamespace

import pytest
from fuzzing import fuzz
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag
from small_delivery import CENTRE, write_series
from two_participants import sentence

from namd.data.dicom.header import ATTRIBUTES, OF_PIXELS
from namd.data.dicom.scan import LONG
from namd.data.dicom.series import read_series, series_uids
from namd.data.nlst.centres import Listed
from namd.data.nlst.crops import Scan
from namd.data.nlst.pieces import read_both
from namd.data.refused import REASONS

pytestmark = pytest.mark.filterwarnings("ignore")
USED = [*ATTRIBUTES, *OF_PIXELS, "PixelData", "SpecificCharacterSet", "TransferSyntaxUID"]
ODD = [b"", b" ", b"nan ", b"inf ", b"-inf", b"1e300 ", b"-1", b"0 ", b"1.5 ", b"1e-300", b"9" * 30, b"0,7\\0,7 ",
       b"\\\\\\\\\\", b"0\\0\\0", b"1\\0\\0\\0\\1\\nan ", b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"CT\0 ", b"MR"]
NUMBERS = st.from_regex(rb"(-?[0-9]{0,3}([.,][0-9]{0,3})?(e[0-9]{1,3})?\\?){1,6}", fullmatch=True)
SYNTAXES = [b"1.2.840.10008.1.2" + end for end in (b"", b".1", b".2", b".5", b".1.99", b".4.50", b".4.70", b".4.80",
                                                  b".4.90", b".4.201", b".9")]
VALUES = st.one_of(st.sampled_from(ODD), NUMBERS, st.binary(max_size=24), st.sampled_from(SYNTAXES),
                   st.binary(min_size=1, max_size=8).map(lambda some: some * 3600))
VRS = st.just(b"") | st.sampled_from(b"DS IS UI US SS FD LO OB UN SQ AT z?".split())
CHANGES = st.one_of(st.tuples(st.sampled_from(USED), VRS, VALUES), st.tuples(st.integers(132, 1300), st.just(b""),
                                                                             st.binary(min_size=1, max_size=12)))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Two years of one participant: `folder` of the first, its files by name, and the second read once."""
    root = tmp_path_factory.mktemp("any")
    folders = [root / str(year) for year in (0, 1)]
    for year, folder in enumerate(folders):
        write_series(folder, 100001, year, 5)
    files = {file.name: file.read_bytes() for file in folders[0].iterdir()}
    return SimpleNamespace(folder=folders[0], files=files, later=folders[1], kept=read_series(folders[1]))


@fuzz()
@given(name=st.sampled_from(["0.dcm", "1.dcm", "1.dcm", "2.dcm"]), change=CHANGES, further=st.none() | CHANGES)
@example(name="1.dcm", change=("RescaleSlope", b"", b"nan "), further=None)
@example(name="1.dcm", change=("ImageOrientationPatient", b"", b"1\\0\\0\\0\\1 "), further=None)
@example(name="1.dcm", change=("PixelSpacing", b"FD", struct.pack("<2d", .7, float("inf"))), further=None)
def test_any_change_of_a_header_is_read_or_refused(case, name, change, further):
    path = case.folder / name
    raw = case.files[name]
    for where, vr, value in filter(None, (change, further)):
        raw = with_element(raw, where, vr, value) if isinstance(where, str) else raw[:where] + value + raw[where + len(
            value):]
    path.write_bytes(raw)
    try:
        uids = series_uids(case.folder)
        assert len(uids) <= 3 and "\n" not in "".join(uids)
        found = read_both(scan(0, [str(case.folder)]), scan(1, [str(case.later)]), opened(case))
        assert (found.crops is None) == (found.refusal is not None)
        assert found.refusal is None or found.refusal.code in REASONS and "\n" not in str(found.refusal)
        assert found.crops is None or found.crops[0].max() >= -700          # nothing broken becomes a picture of air
        sentence(case.folder)
    finally:
        path.write_bytes(case.files[name])


def scan(year, folders):
    uid = f"1.2.100001.{year}"
    return Scan(folders, 100001, year, Listed(100001, year, uid, "nlstx", "0", instance=20, pixel=CENTRE))


def opened(case):
    """`read_series`, with the later year's at hand."""
    return lambda folder: case.kept if folder == str(case.later) else read_series(folder)


def with_element(raw, name, vr, value):
    """The bytes of an explicit little endian file with an element replaced, or put where it belongs."""
    tag = Tag(name)
    vr = vr or dictionary_VR(tag)[:2].encode()
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH2s", tag.group, tag.element, vr)
    head += struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value) % 65536)
    places = list(elements(raw))
    start, end = next(((at, after) for found, at, after in places if found == tag),
                      next(((at, at) for found, at, _ in places if found > tag), (len(raw), len(raw))))
    return raw[:start] + head + value + raw[end:]


def elements(raw):
    """Tag, start and end of each element of a file without sequences."""
    at = 132
    while at + 12 <= len(raw):              # an earlier change may have torn the last one
        group, element, vr = struct.unpack_from("<HH2s", raw, at)
        is_long = vr in LONG
        length = struct.unpack_from("<I", raw, at + 8)[0] if is_long else struct.unpack_from("<H", raw, at + 6)[0]
        end = at + (12 if is_long else 8) + length
        yield Tag(group, element), at, end
        at = end
