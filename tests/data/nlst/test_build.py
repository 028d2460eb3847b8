"""A delivery to a cohort: every nodule accounted for, the same bytes again, current until something changes."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_delivery import PARAMS, SPACING, tables, write_delivery, write_series, write_slice
from small_links import luna

from namd.data.brock import risk
from namd.data.cohort import Cohort
from namd.data.nlst.build import build_cohort, is_current
from namd.data.nlst.outcome import source_of_delivery
from namd.data.nlst.tables import read_delivery
from namd.data.report import nodule_features, record_vector, report_texts

SILENT = {"progress": lambda line: None}


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    made = tables(n=20)
    made["people"].loc[3, "rndgroup"] = 2
    folder = write_delivery(tmp_path_factory.mktemp("delivery"), made)
    write_slice(folder / "images" / "100001_0" / "again.dcm", np.zeros((120, 120), np.uint16), z=2.5, sop="1.9",
                uid="1.2.100001.0")                                                      # E18
    write_series(folder / "images" / "100003_copy", 100003, 0, 5)                        # E16
    shutil.rmtree(folder / "images" / "100007_1")                                        # E15
    (folder / "images" / "100005_0" / "1.dcm").write_bytes(b"\0" * 128 + b"DICM")        # E23
    return folder


def test_every_nodule_ends_in_pairs_or_refused(delivery, tmp_path):
    lines = []
    out = build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=lines.append)
    cohort = Cohort.open(out)
    counts, refused = cohort.manifest["counts"], pd.read_csv(out / "refused.csv")
    assert counts["nodules_at_t0"] == 20 == counts["pairs"] + counts["nodules_refused"]
    assert counts["refused_by_code"] == dict(E08=1, E15=1, E16=1, E18=1, E23=1)
    assert len(refused) == counts["nodules_refused"] and refused.message.notna().all()
    assert len(cohort.pairs) == counts["pairs"] and 8 <= len(lines) <= 14
    assert not (tmp_path / "cohort.partial").exists()


def test_crops_record_and_manifest_say_what_the_delivery_says(delivery, tmp_path):
    cohort = Cohort.open(build_cohort(delivery, tmp_path / "cohort", PARAMS, **SILENT))
    row = cohort.pairs.loc["100002-1-T0T1"]
    x1, x2 = np.load(tmp_path / "cohort" / "crops.npy")[[row.t0_index, row.t1_index]]
    assert x1[64, 64] == 40 and x1[64, 10] == -850
    areas = [(x > -400).sum() * 0.36 for x in (x1, x2)]              # mm2: discs of 5 and 6 mm
    np.testing.assert_allclose(areas, [np.pi * 25, np.pi * 36], rtol=0.05)
    assert (row.interval_days, row.t0_instance, row.label) == (365, 20, 1)
    assert (row.sct_long_dia, row.t1_sct_long_dia) == (10, 12)
    assert row.t0_center_x_mm == -40 + 60 * SPACING and row.t0_gap_mm == 2.5 and row.t1_kernel == "STANDARD"
    assert row.label_rule == "first_cancer_in_lobe_within_2555_days" and json.loads(row.missing_reason) == {}
    people = tables(n=20)["people"].set_index("pid")
    assert people.age[100002] == row.age and row.age_at_scan == 60 and row.gender == 2
    assert cohort.manifest["synthetic"] is False and cohort.manifest["feature_availability"]["age"] == "full"


def test_the_age_at_the_scan_counts_whole_years_since_the_registration(tmp_path):
    made = tables(n=12)
    for table in ("people", "cancer"):
        days = made[table].columns.intersection(["scr_days0", "scr_days1", "candx_days"])
        made[table][days] += 390                                    # everyone registered 400 days before the T0 scan
    pairs = Cohort.open(build_cohort(write_delivery(tmp_path / "d", made), tmp_path / "c", PARAMS, **SILENT)).pairs
    assert len(pairs) == 12 and pairs.age.eq(60).all() and pairs.age_at_scan.eq(61).all()


def test_two_runs_one_or_two_processes_are_equal_byte_for_byte(delivery, tmp_path, monkeypatch):
    monkeypatch.setattr("namd.data.nlst.crops.PAIRS_PER_WORKER", 5)
    two = SimpleNamespace(**{**vars(PARAMS), "data_workers": 2})
    first_run = build_cohort(delivery, tmp_path / "a", PARAMS, **SILENT)
    second_run = build_cohort(delivery, tmp_path / "b", two, **SILENT)
    for name in ("crops.npy", "pairs.parquet", "pairs.csv", "refused.csv", "manifest.json"):
        assert (first_run / name).read_bytes() == (second_run / name).read_bytes(), name


def test_missing_values_keep_their_reason_and_absent_columns_are_named(tmp_path):
    made = tables(n=6)
    made["people"] = made["people"].drop(columns="diagemph").assign(dataset_version="synthetic/1")
    cohort = Cohort.open(build_cohort(write_delivery(tmp_path / "d", made), tmp_path / "c", PARAMS, **SILENT))
    row = cohort.pairs.loc["100001-1-T0T1"]
    assert json.loads(row.missing_reason) == dict(diagemph="absent from the table", famchild="missing")
    assert cohort.manifest["feature_availability"]["diagemph"] == "absent"
    assert cohort.manifest["feature_availability"]["famchild"] == "partial"
    assert cohort.manifest["synthetic"] is True and set(cohort.pairs.dataset) == {"synthetic"}


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_cohort_of_which_nothing_optional_is_known(tmp_path):
    made = tables(n=6)
    made["people"] = made["people"].drop(columns="diagemph").assign(age=".M", gender="NA", scr_days1="", famfather="?")
    made["abnormalities"] = made["abnormalities"].assign(sct_pre_att=".N", sct_margins="", sct_long_dia="NA",
                                                         sct_perp_dia=".M")
    folder = write_delivery(tmp_path / "d", made)
    for pid in made["people"].pid:
        for year in (0, 1):
            shutil.rmtree(folder / "images" / f"{pid}_{year}")
            write_series(folder / "images" / f"{pid}_{year}", pid, year, 5, SliceThickness=None, ConvolutionKernel=None)
    pairs = Cohort.open(build_cohort(folder, tmp_path / "c", PARAMS, **SILENT)).split("train", "val", "test")
    assert len(pairs) == 6 and pairs.table.t0_thickness_mm.isna().all() and pairs.table.interval_days.isna().all()
    assert "this person of unknown gender of unknown age" in report_texts(pairs.ehr)[0]
    assert np.isfinite(record_vector(pairs.ehr)[0]).all() and np.isfinite(risk(pairs.ehr)).all()
    assert np.isfinite(nodule_features(pairs.attributes(2), "standardised")[0]).all()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here that even root cannot read")
def test_a_csv_file_that_cannot_be_read_is_passed_over(tmp_path):
    delivery, out = write_delivery(tmp_path / "delivery", tables()), tmp_path / "cohort"
    os.symlink("/proc/self/mem", delivery / "private.csv")
    assert len(Cohort.open(build_cohort(delivery, out, PARAMS, **SILENT)).pairs) == 5
    assert is_current(out, delivery, PARAMS)
    assert "private.csv cannot be opened (Input/output error)" in pd.read_csv(out / "refused.csv").message[0]


def test_a_cohort_is_current_until_a_parameter_or_a_table_changes(delivery, tmp_path):
    out = tmp_path / "cohort"
    assert not is_current(out, delivery, PARAMS)
    build_cohort(delivery, out, PARAMS, **SILENT)
    assert is_current(out, delivery, PARAMS)
    assert is_current(out, delivery, SimpleNamespace(**{**vars(PARAMS), "data_workers": 7}))
    assert not is_current(out, delivery, SimpleNamespace(**{**vars(PARAMS), "data_split_seed": 7}))
    assert not is_current(out, tmp_path, PARAMS)


def test_a_series_that_arrives_later_makes_the_cohort_again(tmp_path):
    delivery = write_delivery(tmp_path / "delivery", tables())
    late = (delivery / "images" / "100002_1").rename(tmp_path / "late")
    pairs = []
    for _ in range(2):
        assert not is_current(tmp_path / "cohort", delivery, PARAMS)
        build_cohort(delivery, tmp_path / "cohort", PARAMS, **SILENT)
        assert is_current(tmp_path / "cohort", delivery, PARAMS)
        pairs.append(len(Cohort.open(tmp_path / "cohort").pairs))
        if late.exists():
            late.rename(delivery / "images" / "100002_1")
    assert pairs == [4, 5]


SOURCES = {
    "NLSTx": (lambda made: made, "nlst"), "own list": (luna, "own"),
    "own data in a table called phantom": (lambda made: luna(made) | dict(
        comparison=made["comparison"].assign(dataset_version="read before the phantom study")), "own"),
    "LUNA25 of NLST": (lambda made: of_nlst(luna(made)), "nlst"),
    "a synthetic one": (lambda made: luna(made) | dict(people=made["people"].assign(
        dataset_version="phantom 1, seed 3")), "synthetic")}


def of_nlst(made):
    """The same with UIDs as NLST has them."""
    made["centres"].SeriesInstanceUID = "1.2.840.113654.2.55" + made["centres"].SeriesInstanceUID.str[1:]
    return made


@pytest.mark.parametrize("case", SOURCES)
def test_a_delivery_is_nlsts_synthetic_or_somebodys_own(tmp_path, case):
    change, source = SOURCES[case]
    for name, table in change(tables()).items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    assert source_of_delivery(read_delivery(tmp_path)) == source


def test_own_data_are_not_called_nlst(tmp_path):
    folder = write_delivery(tmp_path / "d", luna(tables(n=6)))
    cohort = Cohort.open(build_cohort(folder, tmp_path / "c", PARAMS, **SILENT))
    assert cohort.manifest["source"] == "own" and cohort.manifest["licence"] == "as the owner of the data grants it"
    assert set(cohort.pairs.dataset) == {"own"} and set(cohort.pairs.label_source) == {"registry"}
