"""The public lists and IDC's boxes as nodules: what is read, where it lies, and what is refused."""

from collections import Counter, defaultdict

import pandas as pd
from box_reports import write_report
from small_delivery import REAL, needs_real, write_series

from namd.data.nlst.lists import LICENCES, read_lists
from namd.data.nlst.tables import recognise

NODULES = [(100001, 0, "100001_0"), (100001, 1, "100001_0"), (100001, 1, "100001_1"), (100002, 2, "100002_3")]


def gmae(nodules=NODULES):
    """Rows in the format of GM-AE's original coordinates."""
    return pd.DataFrame([dict(pId=pid, seriesId=f"1.2.{pid}.{year}", study_year=year, nodId=name,
                              id=f"{name}_t{year}", cx_voxel=200.5, cx_world=-30.5, cy_world=12.25, cz_world=-100.0)
                         for pid, year, name in nodules])


def luna25(lesions=((100001, 1999, 1), (100001, 2000, 1), (100002, 2001, 2))):
    """Rows in the format of LUNA25's public table."""
    return pd.DataFrame([dict(
        PatientID=pid, SeriesInstanceUID=f"1.2.{pid}.{date}", StudyDate=f"{date}0102", CoordX=1.5, CoordY=-2.5,
        CoordZ=3.0, LesionID=lesion, AnnotationID=f"{pid}_{lesion}_{date}0102", NoduleID=f"{pid}_{lesion}",
        label=pid % 2, Age_at_StudyDate=61, Gender="Male") for pid, date, lesion in lesions])


def pairs(found, source, first=0):
    """(pid, lesion) that a source names in the year `first` and in the next."""
    years = defaultdict(set)
    for nodule in found:
        if nodule.source == source:
            years[nodule.pid, nodule.lesion].add(nodule.year)
    return [key for key, seen in years.items() if {first, first + 1} <= seen]


def test_lists_are_known_by_their_columns_whatever_their_names(tmp_path):
    gmae().to_csv(tmp_path / "a.csv", index=False)
    luna25().to_csv(tmp_path / "b.csv", index=False)
    found, refused = read_lists(tmp_path)
    assert refused == [] and Counter(nodule.source for nodule in found) == {"gmae": 4, "luna25": 3}
    assert recognise(gmae().columns.str.lower()) == "gmae" and LICENCES["luna25"] is None
    first = next(nodule for nodule in found if nodule.source == "gmae")
    assert (first.pid, first.year, first.uid, first.point) == (100001, 0, "1.2.100001.0", (-30.5, 12.25, -100.0))
    assert pairs(found, "gmae") == [(100001, "100001_0")] and pairs(found, "luna25") == [(100001, "1")]
    assert [(nodule.year, nodule.malignant) for nodule in found if nodule.source == "luna25"] == [
        (0, True), (1, True), (2, False)]


def test_a_row_that_cannot_be_used_is_refused_alone(tmp_path):
    rows = gmae([*NODULES, (100003, 0, "100004_0"), (100003, 3, "100003_0"), (100003, 1, ""), (100003, 1, "100003_2")])
    rows.loc[7, "cz_world"] = None
    rows.to_csv(tmp_path / "a.csv", index=False)
    wrong = luna25(((100001, 1998, 1), (100002, 1999, 1), (100003, 1999, 1)))
    wrong.loc[2, "SeriesInstanceUID"] = ""
    wrong.to_csv(tmp_path / "b.csv", index=False)
    found, refused = read_lists(tmp_path)
    assert Counter(row.code for row in refused) == {"E09": 1, "E04": 3, "E06": 2} and len(found) == 5
    assert "nodId names another participant" in next(row.message for row in refused if row.code == "E09")


def test_other_files_do_not_stop_a_list(tmp_path):
    gmae().to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    pd.DataFrame(dict(pid=[100001], lc_order=[1], first_lc=[1], candx_days=[3])).to_csv(tmp_path / "c.csv")
    found, refused = read_lists(tmp_path)
    assert len(found) == 4 and [row.code for row in refused] == ["E01"]


BOXES = [("1.5.1", (10, 20, 30, 44)), ("1.5.2", (8, 18, 32, 46)), ("1.5.3", (12, 20, 30, 40))]


def test_boxes_of_a_report_are_one_lesion_where_its_largest_lies(tmp_path):
    write_report(tmp_path / "reports" / "1.dcm", 100001, 0, "1.2.3", BOXES)
    found, refused = read_lists(tmp_path)
    nodule, = found
    assert refused == [] and (nodule.pid, nodule.year, nodule.uid, nodule.sop) == (100001, 0, "1.2.3", "1.5.2")
    assert nodule.pixel == (19.5, 31.5) and nodule.malignant and nodule.source == "sybil"
    write_report(tmp_path / "reports" / "2.dcm", 100001, 1, "1.2.4", BOXES[:1])
    assert pairs(read_lists(tmp_path)[0], "sybil") == [(100001, "0")]


def test_boxes_apart_are_lesions_without_an_identity_over_the_years(tmp_path):
    for year in (0, 1):
        write_report(tmp_path / f"{year}.dcm", 100001, year, f"1.2.{year}",
                     [*BOXES, *[("1.5.2", (90, 20, 100, 30))][:1 - year]])
    found, _ = read_lists(tmp_path)
    assert [nodule.lesion for nodule in found] == ["1 of 2", "2 of 2", "0"] and pairs(found, "sybil") == []


def test_a_report_that_cannot_be_used_is_refused_alone(tmp_path):
    write_report(tmp_path / "a.dcm", 100001, 0, "1.2.3", BOXES)
    write_report(tmp_path / "b.dcm", "someone", 0, "1.2.3", BOXES)
    write_report(tmp_path / "c.dcm", 100001, 5, "1.2.3", BOXES)
    write_report(tmp_path / "d.dcm", 100001, 0, "", BOXES)
    write_report(tmp_path / "e.dcm", 100001, 0, "1.2.3", [])
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "f.dcm").write_bytes(whole[:len(whole) // 2])
    write_report(tmp_path / "g.dcm", 100001, 0, "1.2.3", [("1.5.1", (i, 0, i + 1, 1)) for i in range(2001)])
    found, refused = read_lists(tmp_path)
    assert len(found) == 1 and [row.code for row in refused][:4] == ["E09", "E17", "E15", "E06"]
    assert len(refused) == 6 and all("\n" not in row.message for row in refused)
    assert refused[-1].code == "E23" and "2001 boxes" in refused[-1].message


def test_a_report_beside_the_slices_of_a_series_is_no_list(tmp_path):
    write_series(tmp_path / "series", 100001, 0, 5)
    write_report(tmp_path / "series" / "9.dcm", 100001, 0, "1.2.3", BOXES)
    assert read_lists(tmp_path) == ([], [])


@needs_real
def test_the_real_lists_hold_what_was_counted_in_them():
    found, refused = read_lists(REAL / "nlst_tables")
    assert Counter(nodule.source for nodule in found) == {"gmae": 3713, "nlstx": 1229}
    assert len(pairs(found, "nlstx")) == 398 and len(pairs(found, "nlstx", 1)) == 372
    linked = pairs(found, "gmae")                   # 1,259 of 1,010 by nodId; one T0 row is of another participant
    assert (len(linked), len({pid for pid, _ in linked})) == (1258, 1009) and len(pairs(found, "gmae", 1)) == 1155
    assert [row.message for row in refused if row.code == "E09"] == ["nodId names another participant than pId"]
    assert Counter(row.code for row in refused) == {"E03": 3, "E09": 1}
    malignant = {nodule.pid for nodule in found if nodule.source == "nlstx" and nodule.malignant}
    assert len(malignant & {pid for pid, _ in pairs(found, "nlstx")}) == 152
