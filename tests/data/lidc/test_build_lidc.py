"""An LIDC delivery to a cohort: every nodule accounted for, every fault one row, the same bytes again."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from small_lidc import GAP, RATINGS, SPACING, four, nodule, reading, roi, square, write_scan

from namd.data.cohort import READERS, SCHEMA, Cohort
from namd.data.lidc.build import build_lidc, is_current
from namd.data.lidc.sessions import SYNTHETIC
from namd.ground.errors import UserError


def silent(line):
    pass


def build(delivery, out, **options):
    """The cohort of a delivery, opened, and its refused rows."""
    cohort = Cohort.open(build_lidc(delivery, out, workers=1, progress=silent, **options))
    return cohort, pd.read_csv(out / "refused.csv")


def uid(number):
    return f"1.2.826.{number}"


@pytest.fixture(scope="module")
def built(delivery, tmp_path_factory):
    """The cohort of the delivery, and its refused rows."""
    return build(delivery, tmp_path_factory.mktemp("cohort") / "c")


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    """Six patients of all classes; two readers saw the fifth one's nodule, and the last one was scanned twice."""
    folder = tmp_path_factory.mktemp("lidc")
    rated = [(1, 2, 2, 1), (3, 3, 4, 5), (5, 4, 5), (2, 2, 3, 3), (3, 4), (4, 4, 3, 5)]
    for number, ratings in enumerate(rated, start=1):
        write_scan(folder, f"LIDC-IDRI-{number:04d}", uid(number), reading(uid(number), *four(uid(number), ratings)))
    write_scan(folder, "LIDC-IDRI-0006", uid(7), reading(uid(7), *four(uid(7), (1, 1, 1))), name="070.XML")
    return folder


def test_the_contract_holds_images_masks_readers_and_classes(built):
    cohort, refused = built
    table = pd.read_parquet(cohort.path / "pairs.parquet")
    assert {name: str(table[name].dtype) for name in table} == SCHEMA
    pairs = cohort.split("train")
    assert pairs.label3.tolist() == [0, 1, 2, 1, 2, 0] and len(pairs) == 6
    assert pairs.table.label.astype(object).where(pairs.table.label.notna(), None).tolist() == [0, None, 1, None, 1, 0]
    assert pairs.masks.shape == (6, 128, 128) and pairs.masks.dtype == bool
    assert pairs.masks.sum((1, 2)).tolist() == [400] * 6
    for hu, mask in zip(pairs.x1_hu, pairs.masks, strict=True):
        assert (hu[mask] == 40).all() and (hu[~mask] == -850).all()                 # they lie on each other
    np.testing.assert_allclose(pairs.d_eq, 2 * np.sqrt(400 * 0.36 / np.pi))
    assert len(refused) == 1 and refused.code[0] == "E14" and refused.source_id[0] == "1.2.826.5 nodule 1"
    assert refused.message[0] == "2 of its readers outlined and rated it; at least 3 must"


def test_a_row_says_where_the_nodule_lies_and_who_said_what(built):
    cohort, _ = built
    row = cohort.pairs.loc["LIDC-IDRI-0003-1-1-T0"]
    assert (row.nodule_id, row.patient_id) == ("LIDC-IDRI-0003-1-1", "LIDC-IDRI-0003")
    assert (row.dataset, row.split) == ("lidc", "train")
    assert (row.t0_series_uid, row.t0_sop_uid, row.t0_instance) == (uid(3), f"{uid(3)}.1", 2)
    place = [row.t0_center_x_mm, row.t0_center_y_mm, row.t0_center_z_mm]
    np.testing.assert_allclose(place, [-40 + 99.5 * SPACING, -30 + 89.5 * SPACING, 0], rtol=1e-6)
    assert row.t0_gap_mm == GAP and row.t0_thickness_mm == GAP and pd.isna(row.t1_index) and pd.isna(row.t1_sop_uid)
    np.testing.assert_allclose([row.sct_long_dia, row.sct_perp_dia], [12 * 2**0.5] * 2, rtol=1e-6)
    assert row.label_rule == "median_malignancy_of_at_least_3_readers" and row.label_source == "opinion"
    assert row.center_source == "consensus" and "sct_margins" in json.loads(row.missing_reason)
    readers = cohort.readers[cohort.readers.nodule_id == row.nodule_id]
    assert {name: str(readers[name].dtype) for name in readers} == READERS
    assert readers.reader.tolist() == [1, 2, 3] and readers.malignancy.tolist() == [5, 4, 5]
    assert readers[list(RATINGS)[:-1]].eq(pd.Series(RATINGS)[:-1]).all(axis=None)
    np.testing.assert_allclose(readers.area_mm2, 144)
    np.testing.assert_allclose(readers.diameter_mm, 2 * np.sqrt(144 / np.pi), rtol=1e-6)


def test_two_scans_of_a_patient_are_numbered_and_stay_in_one_split(built):
    cohort, _ = built
    own = cohort.pairs[cohort.pairs.patient_id == "LIDC-IDRI-0006"]
    assert own.nodule_id.tolist() == ["LIDC-IDRI-0006-1-1", "LIDC-IDRI-0006-2-1"] and own.label3.tolist() == [2, 0]


def test_the_manifest_counts_and_names_the_source(built):
    manifest = built[0].manifest
    assert manifest["source"] == "lidc" and manifest["synthetic"] is False and "CC BY 3.0" in manifest["licence"]
    assert manifest["counts"] == dict(series=7, scans=7, pairs=6, patients=5, refused_by_code=dict(E14=1),
                                      classes=dict(benign=2, unsure=2, malignant=2))
    assert set(manifest["sha256"]) == {"crops.npy", "crops_mask.npy", "pairs.csv", "pairs.parquet", "readers.parquet",
                                       "refused.csv"}
    known = manifest["feature_availability"]
    assert known["sct_long_dia"] == "full" and known["age"] == "absent"
    assert f"LIDC-IDRI-0006/{uid(7)}.9/{uid(7)}/070.XML" in manifest["inputs"] and len(manifest["inputs"]) == 7


def test_fewer_readers_where_they_are_asked_for(delivery, tmp_path):
    cohort, refused = build(delivery, tmp_path / "c", min_readers=2)
    assert len(cohort.pairs) == 7 and refused.empty and cohort.manifest["label_rule"].endswith("2_readers")
    assert cohort.pairs.loc["LIDC-IDRI-0005-1-1-T0"].label3 == 1                     # 3 and 4


def test_one_or_two_processes_give_the_same_bytes(delivery, tmp_path, monkeypatch):
    monkeypatch.setattr("namd.data.nlst.crops.PAIRS_PER_WORKER", 2)
    monkeypatch.setattr("namd.data.lidc.build.SCANS_AT_ONCE", 2)
    one = build_lidc(delivery, tmp_path / "a", workers=1, progress=silent)
    two = build_lidc(delivery, tmp_path / "b", workers=2, progress=silent)
    for name in ("crops.npy", "crops_mask.npy", "pairs.parquet", "readers.parquet", "refused.csv", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_a_cohort_is_current_until_a_file_or_the_number_of_readers_changes(delivery, tmp_path):
    folder = shutil.copytree(delivery, tmp_path / "d")
    assert not is_current(tmp_path / "c", folder)
    build_lidc(folder, tmp_path / "c", workers=1, progress=silent)
    assert is_current(tmp_path / "c", folder) and not is_current(tmp_path / "c", folder, min_readers=2)
    next(folder.rglob("*.xml")).write_text("changed")
    assert not is_current(tmp_path / "c", folder)


def test_a_folder_of_somebody_else_is_not_replaced(delivery, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="thesis.txt was not written by this program"):
        build_lidc(delivery, tmp_path / "c", workers=1, progress=silent)
    assert (tmp_path / "c" / "thesis.txt").read_text() == "mine"


def test_a_synthetic_delivery_is_called_synthetic(tmp_path):
    write_scan(tmp_path / "d", "P1", uid(1), reading(uid(1), *four(uid(1)), site=SYNTHETIC))
    cohort, _ = build(tmp_path / "d", tmp_path / "c")
    assert cohort.manifest["synthetic"] is True and cohort.manifest["licence"] == "none: synthetic"
    assert cohort.pairs.dataset.tolist() == ["synthetic"] == cohort.pairs.label_source.tolist()
    write_scan(tmp_path / "d", "P2", uid(2), reading(uid(2), *four(uid(2)), said="Phantom quality check"))
    cohort, refused = build(tmp_path / "d", tmp_path / "mixed")
    assert cohort.manifest["synthetic"] is False and cohort.pairs.patient_id.tolist() == ["P2"]
    assert refused.code.tolist() == ["E26"] and refused.source_id.tolist() == [f"series {uid(1)}"]
    assert refused.message[0] == "its reading is synthetic, and 1 others are not; leave it out"


@pytest.mark.parametrize("overrides", [dict(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]),
                                       dict(ImageOrientationPatient=[1, 0, 0, 0, -1, 0])])
def test_the_mask_turns_with_the_image_of_a_turned_series(tmp_path, overrides):
    lines = [roi(uid(1), square(90, 80, 20)), roi(uid(1), square(92, 81, 4), inclusion="FALSE"),
             roi(uid(1), square(104, 95, 4), inclusion="FALSE")]
    write_scan(tmp_path / "d", "P1", uid(1), reading(uid(1), *[nodule("1", *lines)] * 3), **overrides)
    pairs = build(tmp_path / "d", tmp_path / "c")[0].split("train")
    expected = np.zeros((128, 128), bool)
    expected[54:74, 54:74] = True                                   # and holes above at the right, below at the left
    expected[54:60, 67:73] = False
    expected[68:74, 55:61] = False
    np.testing.assert_array_equal(pairs.masks[0], expected)
    assert (pairs.x1_hu[0] == 40).sum() == 400 and (pairs.x1_hu[0][expected] == 40).all()
