"""What a MANIFEST.json says of a training, however it is written; and the sentence where it is none."""

import json
from types import SimpleNamespace

import pytest
from small_delivery import PARAMS, tables, write_delivery

from namd.data.cohort import Cohort
from namd.data.leakage import common, sets
from namd.data.leakage.shipped import Training, one_name, training
from namd.data.nlst.build import build_cohort
from namd.ground.errors import UserError

DIGEST = "0123456789abcdef" * 4
OF_COHORT = ("vae_path", "unet_path", "flux_path", "llm_path")
OF_READINGS = ("autorad_encoder", "autorad_text", "autorad_autoregressive", "autorad_contrastive")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    return Cohort.open(build_cohort(write_delivery(folder / "d", tables(n=8)), folder / "c", PARAMS, progress=str))


def said(folder, text):
    """What a manifest with this text, bytes or object says."""
    raw = text if isinstance(text, bytes) else (text if isinstance(text, str) else json.dumps(text)).encode()
    (folder / "MANIFEST.json").write_bytes(raw)
    return training(folder)


@pytest.mark.parametrize("entry", [
    100001, 100001.0, "100001.0", "000100001", " 100001\n"])
def test_a_patient_is_one_in_every_form(entry, cohort, tmp_path):
    assert said(tmp_path, {"patients": [entry]}).patients == {"100001"}
    split = cohort.pairs.split[cohort.pairs.patient_id == "100001"].iloc[0]
    seen = sets.pretrained(vae_path=str(tmp_path))
    part, = (part for part in sets.splits(cohort) if part.name == split)
    with pytest.raises(UserError, match=r"share 1 patients \(100001\)"):
        common.refuse(common.compare(seen, [part]))


@pytest.mark.parametrize(("one", "other", "is_same"), [
    ("000123", "123", True), ("lidc-idri-0001 ", "LIDC-IDRI-0001", True), ("LIDC-IDRI-0001", "LIDC-IDRI-1", False),
    ("100001", "NLST-100001", False), ("1e5", "100000", False), ("0", "000", True), ("100010", "10001", False)])
def test_names_are_the_same_only_where_they_mean_one_patient(one, other, is_same):
    assert (sets.patient_name(one) == sets.patient_name(other)) is is_same
    assert one_name(one_name(one)) == one_name(one)


@pytest.mark.parametrize("entry", [
    ["100001"], {"pid": "100001"}, None, True, "", " ", 100001.5, -100001, "-100001", "100001.5", "100001, 100002",
    "100001 100002", "[100001]", "100001\u0000", "100 001", "100\u00a0001", "100001.", "1.00001e+05", "1e-3",
    "\uff11\uff10\uff10\uff10\uff10\uff11", "\u0661\u0660\u0660\u0660\u0660\u0661", "\ufeff100001", "100001\u200b"])
def test_what_is_no_patient_is_named_with_its_place_and_mend(entry, tmp_path):
    with pytest.raises(UserError) as caught:
        said(tmp_path, {"patients": ["100001", entry]})
    assert "MANIFEST.json: entry 2 of patients is " in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).endswith('no patient id: write one id an entry, as its data set does, "100001".')


def test_digests_are_read_in_any_case_and_nothing_else_is_a_digest(tmp_path):
    assert said(tmp_path, {"images": [DIGEST.upper(), f" {DIGEST}\n"]}) == Training(images=frozenset([DIGEST]))
    for entry in ({"sha256": "x"}, ["x"], "x", DIGEST[:-1], DIGEST[:-1] + "g", "sha256:" + DIGEST, 7, None):
        with pytest.raises(UserError, match="MANIFEST.json: entry 1 of images is .*: write the 64 hex digits"):
            said(tmp_path, {"images": [entry]})


@pytest.mark.parametrize("text", [
    "", "{", "[]", "[1]", "7", "null", '"words"', '{"patients": ["1"]}'.encode("utf-16"), b"\xff", "[" * 100_000,
    '{"a":' * 100_000, '{"patients": ["1"], "patients": []}', '{"Patients": ["1"]}', {" images": []},
    {"patients": "100001"}, {"patients": None}, {"images": {"sha256": "x"}}, {"images": DIGEST}])
def test_a_manifest_that_is_none_is_one_sentence(text, tmp_path):
    with pytest.raises(UserError, match=r"MANIFEST\.json.*: (write|see|keep) ") as caught:
        said(tmp_path, text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_folder_or_a_lost_link_of_that_name_is_one_sentence_and_none_is_not_recorded(tmp_path):
    assert training(tmp_path) == training(tmp_path / "text") == training("google/gemma-3-1b-pt") == Training()
    file = tmp_path / "MANIFEST.json"
    words = "MANIFEST.json is no file: write one JSON object in UTF-8, or take"
    file.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=words):
        training(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(UserError, match=words):
        training(tmp_path)


def test_a_mark_and_other_keys_are_passed_over(tmp_path):
    assert said(tmp_path, b'\xef\xbb\xbf{"patients": ["1"], "more": [null]}').patients == {"1"}
    assert said(tmp_path, {"name": "m", "parameters": None, "phantom_seed": None}) == Training()


@pytest.mark.parametrize(("seed", "subjects"), [(23, 10), ("23", "10"), (23.0, 10.0), (" 23", 10)])
def test_a_phantom_is_its_number_in_every_form(seed, subjects, tmp_path):
    assert said(tmp_path, dict(phantom_seed=seed, parameters=dict(pretrain_subjects=subjects))) == Training(23, 10)
    assert said(tmp_path, dict(phantom_seed=seed)) == Training(23)


@pytest.mark.parametrize("more", [
    dict(phantom_seed="x"), dict(phantom_seed=True), dict(phantom_seed=-1), dict(phantom_seed=1.5),
    dict(phantom_seed=[]), dict(phantom_seed=1e300), dict(parameters=None), dict(parameters=[]),
    *(dict(parameters=dict(pretrain_subjects=n)) for n in (None, "many", -1, 1.5, True, [10], 10**9))])
def test_a_phantom_without_a_number_is_one_sentence(more, tmp_path):
    with pytest.raises(UserError, match="MANIFEST.json: (phantom_seed|parameters|pretrain_subjects) is .*: write "):
        said(tmp_path, dict(phantom_seed=23, parameters=dict(pretrain_subjects=10)) | more)


def test_a_model_of_a_phantom_and_of_patients_has_seen_both(tmp_path):
    said(tmp_path, dict(phantom_seed=23, parameters=dict(pretrain_subjects=2), patients=["lidc-idri-0001"]))
    seen, = sets.pretrained(vae_path=str(tmp_path))
    assert seen.patients == {"phantom 23 subject 0", "phantom 23 subject 1", "LIDC-IDRI-0001"}


def test_a_part_of_a_model_has_learnt_what_its_folder_has(tmp_path):
    said(tmp_path, {"patients": ["100001"]})
    (tmp_path / "text").mkdir()
    assert training(tmp_path / "text").patients == {"100001"}


@pytest.mark.parametrize("parameter", OF_COHORT + OF_READINGS)
def test_every_model_that_a_run_begins_with_is_compared(parameter, cohort, tmp_path):
    said(tmp_path, {"patients": [cohort.split("test").table.patient_id.iloc[0]]})
    p = SimpleNamespace(**dict.fromkeys(OF_COHORT + OF_READINGS, "") | {parameter: str(tmp_path)},
                        lidc_source="delivery", lidc_seed=71)
    if parameter in OF_COHORT:
        compared = common.of_cohort(cohort, p)
    else:
        train = cohort.pairs[cohort.pairs.split == "train"]
        compared = common.of_readings(Cohort(cohort.path, cohort.manifest, train, cohort._crops), cohort.path, p)
    with pytest.raises(UserError, match=rf"{parameter} \(.*\) and test share 1 patients"):
        common.refuse(compared)
