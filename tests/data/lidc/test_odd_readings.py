"""What is wrong with an LIDC delivery costs a mark, a nodule or a scan, and says so in one row."""

import os
import shutil

import numpy as np
import pandas as pd
import pydicom
import pytest
from small_lidc import four, nodule, reading, roi, square, write_scan

from namd.data.cohort import Cohort
from namd.data.lidc.build import build_lidc
from namd.data.refused import REASONS
from namd.ground.errors import UserError


def silent(line):
    pass


def build(delivery, out):
    """The cohort of a delivery, opened, and its refused rows."""
    cohort = Cohort.open(build_lidc(delivery, out, workers=1, progress=silent))
    return cohort, pd.read_csv(out / "refused.csv")


def uid(number):
    return f"1.2.826.{number}"


GOOD = square(90, 80, 20)


def sessions(*rois, others=3):
    """A spoilt mark of reader 1, and those of the other readers."""
    return [nodule("1", *rois), *[nodule("1", roi(uid(2), GOOD))] * others]


MARKS = {
    "unknown slice": (roi(uid(2), GOOD, sop="1.2.99"), "an outline lies in slice 1.2.99, which the series of 3 slices"),
    "no slice": (roi(uid(2), GOOD, sop=" "), "lies in slice without imageSOP_UID"),
    "right of the slice": (roi(uid(2), square(190, 80, 20)),
                           "reaches from [189, 79] to [210, 100], outside a slice of 200 x 200"),
    "half of a line": (roi(uid(2), GOOD[:40]), "an outline from [89, 79] on has a gap of 21 pixels; at most 5"),
    "a line twice": (roi(uid(2), GOOD[:-1] * 2), "an outline from [89, 79] on crosses itself; copy the file again"),
    "above the slice": (roi(uid(2), square(90, 0, 20)), "reaches from [89, -1]"),
}


@pytest.mark.parametrize("case", MARKS)
@pytest.mark.parametrize("others", [3, 2])
def test_a_mark_outside_the_series_costs_that_mark_and_perhaps_its_nodule(tmp_path, case, others):
    spoilt, words = MARKS[case]
    write_scan(tmp_path / "d", "P1", uid(1), reading(uid(1), *four(uid(1))))
    write_scan(tmp_path / "d", "P2", uid(2), reading(uid(2), *sessions(spoilt, others=others)))
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    assert len(cohort.pairs) == (2 if others == 3 else 1)
    assert refused.code.tolist() == ["E27", "E14"][:4 - others] and words in refused.message[0]
    assert refused.source_id[0] == f"{uid(2)} reader 1 nodule 1"


def test_columns_are_not_rows(tmp_path):
    """A slice of 200 columns and 150 rows: what lies right of column 150 is in it, what lies below row 150 is not."""
    for number, points in ((1, square(152, 70, 10)), (2, square(90, 145, 10))):
        write_scan(tmp_path / "d", f"P{number}", uid(number),
                   reading(uid(number), *[nodule("1", roi(uid(number), points))] * 3), rows=150)
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    assert cohort.pairs.patient_id.tolist() == ["P1"] and refused.code.tolist() == ["E27"] * 3
    assert refused.message[0].endswith("to [100, 155], outside a slice of 200 x 150")


def test_a_patient_is_one_however_its_name_is_typed(tmp_path):
    for number, name in enumerate(("LIDC-1", "lidc-1 ", " Lidc-1"), start=1):
        write_scan(tmp_path / "d", f"P{number}", uid(number), reading(uid(number), *four(uid(number))), PatientID=name)
    cohort, _ = build(tmp_path / "d", tmp_path / "c")
    assert cohort.pairs.patient_id.tolist() == ["LIDC-1"] * 3 and cohort.manifest["counts"]["patients"] == 1


def spread(n=3):
    """Readers whose outlines touch, but share no pixel."""
    return [nodule("1", roi(uid(2), square(60 + 21 * i, 80, 20))) for i in range(n)]


def torn(lines):
    return [nodule("1", *[roi(uid(2), points) for points in lines])] * 3


NODULES = {
    "no consensus": (spread(), "E27", "no pixel lies within the outlines of at least half of its 3 readers"),
    "beyond the crop": (torn([square(5, 5, 130)]), "E27", "the consensus reaches beyond the crop of 76.8 mm around it"),
    "at the edge of the slice": (torn([square(1, 1, 20)]), "E24", "of the crop around pixel (10, 10) lies outside"),
}


@pytest.mark.parametrize("case", NODULES)
def test_a_nodule_that_cannot_be_used_costs_itself(tmp_path, case):
    spoilt, code, words = NODULES[case]
    write_scan(tmp_path / "d", "P1", uid(1), reading(uid(1), *four(uid(1))))
    write_scan(tmp_path / "d", "P2", uid(2), reading(uid(2), *spoilt))
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    assert cohort.pairs.patient_id.tolist() == ["P1"] and refused.code.tolist() == [code]
    assert words in refused.message[0] and refused.source_id[0] == f"{uid(2)} nodule 1"


KEPT = {
    "two of four": ([nodule("1", roi(uid(2), square(90, 80, side))) for side in (8, 8, 20, 20)], 400),
    "one pixel": (torn([square(90, 80, 1)]), 1),
    "two pieces": (torn([square(90, 80, 6), square(98, 80, 6)]), 72),
    "pieces of one reader": ([nodule("1", roi(uid(2), square(90, 80, 6))) + nodule("2", roi(uid(2), square(98, 80, 6))),
                              *[nodule("1", roi(uid(2), square(90, 80, 6)), roi(uid(2), square(98, 80, 6)))] * 2], 72),
    "a missing session": (four(uid(2), (3, 3, 3)), 400),
}


@pytest.mark.parametrize("case", KEPT)
def test_odd_nodules_that_enter(tmp_path, case):
    marks, n_pixels = KEPT[case]
    write_scan(tmp_path / "d", "P2", uid(2), reading(uid(2), *marks))
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    pairs = cohort.split("train")
    assert refused.empty and len(pairs) == 1
    grid = n_pixels if n_pixels > 1 else 4              # half a pixel off in both directions: a quarter of each
    assert pairs.masks.sum() == grid and len(cohort.readers) == len(marks)


def test_pieces_of_one_reader_count_once_with_the_ratings_of_the_larger(tmp_path):
    small = nodule("2", roi(uid(2), square(98, 80, 4)), malignancy=1)
    large = nodule("1", roi(uid(2), square(90, 80, 6)), malignancy=5)
    write_scan(tmp_path / "d", "P2", uid(2), reading(uid(2), small + large, large, large))
    readers = build(tmp_path / "d", tmp_path / "c")[0].readers
    assert readers.reader.tolist() == [1, 2, 3] and readers.malignancy.tolist() == [5, 5, 5]
    np.testing.assert_allclose(readers.area_mm2, np.array([52, 36, 36]) * 0.36, rtol=1e-6)


def test_two_nodules_that_every_reader_outlined_apart_are_two(tmp_path):
    both = nodule("2", roi(uid(2), square(98, 80, 4)), malignancy=1) + nodule("1", roi(uid(2), square(90, 80, 6)))
    write_scan(tmp_path / "d", "P2", uid(2), reading(uid(2), *[both] * 3))
    cohort = build(tmp_path / "d", tmp_path / "c")[0]
    assert cohort.pairs.label3.tolist() == [0, 1] and cohort.split("train").masks.sum((1, 2)).tolist() == [16, 36]


def test_one_nodule_reaches_as_far_as_a_slice_is_thick_not_as_slices_lie_apart(tmp_path):
    """Two readers drew a square, one drew another 3 mm beside it, in slices 2 mm apart."""
    for number, thickness in ((1, 5.0), (2, 2.0)):
        marks = [nodule("1", roi(uid(number), square(column, 80, 6))) for column in (90, 90, 102)]
        write_scan(tmp_path / "d", f"P{number}", uid(number), reading(uid(number), *marks), SliceThickness=thickness)
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    assert cohort.pairs.patient_id.tolist() == ["P1"] and refused.code.tolist() == ["E14", "E14"]
    assert cohort.split("train").masks.sum() == 36 and len(cohort.readers) == 3


def spoil(folder, case):
    """Do something to the scan of patient P2."""
    place = folder / "P2" / f"{uid(2)}.9" / uid(2)
    if case == "no DICOM":
        (folder / "xml").mkdir()
        (place / "069.xml").rename(folder / "xml" / "069.xml")
        shutil.rmtree(folder / "P2")
    if case == "no XML":
        (place / "069.xml").unlink()
    if case == "two XML":
        (place / "070.xml").write_text(reading(uid(2), *four(uid(2), (1, 1, 1))))
    if case == "of another series":
        (place / "069.xml").write_text(reading(uid(1), *four(uid(1), (1, 1, 1))))
    if case == "two folders":
        shutil.copytree(place, folder / "again", ignore=shutil.ignore_patterns("*.xml"))
    if case == "slice twice":
        shutil.copy(place / "000001.dcm", place / "again.dcm")
    if case == "damaged":
        (place / "000001.dcm").write_bytes(b"\0" * 128 + b"DICM")
    if case == "broken XML":
        (place / "069.xml").write_text("<LidcReadMessage>")
    if case == "two patients":
        dataset = pydicom.dcmread(place / "000001.dcm")
        dataset.PatientID = "P9"
        dataset.save_as(place / "000001.dcm")
    if case == "nameless":
        write_scan(folder, "P2", uid(2), None, PatientID="")


SCANS = {
    "no DICOM": [("E15", "xml/069.xml reads it, but it is not in the delivery")],
    "no XML": [("E26", f"no XML file of the delivery reads the series in {uid(2)}; fetch it")],
    "two XML": [("E26", f"2 differing XML files read it (P2/{uid(2)}.9/{uid(2)}/069.xml, P2/")],
    "of another series": [("E26", "2 differing XML files read it (P1/"), ("E26", "no XML file of the delivery reads")],
    "two folders": [("E16", "it lies in 2 folders of the delivery; leave one")],
    "slice twice": [("E18", "a SOPInstanceUID occurs twice")],
    "damaged": [("E23", "000001.dcm")],
    "broken XML": [("E26", "069.xml is no XML"), ("E26", "no XML file of the delivery reads")],
    "two patients": [("E17", f"{uid(2)} holds slices of 2 PatientIDs (P2, P9); give each patient a folder")],
    "nameless": [("E09", f"series {uid(2)} names no PatientID")],
}


@pytest.mark.parametrize("case", SCANS)
def test_a_scan_that_cannot_be_used_costs_itself(tmp_path, case):
    for number in (1, 2, 3):
        write_scan(tmp_path / "d", f"P{number}", uid(number), reading(uid(number), *four(uid(number))))
    spoil(tmp_path / "d", case)
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    left = ["P3"] if case == "of another series" else ["P1", "P3"]
    assert cohort.pairs.patient_id.tolist() == left and len(refused) == len(SCANS[case])
    for (code, words), row in zip(SCANS[case], refused.itertuples(), strict=True):
        assert row.code == code in REASONS and words in row.message and "\n" not in row.message


def test_a_copy_of_a_reading_counts_once_and_images_and_readings_may_lie_apart(tmp_path):
    series = write_scan(tmp_path / "d" / "images", "P1", uid(1), None)
    for name in ("a", "b"):
        (tmp_path / "d" / name).mkdir()
        (tmp_path / "d" / name / "158.xml").write_text(reading(uid(1), *four(uid(1))))
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    assert len(cohort.pairs) == 1 and refused.empty and not list(series.glob("*.xml"))


def test_names_that_are_no_text_are_written_as_escapes(tmp_path):
    write_scan(tmp_path / "d", "P1", uid(1), reading(uid(1), *four(uid(1))))
    place = os.fsencode(tmp_path / "d")
    with open(place + b"/bad\xff\n.xml", "w") as file:
        file.write("no reading")
    cohort, refused = build(tmp_path / "d", tmp_path / "c")
    assert len(cohort.pairs) == 1 and refused.code.tolist() == ["E26"]
    assert refused.source_id.tolist() == ["bad\\udcff .xml"]


def test_nothing_left_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, said in (("empty", "holds neither a CT series nor an XML file that reads one"), ("none", "is no folder")):
        with pytest.raises(UserError, match=f"^lidc_delivery: {tmp_path / name} {said}; fetch LIDC-IDRI into it "):
            build_lidc(tmp_path / name, tmp_path / "c", workers=1, progress=silent)
    write_scan(tmp_path / "d", "P1", uid(1), reading(uid(1), *four(uid(1), (3, 3))))
    with pytest.raises(UserError, match="^d gives no nodule: refused are 1 x E14 no defensible label .e.g. .*least 3"):
        build_lidc(tmp_path / "d", tmp_path / "c", workers=1, progress=silent)
    assert not (tmp_path / "c").exists()
