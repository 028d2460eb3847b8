"""One XML file: what is read of it, and one sentence for everything that is wrong with it."""

import os
from pathlib import Path

import pytest
from small_lidc import RATINGS, four, nodule, reading, roi, square

from namd.data.lidc.labels import class_of
from namd.data.lidc.sessions import SYNTHETIC, read_sessions
from namd.data.refused import REASONS, RefusedError

UID = "1.2.3"
GOOD = roi(UID, square(90, 80, 20))


def read(folder, text):
    path = folder / "069.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sessions(path)


def test_marks_are_what_the_file_says(tmp_path):
    hole = roi(UID, square(95, 85, 3), inclusion="FALSE")
    found = read(tmp_path, reading(UID, nodule("IL057_1", GOOD, hole, roi(UID, [(1, 2)], k=2), malignancy=5), "",
                                   nodule(" 12 ", roi(UID, square(4, 6, 2), k=0))))
    first, second = found.marks
    assert found.series_uid == UID and not found.refused and not found.synthetic
    assert (first.reader, first.name, second.reader, second.name) == (1, "IL057_1", 3, "12")
    assert first.ratings == RATINGS | dict(malignancy=5) and list(first.ratings) == list(RATINGS)
    assert [line.inclusion for line in first.outlines] == [True, False]             # the single point was a slip
    assert [line.place for line in second.outlines] == ["1.2.3.0"]
    assert second.outlines[0].points.tolist() == [list(point) for point in square(4, 6, 2)]


def test_a_file_without_its_name_space_and_with_a_byte_order_mark_is_read(tmp_path):
    text = reading(UID, *four(UID)).replace(' xmlns="http://www.nih.gov"', "")
    assert len(read(tmp_path, b"\xef\xbb\xbf" + text.encode()).marks) == 4


@pytest.mark.parametrize("site,said,expected", [
    (f" {SYNTHETIC}\n", "Second unblinded read", True), ("removed", "Phantom quality check", False),
    ("Phantom Lab, Iowa", "synthetic", False), ("removed", SYNTHETIC, False)])
def test_a_reading_that_nobody_made_says_so_where_our_phantom_does(tmp_path, site, said, expected):
    assert read(tmp_path, reading(UID, *four(UID), said=said, site=site)).synthetic == expected


FILES = {
    "no XML": ("pid,age\n1,2\n", "069.xml is no XML (syntax error: line 1, column 0); copy it again"),
    "cut off": (reading(UID, *four(UID))[:900], "is no XML"),
    "empty": ("", "is no XML (no element found"),
    "encoding": ('<?xml version="1.0" encoding="klingon"?><a/>', "is no XML (unknown encoding"),
    "a chest film": ("<IdriReadMessage xmlns='http://www.nih.gov'/>", "is a IdriReadMessage, not a LidcReadMessage"),
    "no series": (reading("", *four(UID)), "names no SeriesInstanceUid"),
    "no header": ("<LidcReadMessage><readingSession/></LidcReadMessage>", "names no SeriesInstanceUid"),
    "no session": (reading(UID), "holds 0 reading sessions, not 1 to 4"),
    "five sessions": (reading(UID, *four(UID), ""), "holds 5 reading sessions, not 1 to 4"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_reading_is_refused_whole(tmp_path, case):
    text, words = FILES[case]
    with pytest.raises(RefusedError) as refused:
        read(tmp_path, text)
    assert refused.value.code == "E26" and words in refused.value.message and "\n" not in refused.value.message


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that even root cannot read")
def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    os.symlink("/proc/self/mem", tmp_path / "a.xml")
    with pytest.raises(RefusedError, match="a.xml cannot be opened .Input/output error.$"):
        read_sessions(tmp_path / "a.xml")


BAD = "<xCoord>{}</xCoord><yCoord>3</yCoord>"
MARKS = {
    "below 3 mm": (nodule("9", roi(UID, [(70, 70)]), rated=False), "E27", "marked by a point, as nodules below 3 mm"),
    "below 3 mm, rated 0": (nodule("9", roi(UID, [(70, 70)]), **dict.fromkeys(RATINGS, 0)), "E27", "below 3 mm"),
    "no outline": (nodule("9"), "E27", "and has no outline"),
    "only a hole": (nodule("9", roi(UID, square(9, 9, 3), inclusion="FALSE")), "E27", "goes round a hole"),
    "inclusion": (nodule("9", roi(UID, square(9, 9, 3), inclusion="MAYBE")), "E27", "inclusion is MAYBE in slice 1.2"),
    "no inclusion": (nodule("9", GOOD.replace("TRUE", "")), "E27", "inclusion is missing"),
    "a letter": (nodule("9", GOOD.replace("<xCoord>89<", "<xCoord>8g<")), "E27", "yCoord in slice 1.2.3.1 is no"),
    "half a pixel": (nodule("9", GOOD.replace("<xCoord>89<", "<xCoord>89.5<")), "E27", "is no whole number"),
    "a missing number": (nodule("9", GOOD.replace("<xCoord>89</xCoord>", "")), "E27", "is no whole number"),
    "a huge number": (nodule("9", GOOD.replace("<xCoord>89<", f"<xCoord>{10**30}<")), "E27", "is no whole number"),
    "unrated": (nodule("9", GOOD, rated=False), "E04", "it is outlined, but subtlety is not rated"),
    "rating 0": (nodule("9", GOOD, malignancy=0), "E04", "malignancy is 0; allowed 1 to 5"),
    "rating 6": (nodule("9", GOOD, malignancy=6), "E04", "malignancy is 6; allowed 1 to 5"),
    "rating empty": (nodule("9", GOOD, malignancy=""), "E04", "malignancy is empty; allowed 1 to 5"),
    "rating a word": (nodule("9", GOOD, texture="solid"), "E04", "texture is solid; allowed 1 to 5"),
    "rated twice": (nodule("9", GOOD, malignancy="3</malignancy><malignancy>5"), "E04",
                    "malignancy is rated 2 times, once is allowed"),
    "calcification 7": (nodule("9", GOOD, calcification=7), "E04", "calcification is 7; allowed 1 to 6"),
    "structure 5": (nodule("9", GOOD, internalStructure=5), "E04", "internalStructure is 5; allowed 1 to 4"),
    "twice": (nodule("9", GOOD) + nodule("9", GOOD), "E03", "its noduleID occurs 2 times in the session of reader 2"),
    "nameless twice": (nodule("", GOOD) + nodule("", GOOD), "E03", "occurs 2 times"),
}


@pytest.mark.parametrize("case", MARKS)
def test_a_mark_that_cannot_be_used_costs_nothing_else(tmp_path, case):
    spoilt, code, words = MARKS[case]
    found = read(tmp_path, reading(UID, nodule("9", GOOD), spoilt + nodule("10", GOOD)))
    assert [mark.name for mark in found.marks] == ["9", "10"]
    assert len(found.refused) == spoilt.count("<unblinded")
    for row in found.refused:
        assert row.code == code in REASONS and words in row.message and row.stage == "reading"
        assert row.source_id.startswith("1.2.3 reader 2 nodule ")


@pytest.mark.parametrize("ratings,expected", [
    ((1, 2, 2), 0), ((2, 2, 3, 3), 1), ((2, 3, 3), 1), ((3, 3, 4), 1), ((3, 3, 4, 4), 1), ((3, 4, 4), 2),
    ((1, 1, 5, 5), 1), ((2, 2, 3), 0), ((5,), 2), ((2, 2, 2, 5), 0)])
def test_the_class_is_the_median_and_half_way_is_unsure(ratings, expected):
    assert class_of(ratings) == expected
