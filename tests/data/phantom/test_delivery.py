"""The synthetic delivery: read by the reader of NLST, consistent with itself, the same for any workers."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pydicom
import pytest

from namd.data.cohort import Cohort
from namd.data.nlst import build
from namd.data.phantom import oracle, registry
from namd.data.phantom.delivery import draw_cohort, write_delivery
from namd.ground.errors import UserError

N, SEED = 12, 5
READER = SimpleNamespace(data_workers=1, data_label_days=2555, data_second_year=True, data_val_share=.2,
                         data_test_share=.3, data_split_seed=1)


def write(path, n=N, workers=1, **other):
    law = dict(eps=.45, gmax=.8, null="none") | other
    return write_delivery(path, n, SEED, law["eps"], law["gmax"], law["null"], workers, progress=lambda line: None)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    return write(tmp_path_factory.mktemp("phantom") / "delivery")


@pytest.fixture(scope="module")
def cohort(delivery):
    return Cohort.open(build.build_cohort(delivery, delivery.parent / "cohort", READER, progress=lambda line: None))


@pytest.fixture(scope="module")
def truth(delivery):
    return oracle.read_truth(delivery / "truth")


def table(delivery, name):
    return pd.read_csv(delivery / f"{name}.csv", dtype={"pid": str, "PID": str})


def test_the_reader_takes_all_usable_and_refuses_each_flaw_by_its_code(delivery, cohort, truth):
    refused = pd.read_csv(delivery.parent / "cohort" / "refused.csv")
    got = dict(zip(refused["source_id"].str[:6], refused["code"], strict=True))
    assert got == {i: registry.FLAWS[flaw] for i, flaw in truth["flaw"].items() if flaw}
    assert sorted(cohort.pairs["patient_id"]) == sorted(truth.index[truth["flaw"] == ""]) and len(cohort.pairs) == N


def test_the_cohort_holds_what_the_truth_says(cohort, truth):
    pairs = cohort.pairs.set_index("patient_id")
    truth = truth.loc[pairs.index]
    assert (pairs["label"] == truth["label"]).all() and (pairs["sct_epi_loc"] == truth["sct_epi_loc"]).all()
    assert (pairs["t1_sct_pre_att"] == truth["t1_sct_pre_att"]).all()
    assert (pairs["t1_sct_margins"] == truth["t1_sct_margins"]).all()
    error = pairs["sct_long_dia"].astype(float) - truth["longest_mm"]
    assert error.abs().max() < 2 and error.std() > .1
    assert (pairs["age"] == truth["age"]).all() and set(pairs["dataset"]) == {"synthetic"}
    assert (pairs["diagemph"].isna() == ~truth["record_known"]).all()


def test_the_nodule_is_in_the_middle_of_the_crop(cohort, truth):
    pairs = cohort.split("train", "val", "test")
    solid = np.flatnonzero(truth.loc[pairs.table["patient_id"], "sct_pre_att"] != 2)
    middle = pairs.x1_hu[:, 60:68, 60:68].reshape(len(pairs), -1)
    assert (np.percentile(middle[solid], 90, axis=1) > -500).all()
    assert (np.asarray(pairs.x1_hu) > -1024).mean() > .9


def test_the_registry_is_consistent(delivery, truth):
    people, cancer = table(delivery, "participant").set_index("pid"), table(delivery, "lung_cancer").set_index("pid")
    assert set(cancer.index) == set(people.index[people["can_scr"] > 0])
    assert (people.loc[cancer.index, "candx_days"] > people.loc[cancer.index, "scr_days1"]).all()
    sites = people.loc[cancer.index, list(registry.SITES)]
    for pid, lobe in truth.loc[cancer.index, "cancer_lobe"].items():
        assert sites.loc[pid].idxmax() == registry.SITES[lobe - 1] and sites.loc[pid].sum() == 1
    usable = truth[truth["flaw"] == ""]
    assert set(usable.index[usable["label"] == 1]) == set(cancer.index) & set(usable.index)
    assert people.loc[people["can_scr"] == 0, ["candx_days", "cancyr", *registry.SITES]].isna().all(axis=None)


def test_files_are_ct_slices_of_a_whole_series(delivery):
    slices, intercepts = table(delivery, "nodule_centres").set_index(["PID", "study_yr"])["Slice number"], set()
    for pid in ("0", "1"):
        folder = next(p for p in sorted((delivery / "dicom").iterdir()) if (p / "1").is_dir())
        files = [pydicom.dcmread(f) for f in sorted((folder / pid).iterdir())]
        heights = np.array([f.ImagePositionPatient[2] for f in files])
        assert len(files) == 3 and np.allclose(np.abs(np.diff(heights)), 2.25, atol=.26)
        assert files[1].InstanceNumber == slices[folder.name, int(pid)] and files[1].PatientID == folder.name
        assert files[0].StudyDate == ("19990102", "20000102")[int(pid)]
        fields = files[0].SeriesDescription.split(",")
        assert len(fields) == 11 and fields[:2] == [pid, "OPA"] and fields[4] == files[0].ConvolutionKernel
        assert float(fields[5]) / 512 == pytest.approx(files[0].PixelSpacing[0])
        hu = files[1].pixel_array * files[1].RescaleSlope + files[1].RescaleIntercept
        assert -950 < np.median(hu) < 80 and hu.shape[0] * files[0].PixelSpacing[0] >= 80
        intercepts.add(int(files[0].RescaleIntercept))
    assert intercepts <= {-1024, -1000, 0}


def test_both_directions_and_both_signs_occur(delivery):
    headers = [pydicom.dcmread(sorted(year.iterdir())[k], stop_before_pixels=True)
               for year in sorted((delivery / "dicom").glob("*/*")) for k in (0, 1)]
    heights = np.array([header.ImagePositionPatient[2] for header in headers]).reshape(-1, 2)
    down = heights[:, 1] < heights[:, 0]
    assert 0 < sum(down) < len(down)
    assert {header.PixelRepresentation for header in headers} == {0, 1}


def test_the_same_bytes_for_any_number_of_workers(delivery, tmp_path):
    other = write(tmp_path / "again", workers=2)
    files = sorted(p.relative_to(delivery) for p in delivery.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    assert all((delivery / f).read_bytes() == (other / f).read_bytes() for f in files)


def test_subjects_stay_when_more_are_asked_for():
    few, more = draw_cohort(4, 1, .45, .8, "none"), draw_cohort(9, 1, .45, .8, "none")
    pd.testing.assert_frame_equal(few.iloc[:4], more.iloc[:4], check_exact=True, check_index_type=False)
    assert more["patient_id"].is_unique and (more["flaw"] == "").sum() == 9


def test_a_delivery_says_that_it_is_synthetic(delivery):
    assert "SYNTHETIC" in (delivery / "README.txt").read_text()
    law = json.loads((delivery / "truth" / "law.json").read_text())
    assert law == dict(synthetic=True, n_subjects=N, seed=SEED, eps=.45, gmax=.8, null="none")


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "prsn.csv").write_text("pid\n")
    with pytest.raises(UserError, match="not written by this program"):
        write(tmp_path)
    assert (tmp_path / "prsn.csv").exists()


def test_at_least_one_subject(tmp_path):
    with pytest.raises(UserError, match="phantom_subjects"):
        write(tmp_path / "none", n=0)
