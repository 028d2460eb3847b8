"""Tier C: which rows, label and twin a listed nodule has, once the images say where it lies."""

import pandas as pd
import pytest
from small_delivery import tables
from small_links import change, first, linked, luna, second

from namd.data.nlst.crops import PairRead
from namd.data.nlst.settle import row_at, settle

LEFT, RIGHT = 60.0, -60.0                   # x of a nodule, mm


def gmae(made, pids=None, lesions=(0,), years=(0, 1)):
    """The list of centres in the format of GM-AE's original coordinates."""
    made["centres"] = pd.DataFrame([dict(
        pId=pid, seriesId=f"1.2.{pid}.{year}", study_year=year, nodId=f"{pid}_{n}", id=f"{pid}_{n}_t{year}",
        cx_world=RIGHT, cy_world=0, cz_world=0)
        for pid in pids or made["people"].pid for n in lesions for year in years])
    return made


def scan(x=RIGHT, instance=20, y=0.0):
    """What a series says of the nodule in it."""
    return dict(instance=instance, center_x_mm=x, center_y_mm=y, center_z_mm=0.0)


def settled(made, *scans, label_days=2555, second_year=False):
    """Tier, rows' numbers and label, or the code, of every link; `scans`: both scans of each link in order."""
    links, _ = linked(made, label_days, second_year)
    reads = [PairRead(scans=both) for both in scans] or [PairRead(scans=(scan(), scan())) for _ in links]
    return [read.refusal.code if read.refusal else
            (link.tier, *(None if row is None else row["sct_ab_num"] for row in (link.before, link.after)), link.label)
            for link, read in settle(zip(links, reads, strict=True), label_days)]


@pytest.mark.parametrize("instance, x, number", [
    (20, RIGHT, 1), (22, RIGHT, 1), (18, RIGHT, 1), (23, RIGHT, None), (20, LEFT, 2), (20, -9.9, None),
    (31, RIGHT, None), (40, LEFT, None), (50, RIGHT, None), (None, RIGHT, None)])
def test_a_row_is_a_nodules_by_slice_and_side_and_only_where_it_is_the_only_one(instance, x, number):
    rows = {k: dict(sct_ab_num=k, sct_epi_loc=lobe, sct_slice_num=at) for k, (lobe, at) in enumerate(
        [(3, 20), (5, 20), (1, 30), (2, 32), (8, 40), (1, None)], start=1)}
    found = row_at(rows, instance, x)
    assert (found and found["sct_ab_num"]) == number


def test_a_listed_nodule_has_the_rows_at_its_place_or_none():
    made = gmae(tables(1))
    assert settled(made) == [("C", 1, 1, 0)]
    assert settled(made, (scan(instance=26), scan())) == [("C", None, 1, 0)]
    assert settled(made, (scan(), scan(x=LEFT))) == [("C", 1, None, 0)]
    change(made, "comparison", first, sct_ab_preexist=1)
    assert settled(made) == ["E10"] and settled(made, (scan(), scan(x=LEFT))) == [("C", 1, None, 0)]


def test_a_cancer_patients_nodule_needs_a_row_in_its_lobe_or_a_lists_word():
    made = gmae(tables(2), [100002])
    assert settled(made) == [("C", 1, 1, 1)] and settled(made, (scan(x=LEFT), scan())) == ["E14"]
    assert settled(change(made, "people", second, locrup=0)) == ["E14"]
    named = luna(tables(2))
    named["centres"] = named["centres"][2:]
    assert settled(named, (scan(x=LEFT), scan(x=LEFT))) == [("C", None, None, 1)]
    assert settled(change(named, "people", second, locrup=0)) == ["E14"]
    late = change(gmae(tables(2), [100002]), "cancer", second, candx_days=2566)
    assert [row.code for row in linked(late)[1]][-1:] == ["E14"]     # told before an image is read


def test_two_lesions_that_fit_one_row_leave_it():
    made = gmae(tables(1), lesions=(0, 1))
    far = scan(y=30.0)
    assert settled(made, (scan(), scan()), (far, scan(y=30.0, instance=40))) == [
        ("C", None, 1, 0), ("C", None, None, 0)]


def test_a_nodule_of_two_lists_is_kept_once_as_the_tables_name_it():
    made = tables(1)
    made["more"] = gmae(tables(1))["centres"]
    near, far = (scan(y=8.0), scan()), (scan(y=12.0), scan())
    assert settled(made, (scan(), scan()), near) == [("A", 1, 1, 0), "E03"]
    assert settled(made, (scan(), scan()), far) == [("A", 1, 1, 0), ("C", None, None, 0)]
    made["abnormalities"]["sct_long_dia"] = 30                      # a mass is as wide as this
    assert settled(made, (scan(), scan()), far) == [("A", 1, 1, 0), "E03"]


def third_year(made):
    """The tables with a screen at T2, half a year late, where every nodule is row 3."""
    made["people"]["scr_days2"] = 900
    for name in ("abnormalities", "comparison", "centres"):
        table = made[name]
        later = table[table.study_yr == 1].assign(study_yr=2)
        if name == "centres":
            later = later.assign(seriesinstanceuids=later.seriesinstanceuids.str[:-1] + "2", **{"Abnormality UID": 3.0})
        else:
            later = later.assign(sct_ab_num=3)
        made[name] = pd.concat([table, later], ignore_index=True)
    return made


def test_t1_and_t2_are_a_pair_where_a_list_names_the_nodule_in_both():
    made = third_year(tables(2))
    assert len(linked(made)[0]) == 2 and linked(made)[1] == []
    links, refused = linked(made, second_year=True)
    assert refused == [] and [(link.pid, link.year, link.nodule_id) for link in links] == [
        (100001, 0, "100001-1"), (100001, 1, "100001-1"), (100002, 0, "100002-1"), (100002, 1, "100002-1")]
    assert [link.interval_days for link in links] == [365, 525] * 2 and links[1].end.uid == "1.2.100001.2"
    assert [(link.number, link.after["sct_ab_num"]) for link in links[:2]] == [(1, 1), (1, 3)]
    cured = change(third_year(tables(2)), "cancer", second, candx_days=300)
    links, refused = linked(cured, second_year=True)
    assert [row.code for row in refused] == ["E13"] and [link.year for link in links] == [0, 1, 0]
    late = change(third_year(tables(2)), "people", first, scr_days2=900000000)      # costs the pair that it decides
    links, refused = linked(late, second_year=True)
    assert [row.code for row in refused] == ["E04"] and [link.year for link in links] == [0, 0, 1]
    for name, years in (("scr_days0", [1, 0, 1]), ("scr_days1", [0, 1]), ("scr_days2", [0, 0, 1])):
        links, refused = linked(change(third_year(tables(2)), "people", first, **{name: "soon"}), second_year=True)
        assert [link.year for link in links] == years and {row.code for row in refused} == {"E04"}
        assert refused[0].message == f"{name} = 'soon' is not a number (participant: 0)", refused[0].message
    new = change(third_year(tables(1)), "comparison", lambda table: table.study_yr == 2, sct_ab_preexist=1)
    assert [row.source_id for row in linked(new, second_year=True)[1]] == ["100001 T1 nlstx lesion 0"]


def test_no_list_at_t2_is_no_refusal():
    links, refused = linked(tables(3), second_year=True)
    assert len(links) == 3 and refused == []
    assert settled(gmae(tables(1), years=(0, 1, 2)), second_year=True) == [("C", 1, 1, 0), ("C", 1, None, 0)]
