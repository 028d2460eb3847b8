"""Cohorts whose nodules only a list with its own identities, or IDC's boxes, link over the years."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
from box_reports import write_report
from open_delivery import open_delivery
from small_delivery import CENTRE, PARAMS, tables, write_delivery
from two_participants import POINT

from namd.data.cohort import Cohort
from namd.data.nlst.build import build_cohort, is_current
from namd.data.nlst.outcome import NO_ROW
from namd.data.report import nodule_features


def test_a_list_alone_gives_pairs_of_three_years_with_what_the_tables_hold_at_its_place(tmp_path):
    delivery = open_delivery(tmp_path / "delivery")
    cohort = Cohort.open(build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=str))
    pairs = cohort.pairs
    test = pairs[pairs.split == "test"]
    assert set(pairs.link_tier) == {"C"} and set(pairs.center_source) == {"gmae"}
    assert test.patient_id.is_unique and set(test.t0_year) == {0} and len(test) == 2
    others = pairs[pairs.split != "test"]
    assert list(others.groupby("patient_id").t0_year.apply(list)) == [[0, 1]] * 3
    assert set(pairs.index) >= {"100003-gmae-0-T0T1"} and set(pairs.t1_year - pairs.t0_year) == {1}
    assert (pairs.age_at_scan - pairs.t0_year == 60).all()
    known = pairs.patient_id != "100003"
    assert (pairs.sct_long_dia[known] == 10 + 2 * pairs.t0_year[known].clip(upper=1)).all()
    assert pairs.t1_sct_long_dia[known].eq(12).all()
    of_third = pairs[~known].iloc[0]
    assert pd.isna(of_third.sct_margins) and json.loads(of_third.missing_reason)["sct_margins"] == NO_ROW
    f, _ = nodule_features(cohort.split("train", "val", "test").attributes(1), "standardised")
    assert f.shape[0] == len(pairs) and np.isfinite(f).all() and not f[~known].any()      # the mean size, no category
    refused = pd.read_csv(tmp_path / "cohort/refused.csv")
    assert sorted(refused.code) == ["E06", "E28", "E28"]
    assert refused.source_id[refused.code == "E06"].tolist() == ["100003 T0 nodule 1"]
    assert cohort.manifest["counts"]["nodules_at_t0"] == len(pairs) + 3
    assert is_current(tmp_path / "cohort", delivery, PARAMS)
    one_year = SimpleNamespace(**{**vars(PARAMS), "data_second_year": False})
    assert not is_current(tmp_path / "cohort", delivery, one_year)
    pairs = Cohort.open(build_cohort(delivery, tmp_path / "cohort", one_year, progress=str)).pairs
    assert len(pairs) == 5 and set(pairs.t0_year) == {0}


def test_what_the_images_tell_against_a_label_is_no_fault_of_theirs(tmp_path):
    delivery = open_delivery(tmp_path / "delivery")
    people = pd.read_csv(delivery / "file0.csv")
    people.assign(loclup=0).to_csv(delivery / "file0.csv", index=False)
    cohort = Cohort.open(build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=str))
    refused = pd.read_csv(tmp_path / "cohort/refused.csv")
    assert refused[refused.code == "E14"].stage.tolist() == ["link"] * 4 and set(cohort.pairs.label) == {0}
    assert cohort.manifest["counts"]["refused_for_images"] == 0


def test_boxes_of_reports_place_a_nodule_by_its_slice(tmp_path):
    made = tables()
    del made["centres"]
    delivery = write_delivery(tmp_path / "delivery", made)
    for pid in (100002, 100004):
        for year in (0, 1):
            x, y = CENTRE[0] + .5, CENTRE[1] + .5               # a report counts from the corner of the first pixel
            write_report(delivery / "reports" / f"{pid}_{year}.dcm", pid, year, f"1.2.{pid}.{year}",
                         [(f"1.2.{pid}.{year}.20", (x - 9, y - 7, x + 9, y + 7))])
    pairs = Cohort.open(build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=str)).pairs
    assert list(pairs.patient_id) == ["100002", "100004"] and list(pairs.label) == [1, 1]
    assert set(pairs.center_source) == {"sybil"} and set(pairs.t0_instance) == {20}
    for axis, value in zip("xyz", POINT, strict=True):
        assert pairs[f"t0_center_{axis}_mm"].sub(value).abs().max() < 1e-3
