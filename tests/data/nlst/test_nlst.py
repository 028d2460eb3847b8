import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_delivery import CENTRE, PARAMS, REAL, SPACING, needs_real, tables, write_delivery, write_series, write_slice

from namd.data.cohort import Cohort
from namd.data.nlst.build import build_cohort, is_current
from namd.data.nlst.labels import split_patients
from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import Tables, check_table, recognise

SILENT = {"progress": lambda line: None}


def linked(made, label_days=2555):
    """Links and refusals of tables given as data frames."""
    result = Tables()
    for table in made.values():
        raw = table.astype(object).where(table.notna(), "").astype(str)
        raw.columns = raw.columns.str.lower()
        kind = recognise(raw.columns)
        result.kept[kind] = check_table(kind, raw.assign(_row=range(len(raw))), result)
    return link_nodules(result, label_days)


def change(made, name, where, **values):
    """Set values in the rows of one table for which `where` holds."""
    table = made[name]
    for column, value in values.items():
        table[column] = table[column].astype(object)
        table.loc[where(table), column] = value
    return made


def first(table):
    return table.iloc[:, 0:2].isin([100001]).any(axis=1)


def second(table):
    return table.iloc[:, 0:2].isin([100002]).any(axis=1)


def at(year, who=first):
    return lambda table: who(table) & (table.study_yr == year)


def test_plain_delivery_links_everyone_by_annotation():
    links, refused = linked(tables())
    assert refused == [] and [link.tier for link in links] == ["A"] * 5
    assert [link.label for link in links] == [0, 1, 0, 1, 0]
    assert all(link.interval_days == 365 for link in links)
    assert links[0].start.pixel == (60.0, 58.0)              # 53 + (15 - 1) / 2, 53 + (11 - 1) / 2


CASES = {
    "X-ray arm": ("people", first, dict(rndgroup=2), "E08"),
    "no such participant": ("people", first, dict(pid=100009), "E08"),
    "slice 999": ("centres", at(0), {"Slice number": 999.0}, "E06"),
    "blank box at T1": ("centres", at(1), {"Bounding box x (pixels)": None}, "E06"),
    "new at T1": ("comparison", first, dict(sct_ab_preexist=1), "E10"),
    "list names no nodule at T1": ("centres", at(1), {"Abnormality UID": 3.0}, "E11"),
    "micronodule at T1": ("abnormalities", at(1), dict(sct_ab_desc=52), "E11"),
    "same day": ("people", first, dict(scr_days1=10), "E12"),
    "lists disagree": ("centres", at(1), dict(malignancy="M"), "E14"),
    "annotated malignant, no cancer": ("centres", first, dict(malignancy="M"), "E14"),
    "cancer first": ("cancer", second, dict(candx_days=10), "E13"),
    "cancer too late": ("cancer", second, dict(candx_days=2566), "E14"),
    "no day of diagnosis": ("cancer", second, dict(candx_days=".N"), "E14"),
    "cancer elsewhere": ("people", second, dict(locrup=0), "E14"),
    "lobe unknown": ("abnormalities", second, dict(sct_epi_loc=8), "E14"),
    "annotated benign in the cancer's lobe": ("centres", second, dict(malignancy="B"), "E14"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_fault_refuses_one_nodule(case):
    name, where, values, code = CASES[case]
    links, refused = linked(change(tables(), name, where, **values))
    assert len(links) == 4 and [row.code for row in refused] == [code]
    assert len(refused[0].message) > 20 and refused[0].source_id.startswith("10000")


def test_last_day_that_counts():
    assert not linked(change(tables(), "cancer", second, candx_days=2565))[1]


def test_refused_cancer_row_never_makes_its_patient_benign():
    links, refused = linked(change(tables(), "cancer", second, first_lc=7))
    assert [row.code for row in refused] == ["E14"] and {link.pid for link in links}.isdisjoint({100002})


def test_lists_row_without_a_nodule_is_accounted_for():
    made = change(tables(), "centres", at(0), **{"Abnormality UID": 3.0})
    links, refused = linked(made)
    assert [row.code for row in refused] == ["E06", "E11"]       # the nodule nobody places, the place of no nodule
    assert len(links) == 4


def test_repeated_rows_refuse_their_nodule():
    made = tables()
    made["centres"] = pd.concat([made["centres"], made["centres"].iloc[[0]].assign(**{"Slice number": 9.0})])
    links, refused = linked(made)
    assert [row.code for row in refused] == ["E03"] and len(links) == 4


def test_other_nodules_of_a_cancer_patient_are_dropped():
    made = tables()
    extra = made["abnormalities"].iloc[[2, 3]].assign(sct_ab_num=2, sct_long_dia=30)
    made["abnormalities"] = pd.concat([made["abnormalities"], extra])
    made["centres"]["malignancy"] = ""
    links, refused = linked(made)
    assert [(row.code, row.source_id) for row in refused] == [
        ("E14", "100002 T0 nodule 1"), ("E06", "100002 T0 nodule 2")]
    assert "not the largest" in refused[0].message


def luna(made, lesions=(7, 7)):
    """The same centres as a list in the LUNA25 format, mm."""
    x, y = -40 + CENTRE[0] * SPACING, -30 + CENTRE[1] * SPACING
    made["centres"] = pd.DataFrame([dict(
        PatientID=pid, SeriesInstanceUID=f"1.2.{pid}.{year}", StudyDate=19990102 + 10000 * year, CoordX=x, CoordY=y,
        CoordZ=0.4, LesionID=lesions[year], AnnotationID=1, label=i % 2)
        for i, pid in enumerate(made["people"].pid) for year in (0, 1)])
    return made


def test_luna25_list_links_by_its_lesion():
    links, refused = linked(luna(tables()))
    assert [link.tier for link in links] == ["A"] * 5 and refused == []
    made = luna(tables())
    extra = made["abnormalities"].iloc[[0]].assign(sct_ab_num=2)
    made["abnormalities"] = pd.concat([made["abnormalities"], extra])
    assert [row.code for row in linked(made)[1]] == ["E06", "E06", "E11"]     # which of two is it?


@pytest.mark.parametrize("case, values, code", [
    ("pre-existing", {}, None), ("lingula is left upper", dict(lobes=(4, 5)), None),
    ("other lobe", dict(lobes=(1, 3)), "E11"), ("not compared", dict(preexist=9), "E11"),
    ("new", dict(preexist=1), "E10"), ("two at T1", dict(extra=True), "E11")])
def test_tier_b_needs_one_nodule_a_year_in_one_lobe(case, values, code):
    made = luna(tables(n=1), lesions=(7, 8))                    # the list does not link the years
    made["abnormalities"]["sct_epi_loc"] = values.get("lobes", (1, 1))
    made["comparison"]["sct_ab_preexist"] = values.get("preexist", 2)
    if values.get("extra"):
        made["abnormalities"] = pd.concat([made["abnormalities"], made["abnormalities"].iloc[[1]].assign(sct_ab_num=2)])
    links, refused = linked(made)
    assert [link.tier for link in links] == ([] if code else ["B"])
    assert [row.code for row in refused] == ([code] if code else [])


def test_split_keeps_patients_together_and_shares_of_malignant():
    patients = [f"{i // 2:06d}" for i in range(400)]                # two nodules each
    label = [int(i // 2 < 40) for i in range(400)]
    split = split_patients(patients, label, 0.4, 0.25, 23)
    table = pd.DataFrame(dict(split=split)).rename_axis("patient").reset_index()
    malignant = table.patient.astype(int) < 40
    assert table[malignant].split.value_counts().to_dict() == dict(train=18, test=16, val=6)
    assert table[~malignant].split.value_counts().to_dict() == dict(train=72, test=64, val=24)
    assert split == split_patients(patients[::-1], label[::-1], 0.4, 0.25, 23)
    assert split != split_patients(patients, label, 0.4, 0.25, 24)


def test_a_patient_with_one_malignant_nodule_belongs_to_the_malignant_stratum():
    patients = [f"{i // 2:06d}" for i in range(80)]
    label = [int(i // 2 < 20 and i % 2) for i in range(80)]         # 20 patients with one of each, 20 with none
    for order in (slice(None), slice(None, None, -1)):
        split = split_patients(patients[order], label[order], 0.5, 0.2, 23)
        assert sum(split[f"{i:06d}"] == "test" for i in range(20)) == 10
        assert sum(split[f"{i:06d}"] == "val" for i in range(20)) == 2


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


@needs_real
def test_real_nodule_list_is_accounted_for_to_the_last_row():
    """The real list, comparison and cancer tables, with code-51 rows and participants made to match the list."""
    made = {name: pd.read_csv(next((REAL / "nlst_tables").glob(name)), dtype=str, keep_default_na=False)
            for name in ("nlstx*.csv", "*ctabc*.csv", "*canc*.csv")}
    rows = made["nlstx*.csv"].rename(columns={"PID": "pid", "Abnormality UID": "sct_ab_num"})
    keys = rows[["pid", "study_yr", "sct_ab_num"]].drop_duplicates()
    made["abnormalities"] = keys.assign(sct_ab_desc=51, sct_epi_loc=1, sct_pre_att=1, sct_margins=2, sct_long_dia=9,
                                        sct_perp_dia=8, sct_slice_num=1)
    made["people"] = pd.DataFrame(dict(pid=keys.pid.unique(), age=60, gender=1, scr_days0=1, scr_days1=366, locrup=1))
    links, refused = linked(made)
    at_t0 = keys[keys.study_yr == "0"]
    assert len(at_t0) == len(links) + len(refused)
    assert 370 < len(links) + sum(row.code in ("E10", "E13", "E14") for row in refused) <= 398
    assert all(link.tier == "A" for link in links)
