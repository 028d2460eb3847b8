import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from fuzzing import fuzz
from hypothesis import given
from hypothesis import strategies as st
from small_delivery import PARAMS, tables, write_delivery

from namd.data.cohort import SCHEMA, Cohort, source_of
from namd.data.images import AUGMENTATIONS, augment, centre_crop, window
from namd.data.nlst.build import build_cohort, is_current
from namd.data.report import CDAS_ONLY, EHR, NODULE
from namd.evaluation.tables.beside_paper import other_patients
from namd.ground.errors import UserError
from namd.ground.marks import sha256


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    return build_cohort(write_delivery(folder / "d", tables(n=12)), folder / "c", PARAMS, progress=lambda line: None)


@pytest.fixture
def copy(built, tmp_path):
    for file in built.glob("[!.]*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def sign(folder):
    """Renew the checksums, so that only the rule under test can refuse."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: sha256(folder / name) for name in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_cohort_says_how_many_features_of_the_record_its_pairs_have(built):
    manifest = json.loads((built / "manifest.json").read_text())
    assert source_of(manifest) == "NLST" and source_of(manifest | dict(synthetic=True)) == "phantom"

    def lacking(*names):
        return source_of(manifest | dict(feature_availability=manifest["feature_availability"]
                                         | dict.fromkeys(names, "absent") | dict(age="partial")))

    own = source_of(manifest | dict(source="own"))
    assert own == "own data, 13 of 13 features" and "not the paper's patients" in other_patients(own)
    assert lacking(*CDAS_ONLY) == "open NLST, 7 of 13 features"
    assert lacking(*CDAS_ONLY, *NODULE) == "open NLST, 2 of 13 features"
    assert lacking(*CDAS_ONLY[1:]) == "NLST, 8 of 13 features" and lacking() == "NLST"


def test_window_by_hand():
    np.testing.assert_allclose(window([-1024, -1000, -300, 400, 3071], -1000, 400), [-1, -1, 0, 1, 1])
    assert window(np.array([0], np.int16), -1000, 400).dtype == np.float32


def test_centre_of_a_crop():
    x = np.arange(36).reshape(1, 6, 6)
    assert centre_crop(x, 2).tolist() == [[[14, 15], [20, 21]]]


def test_square_augmentations_are_the_eight_symmetries():
    x = np.arange(9, dtype=np.int16).reshape(1, 3, 3)
    made = {augment(x, "square", k).tobytes() for k in range(8)}
    assert len(made) == AUGMENTATIONS["square"] == 8
    np.testing.assert_array_equal(augment(x, "square", 0), x)
    assert augment(x, "square", 1)[0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]
    with pytest.raises(UserError, match="square"):
        augment(x, "square", 8)


def test_rotations_leave_no_corner_in_the_central_crop():
    x = np.full((2, 128, 128), 40, np.int16)
    x[:, 20:30] = -850
    assert AUGMENTATIONS["rotations"] == 5
    for k in range(5):
        turned = augment(x, "rotations", k)
        assert turned.dtype == np.int16 and centre_crop(turned, 64).min() >= -850
    np.testing.assert_array_equal(augment(x, "rotations", 0), x)
    np.testing.assert_array_equal(augment(x, "rotations", 4), x[:, ::-1, ::-1])
    half = augment(augment(x, "rotations", 1), "rotations", 1)[:, 40:88, 40:88]      # 45 + 45 = 90 degrees
    np.testing.assert_allclose(half, augment(x, "rotations", 2)[:, 40:88, 40:88], atol=2)


def test_contract_columns_types_and_splits(built):
    cohort = Cohort.open(built)
    table = pd.read_parquet(built / "pairs.parquet")
    assert {name: str(table[name].dtype) for name in table} == SCHEMA
    assert len(pd.read_csv(built / "pairs.csv")) == len(table) == 12
    assert sum(len(cohort.split(name)) for name in ("train", "val", "test")) == 12
    assert len(cohort.split("train", "val")) == len(cohort.split("train")) + len(cohort.split("val"))
    assert cohort.split("test").label.tolist().count(1) == 2               # round(0.4 * 6) of each label
    with pytest.raises(UserError, match="validation"):
        cohort.split("validation")


def test_pairs_give_images_records_and_attributes_in_one_order(built):
    pairs = Cohort.open(built).split("train")
    x1, x2 = pairs.images(64, -1000, 400)
    assert x1.shape == (len(pairs), 1, 64, 64) and x1.dtype == torch.float32
    assert x1.min() >= -1 and x2.max() <= 1 and (x2 > 0).sum() > (x1 > 0).sum()          # 12 mm against 10 mm
    assert torch.equal(pairs.augmented(2, "square", 64, -1000, 400)[0], x1.flip(-1).flip(-2))
    assert list(pairs.ehr.columns) == EHR and list(pairs.ehr.index) == list(pairs.table.index)
    assert pairs.attributes(1).sct_long_dia.eq(10).all() and pairs.attributes(2).sct_long_dia.eq(12).all()
    assert list(pairs.attributes(2).columns) == NODULE and pairs.label.dtype == np.int64
    assert pairs.x1_hu.shape == (len(pairs), 128, 128) and pairs.x1_hu.dtype == np.int16


def test_no_cohort_names_the_notebook(tmp_path):
    for folder, number in (("cohort", "01"), ("elsewhere", "01"), ("lidc", "09")):
        with pytest.raises(UserError, match=f"run notebook {number} first"):
            Cohort.open(tmp_path / folder)


def mend(folder, **changes):
    """Change what the manifest says."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def spoil_pairs(folder, **values):
    table = pd.read_parquet(folder / "pairs.parquet")
    for name, value in values.items():
        table.loc[0, name] = value
    table.to_parquet(folder / "pairs.parquet", index=False)


def patient_of_another_split(folder):
    table = pd.read_parquet(folder / "pairs.parquet")
    return table[table.split != table.split[0]].patient_id.iloc[0]


BREAKS = {
    "changed byte": (lambda c: (c / "crops.npy").write_bytes((c / "crops.npy").read_bytes()[:-1] + b"\1"), "checksum"),
    "missing file": (lambda c: (c / "pairs.csv").unlink(), "pairs.csv is absent"),
    "shape": (lambda c: (np.save(c / "crops.npy", np.zeros((24, 64, 64), np.int16)), sign(c)), "24, 64, 64"),
    "index": (lambda c: (spoil_pairs(c, t0_index=99), sign(c)), "outside the 24 crops"),
    "two splits": (lambda c: (spoil_pairs(c, patient_id=patient_of_another_split(c)), sign(c)), "two splits"),
    "repeated pair": (lambda c: (spoil_pairs(c, pair_id="100012-1-T0T1"), sign(c)), "repeated pairs"),
    "newer": (lambda c: (c / "manifest.json").write_text('{"schema_version": 2}'), "its schema is 2, this reader's 1"),
    "no JSON": (lambda c: (c / "manifest.json").write_text("{"), "a file of it cannot be read"),
    "no sums": (lambda c: (c / "manifest.json").write_text('{"schema_version": 1}'), "a file of it cannot be read"),
    "a word": (lambda c: (c / "manifest.json").write_text('{"schema_version": "2"}'), "schema is 2"),
    "no parquet": (lambda c: ((c / "pairs.parquet").write_bytes(b"PAR1"), sign(c)), "a file of it cannot be read"),
    "pickled": (lambda c: (np.save(c / "crops.npy", np.array([{}])), sign(c)), "a file of it cannot be read"),
    "outside": (lambda c: mend(c, sha256={"crops.npy": "", "pairs.parquet": "", "../x": ""}), "outside the folder"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_broken_cohort_is_not_opened(copy, case):
    spoil, words = BREAKS[case]
    spoil(copy)
    with pytest.raises(UserError, match="^E25.*" + words):
        Cohort.open(copy)


@pytest.mark.parametrize("spoil", [BREAKS["changed byte"][0], BREAKS["newer"][0],
                                   lambda folder: (folder / "manifest.json").write_text("{")],
                         ids=["changed byte", "newer", "no manifest"])
def test_a_broken_cohort_of_lidc_is_mended_by_the_notebook_that_builds_it(copy, tmp_path_factory, spoil):
    lidc = shutil.copytree(copy, tmp_path_factory.mktemp("run") / "lidc")
    spoil(lidc)
    with pytest.raises(UserError, match="run notebook 09 again"):
        Cohort.open(lidc)


def test_a_split_without_patients_is_refused_with_the_number_there_is(copy):
    table = pd.read_parquet(copy / "pairs.parquet")
    table.assign(split="train").to_parquet(copy / "pairs.parquet", index=False)
    sign(copy)
    cohort = Cohort.open(copy)
    assert len(cohort.split("train", "val")) == len(table)
    with pytest.raises(UserError, match=f"no patient is in the split val, .*only {table.patient_id.nunique()}: take"):
        cohort.split("val")


ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
                        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
                        max_leaves=6)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A cohort of four pairs, its delivery, and the bytes of its files by name."""
    folder = tmp_path_factory.mktemp("few")
    made = build_cohort(write_delivery(folder / "d", tables(n=4)), folder / "c", PARAMS, progress=lambda line: None)
    return made, folder / "d", {file.name: file.read_bytes() for file in made.glob("[!.]*")}


@fuzz()
@given(key=st.sampled_from(["schema_version", "sha256", "synthetic", "parameters", "inputs", "counts", "crop"]),
       value=ANYTHING, table=st.sampled_from(["pairs.parquet", "crops.npy", None]), junk=st.binary(max_size=64))
def test_whatever_a_manifest_or_a_table_holds_it_opens_or_is_e25(few, key, value, table, junk):
    folder, delivery, before = few
    if table:
        (folder / table).write_bytes(junk)
        sign(folder)
    mend(folder, **{key: value})
    try:
        is_current(folder, delivery, PARAMS)
        Cohort.open(folder)
    except UserError as error:
        assert "\n" not in str(error) and ("E25" in str(error) or "run notebook 01 again" in str(error))
    finally:
        for name in filter(None, ("manifest.json", table)):
            (folder / name).write_bytes(before[name])
