"""Whom and what two data sets share: by name, by pixels under another name, and nothing."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_delivery import PARAMS, REAL, needs_real, tables, write_delivery, write_series

from namd.data.cohort import Cohort
from namd.data.dicom.pixels import read_crop
from namd.data.dicom.series import read_series
from namd.data.leakage import common, sets
from namd.data.nlst.build import build_cohort
from namd.data.nlst.lists import read_lists
from namd.data.phantom.registry import patient_id, subject_of
from namd.ground import order
from namd.ground.errors import UserError

NO_MODELS = dict(vae_path="", unet_path="", flux_path="", llm_path="")
SMALL_SD = "outputs/reference/models/small-sd"


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    return write_delivery(tmp_path_factory.mktemp("leak") / "delivery", tables(n=20))


def cohort_of(delivery, out) -> Cohort:
    return Cohort.open(build_cohort(delivery, out, PARAMS, progress=str))


@pytest.fixture(scope="module")
def cohort(delivery, tmp_path_factory):
    return cohort_of(delivery, tmp_path_factory.mktemp("cohort") / "cohort")


def shared(compared):
    """(set_a, set_b) -> numbers of common patients and images, where there are any."""
    return {(row.set_a, row.set_b): (row.common_patients, row.common_images) for row in compared.itertuples()
            if {row.common_patients, row.common_images} - {0, common.UNKNOWN}}


def model(folder, **manifest):
    """A folder with a MANIFEST.json."""
    folder.mkdir()
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    return str(folder)


def of(cohort, **paths):
    return common.of_cohort(cohort, SimpleNamespace(**NO_MODELS | paths))


def test_splits_by_patient_share_nothing(cohort):
    compared = of(cohort)
    assert list(zip(compared.set_a, compared.set_b, strict=True)) == [
        ("train", "val"), ("train", "test"), ("val", "test")]
    assert compared.common_patients.eq(0).all() and compared.common_images.eq(0).all()
    assert common.refuse(compared) is None


def test_one_image_under_two_names_in_two_splits_ends_the_run(delivery, cohort, tmp_path):
    copied = shutil.copytree(delivery, tmp_path / "delivery")
    name = {split: table.patient_id.iloc[0] for split, table in cohort.pairs.groupby("split")}
    for year in (0, 1):                                             # the test patient's scans are the training one's
        folder = copied / "images" / f"{name['test']}_{year}"
        shutil.rmtree(folder)
        write_series(folder, int(name["train"]), year, 5 + year)
        for file in folder.iterdir():
            raw = file.read_bytes()
            file.write_bytes(raw.replace(name["train"].encode(), name["test"].encode()))
    compared = of(cohort_of(copied, tmp_path / "cohort"))
    assert shared(compared) == {("train", "test"): (0, 2)}
    with pytest.raises(UserError, match=f"train and test share 2 images .{name['train']}-1 T0 = {name['test']}-1 T0, "):
        common.refuse(compared)


def test_a_patient_in_two_sets_is_named_five_at_most(cohort):
    pids = [f"{100001 + i}" for i in range(20)]
    twice = sets.DataSet("LUNA25", frozenset(pids), None)
    parts = sets.splits(cohort)
    compared = common.compare([twice], parts)
    assert compared.common_patients.sum() == 20 and compared.common_images.eq(common.UNKNOWN).all()
    with pytest.raises(UserError) as caught:
        common.refuse(compared)
    assert f"LUNA25 and train share {len(parts[0].patients)} patients (" in str(caught.value)
    assert str(caught.value).count("1000") == sum(min(5, len(part.patients)) for part in parts)


def test_what_a_model_names_of_its_training_is_compared_with_what_is_tested(cohort, tmp_path):
    of_split = {name: list(table.patient_id) for name, table in cohort.pairs.groupby("split")}
    learnt = model(tmp_path / "learnt", patients=[*of_split["train"], "200001"])
    silent = model(tmp_path / "silent", trained_on="something")
    compared = of(cohort, vae_path=learnt, llm_path=silent)
    assert common.refuse(compared) is None and set(compared.common_patients) == {0, common.UNKNOWN}
    seen = model(tmp_path / "seen", patients=[f" {of_split['test'][0]}", of_split["train"][0]])
    with pytest.raises(UserError, match=rf"vae_path \(seen\) and test share 1 patients \({of_split['test'][0]}\)"):
        common.refuse(of(cohort, vae_path=seen))


def test_an_image_that_a_model_has_learnt_from_is_found_without_a_name(cohort, tmp_path):
    _, _, test = sets.splits(cohort)
    path = model(tmp_path / "m", images=[*test.images][:1])
    with pytest.raises(UserError, match=r"unet_path \(m\) and test share 1 images \(an image of it = 1000"):
        common.refuse(of(cohort, unet_path=path, vae_path=path + "/"))


def test_a_list_in_a_manifest_that_is_none_is_one_sentence(cohort, tmp_path):
    with pytest.raises(UserError, match="patients is no list"):
        of(cohort, llm_path=model(tmp_path / "m", patients="100001"))


def as_phantom(cohort, seed):
    """The same cohort, said to be of a phantom."""
    return Cohort(cohort.path, cohort.manifest | {"phantom_seed": seed}, cohort.pairs, cohort._crops)


def test_subjects_of_a_phantom_are_those_of_its_seed_alone(cohort):
    seen, = sets.pretrained(vae_path=SMALL_SD, unet_path=SMALL_SD)
    assert seen.name == "vae_path and unet_path (small-sd)" and len(seen.patients) == 24000
    named = cohort.pairs.assign(patient_id=[patient_id(subject, 0.1) for subject in range(len(cohort.pairs))])
    of_subjects = Cohort(cohort.path, cohort.manifest, named, cohort._crops)
    assert common.refuse(of(as_phantom(of_subjects, 23), vae_path=SMALL_SD)) is None
    with pytest.raises(UserError, match=r"vae_path \(small-sd\) and val share . patients \(phantom 7001 subject "):
        common.refuse(of(as_phantom(of_subjects, 7001), vae_path=SMALL_SD))


@pytest.mark.parametrize("u", [0.1, 0.9])
def test_a_phantoms_patient_leads_back_to_the_subject(u):
    assert [subject_of(patient_id(subject, u)) for subject in (0, 1, 99_999)] == [0, 1, 99_999]
    assert subject_of("LIDC-IDRI-0001") == 0


def test_readings_of_nlst_scans_share_patients_with_the_tested(cohort):
    """LIDC-annot-NLST501: the layout of LIDC, the participants of NLST."""
    p = SimpleNamespace(lidc_source="delivery", lidc_seed=71, autorad_encoder="efficientnet_lite0", autorad_text="",
                        autorad_autoregressive="", autorad_contrastive="")
    of_lidc = Cohort(cohort.path, cohort.manifest, cohort.pairs[cohort.pairs.split == "train"], cohort._crops)
    assert shared(common.of_readings(of_lidc, cohort.path, p)) == {}
    moved = cohort.pairs.assign(split="train")
    compared = common.of_readings(Cohort(cohort.path, cohort.manifest, moved, cohort._crops), cohort.path, p)
    n_test = int((cohort.pairs.split == "test").sum())
    assert shared(compared) == {("LIDC", "test"): (n_test, 2 * n_test)}
    assert shared(common.of_readings(of_lidc, cohort.path.parent / "absent", p)) == {}


@needs_real
def test_the_real_lists_name_one_trial(tmp_path):
    """NLSTx and GM-AE's coordinates, put beside each other as if one had trained what the other tests."""
    found, _ = read_lists(REAL / "nlst_tables")
    named = {source: {f"{one.pid:06d}" for one in found if one.source == source} for source in ("nlstx", "gmae")}
    both = [sets.DataSet(source, frozenset(map(sets.patient_name, pids)), None) for source, pids in named.items()]
    compared = common.compare(both[:1], both[1:])
    assert compared.common_patients[0] == len(named["nlstx"] & named["gmae"]) > 100
    with pytest.raises(UserError, match="nlstx and gmae share"):
        common.refuse(compared)


@needs_real
def test_a_real_slice_under_another_name_is_the_same_image(tmp_path):
    series = read_series(REAL / "chest_ct_philips")
    crops = [read_crop(series, i, (250, 250))[0] for i in (20, 21, 20)]
    rows = pd.DataFrame(dict(patient_id=["A1", "A2", "B1"], nodule_id=["a", "b", "c"], t0_year=0, t1_year=1,
                             split=["train", "train", "test"], t0_index=[0, 1, 2], t1_index=pd.NA))
    compared = of(Cohort(tmp_path, {}, rows, np.stack(crops)))
    assert shared(compared) == {("train", "test"): (0, 1)} and compared.who[0] == "a T0 = c T0"


@pytest.mark.parametrize(("number", "parameter"), [("02", "vae_path"), ("03", "unet_path"), ("03", "llm_path")])
def test_an_arm_ends_on_a_model_that_has_seen_its_tests(number, parameter, cohort, tmp_path):
    of_split = {name: cohort.split(name).table.patient_id.iloc[0] for name in ("train", "val", "test")}
    for name, patient in of_split.items():
        paths = {parameter: model(tmp_path / name, patients=[patient])}
        if name == "train":
            assert common.before_training(cohort, **paths).common_patients.tolist() == [0, 0]
            continue
        with pytest.raises(UserError, match=rf"{parameter} \({name}\) and {name} share 1 patients \({patient}\)"):
            common.before_training(cohort, **paths)
    assert common.before_training(cohort, **{parameter: ""}).empty
    asked, = (source for _, source in order.code_cells(number) if source.startswith("display(before_training("))
    assert f"{parameter}=" in asked
