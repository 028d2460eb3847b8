"""A trained pipeline that left its run: it opens anywhere, draws what the run draws but for rounding, tells itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_delivery import POINT, REAL, needs_real, write_series
from small_llm import records
from tiny_run import write_run

from namd.__main__ import main
from namd.data.cohort import Cohort
from namd.data.dicom.series import read_series
from namd.data.leakage import common, sets
from namd.ground import marks
from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.models.judge import load_judge
from namd.models.pipeline import NAMDPipeline
from namd.models.record_numbers import RecordContext
from namd.ship.folder import MANIFEST, first_changed

OWN = REPO / "outputs" / "reference" / "models" / "namd-small"
PIXEL, PROBABILITY = 8e-3, 2e-4         # of an image in [-1, 1] and of a probability; measured .0039 and .00008


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run whose language model notebook 01 built."""
    return write_run(tmp_path_factory.mktemp("runs") / "toy")


@pytest.fixture(scope="module")
def shipped(run, tmp_path_factory):
    """It, shipped, and moved to where no run is."""
    out = tmp_path_factory.mktemp("models")
    assert main(["ship", "--run", str(run), "--out", str(out), "--name", "one"]) == 0
    return shutil.copytree(out, tmp_path_factory.mktemp("far") / "away") / "one"


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    write_series(folder, 900001, 0, 6.0)
    return folder


@pytest.fixture
def elsewhere(run, tmp_path):
    """A copy of the run whose language model lies outside, as llm_path names one; returns (run, model)."""
    root = shutil.copytree(run, tmp_path / "outputs" / "toy", ignore=shutil.ignore_patterns("delivery", marks.LIST))
    llm = tmp_path / "models" / "small-gemma"
    llm.parent.mkdir()
    shutil.move(root / "llm", llm)
    index = root / "arms" / "namd" / "namd" / "model_index.json"
    said = json.loads(index.read_text())
    index.write_text(json.dumps({**said, "llm_path": os.path.relpath(llm, index.parent)}))
    return root, llm


def ship(run, out, *words):
    return main(["ship", "--run", str(run), "--out", str(out), *words])


def predict(run, series, out, point=POINT, *words):
    center = ",".join(f"{value:.2f}" for value in point)
    return main(["predict", "--run", str(run), "--series", str(series), "--center", center, "-k", "3",
                 "--out", str(out), *words])


def told(out):
    return json.loads((out / "prediction.json").read_text())


def test_half_precision_moves_images_and_probabilities_less_than_the_bounds(run, shipped):
    x1 = torch.from_numpy(np.random.default_rng(5).uniform(-1, 1, (6, 1, 64, 64)).astype("float32"))
    ehr = records(6)
    own = NAMDPipeline.from_pretrained(run / "arms" / "namd" / "namd")(x1, ehr, [1, 2, 3])
    pipe = NAMDPipeline.from_pretrained(shipped)
    drawn = pipe(x1, ehr, [1, 2, 3])
    judge = load_judge(shipped / "judge")
    apart = judge.prob(drawn.flatten(0, 1)) - load_judge(run / "judge").prob(own.flatten(0, 1))
    assert 0 < (drawn - own).abs().max() < PIXEL
    assert 0 < apart.abs().max() < PROBABILITY
    models = [pipe.vae, pipe.unet, pipe.soft_prompts, pipe.llm[0], judge]
    assert {weight.dtype for model in models for weight in model.parameters()} == {torch.float32}


def test_it_holds_half_the_bytes_a_whole_manifest_and_nothing_of_the_machine_or_a_patient(run, shipped, tmp_path):
    for file in shipped.rglob("*.safetensors"):
        assert {weight.dtype for weight in load_file(file).values()} == {torch.float16}, file
    manifest = json.loads((shipped / MANIFEST).read_text())
    files = {file.relative_to(shipped).as_posix() for file in shipped.rglob("*") if file.is_file()}
    assert set(manifest["sha256"]) == files - {MANIFEST, "README.md", marks.LIST}
    assert first_changed(shipped) is None and marks.changed(shipped) is None
    assert {"judge/config.json", "judge/model.safetensors", "llm/config.json", "run.json"} <= files
    patients = pd.read_parquet(run / "cohort" / "pairs.parquet")["patient_id"]
    for name in files:
        raw = (shipped / name).read_bytes()
        assert not any(word.encode() in raw for word in (str(run.parent.parent), *patients)), name


def test_a_shipped_model_knows_the_images_it_has_learnt_from(run, shipped):
    cohort = Cohort.open(run / "cohort")
    learnt, = sets.pretrained(vae_path=str(shipped))
    train, *_, test = sets.splits(cohort)
    assert learnt.images.keys() == train.images.keys()
    assert common.refuse(common.compare([learnt], [test])) is None
    with pytest.raises(UserError, match=r"vae_path \(one\) and train share 6 images"):
        common.refuse(common.compare([learnt], [train]))                    # as another split of the cohort would do


def test_predict_says_the_same_of_a_shipped_model_as_of_its_run(run, shipped, series, tmp_path, capsys):
    assert predict(run, series, tmp_path / "own") == 0 == predict(shipped, series, tmp_path / "out")
    own, said = told(tmp_path / "own"), told(tmp_path / "out")
    one, other = (found.pop("probability_of_malignancy") for found in (own, said))
    assert np.abs(np.subtract(one["values"], other["values"])).max() < PROBABILITY
    assert said["model"].pop("shipped_as") == "one" and said == own
    assert "one of run toy, arm namd, digest 0123abcd" in capsys.readouterr().out


def test_notes_compare_with_the_training_of_the_run(shipped, run, tmp_path):
    write_series(tmp_path / "ct", 900001, 0, 6.0, SliceThickness=9.0, ConvolutionKernel="BONE9")
    (tmp_path / "ehr.json").write_text(json.dumps({"age": 99}))
    for root, out in ((run, "own"), (shipped, "out")):
        assert predict(root, tmp_path / "ct", tmp_path / out, POINT, "--ehr", str(tmp_path / "ehr.json")) == 0
    notes = told(tmp_path / "out")["notes"]
    assert notes == told(tmp_path / "own")["notes"]
    assert all(any(word in note for note in notes) for word in ("thickness is 9", "age is 99", "kernel 'BONE9'"))


def test_a_language_model_beside_the_models_is_referenced(elsewhere, series, tmp_path, monkeypatch, capsys):
    root, llm = elsewhere
    assert ship(root, llm.parent) == 0
    folder = llm.parent / "namd-small"
    assert json.loads((folder / "model_index.json").read_text())["llm_path"] == "../small-gemma"
    assert "not in it, read from `../small-gemma`" in (folder / "README.md").read_text()
    assert not (folder / "llm").exists()
    moved = shutil.move(llm.parent, tmp_path / "moved")
    shutil.rmtree(root)
    monkeypatch.chdir(series)
    assert NAMDPipeline.from_pretrained(f"{moved}/namd-small").encode_prompt(["A report."]).shape == (1, 2, 32)
    shutil.rmtree(f"{moved}/small-gemma")
    assert predict(f"{moved}/namd-small", series, tmp_path / "out") == 1
    assert "reads its language model from ../small-gemma" in capsys.readouterr().err


def test_a_retrained_language_model_beside_it_is_one_sentence(elsewhere, series, tmp_path, capsys):
    root, llm = elsewhere
    assert ship(root, llm.parent) == 0
    folder = llm.parent / "namd-small"
    weights = load_file(llm / "model.safetensors")
    save_file({name: weight * 1.01 for name, weight in weights.items()}, llm / "model.safetensors", {"format": "pt"})
    assert predict(folder, series, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert re.fullmatch("[^\n]*another small-gemma: model.safetensors in it[^\n]*\n", said), said


def test_a_manifest_that_names_no_file_vouches_for_none(shipped, tmp_path):
    folder = shutil.copytree(shipped, tmp_path / "one")
    said = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**said, "sha256": {}}))
    assert first_changed(folder) == MANIFEST


def test_an_arm_that_reads_the_record_as_numbers_has_no_language_model(run, series, tmp_path):
    root = shutil.copytree(run, tmp_path / "toy", ignore=shutil.ignore_patterns("delivery", marks.LIST))
    pipe = NAMDPipeline.from_pretrained(root / "arms" / "namd" / "namd")
    shutil.rmtree(root / "arms" / "namd" / "namd")
    NAMDPipeline(pipe.vae, pipe.unet, pipe.scheduler, record_context=RecordContext.begin(records(40), 2, 32, seed=23),
                 ddim_steps=2, text_report="numbers").save_pretrained(root / "arms" / "namd" / "namd")
    assert ship(root, tmp_path / "out") == 0
    folder = tmp_path / "out" / "namd-small"
    assert json.loads((folder / MANIFEST).read_text())["language_model"] is None and not (folder / "llm").exists()
    assert "Language model: none" in (folder / "README.md").read_text()
    assert predict(folder, series, tmp_path / "drawn") == 0
    assert json.loads((tmp_path / "drawn" / "prediction.json").read_text())["report"] is None


def test_it_opens_from_any_folder_by_the_path_seen_from_the_checkout(shipped, tmp_path):
    where = os.path.relpath(shipped, REPO)
    code = f"from namd.models.pipeline import NAMDPipeline as N; print(N.from_pretrained({where!r}).llm[0].device)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(REPO)})
    assert done.stdout == "cpu\n", done.stderr


def test_the_card_tells_what_was_measured_and_whose_it_is(run, tmp_path, capsys):
    root = shutil.copytree(run, tmp_path / "toy", ignore=shutil.ignore_patterns("delivery", marks.LIST))
    (root / "metrics").mkdir()
    pd.DataFrame({"row": ["direct", "namd"], "auroc_mean": [.8, .7452], "fid_mean": [None, .094], "k": [1, 4]}
                 ).to_csv(root / "metrics" / "table1.csv", index=False)
    assert ship(root, tmp_path / "out") == 0 and str(tmp_path / "out" / "namd-small") in capsys.readouterr().out
    card = (tmp_path / "out" / "namd-small" / "README.md").read_text()
    manifest = json.loads((tmp_path / "out" / "namd-small" / MANIFEST).read_text())
    titles = ("AUROC ↑ (mean over K = 4)", "FID ↓, judge's features (mean over K = 4)")
    assert manifest["measured"] == dict(zip(titles, (.7452, .094), strict=True))
    for words in ("license: apache-2.0", "synthetic, phantom", "run toy, arm namd", "commit 4ab113f", "| 0.7452 |",
                  "python -m namd ship --run outputs/toy --arm namd", "nothing of patients",
                  "Language model: in `llm/`"):
        assert words in card, words
    cohort = root / "cohort" / "manifest.json"
    of_patients = {"synthetic": False, "source": "nlst", "licence": "as agreed with NCI"}
    cohort.write_text(json.dumps(json.loads(cohort.read_text()) | of_patients))
    for number, licence in (("02", "OpenRAIL"), ("03", "MIT"), ("04", "gated terms")):
        said = {"numbers": {"weights": {"it": {"licence": licence}}}}
        stamp = root / f"arms/namd/runs/{number}.json"
        stamp.write_text(json.dumps((json.loads(stamp.read_text()) if stamp.is_file() else {}) | said))
    assert ship(root, tmp_path / "out", "--name", "real") == 0
    card = (tmp_path / "out" / "real" / "README.md").read_text()
    assert "license: other" in card and "(as agreed with NCI; OpenRAIL; MIT; gated terms)" in card and "(nlst; " in card
    assert "phantom" not in card and "Apache" not in card


def test_again_gives_the_same_bytes_and_replaces_only_what_is_ours(run, tmp_path, capsys):
    def held():
        folder = tmp_path / "out" / "namd-small"
        return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    assert ship(run, tmp_path / "out") == 0
    before = held()
    assert ship(run, tmp_path / "out") == 0 and held() == before
    (tmp_path / "out" / "namd-small" / "notes.txt").write_text("a user's")
    assert ship(run, tmp_path / "out") == 1
    assert "notes.txt was not written by this program" in capsys.readouterr().err
    assert (tmp_path / "out" / "namd-small" / "notes.txt").is_file()


@pytest.mark.parametrize("words, said", [
    (["--name", "judge"], "judge is there and is no shipped pipeline"), (["--name", "a/b"], "no name of a model"),
    (["--name", ".."], "no name of a model"), (["--arm", "other"], "has no arm other; it has namd")])
def test_what_cannot_be_shipped_there_is_one_sentence(words, said, run, capsys):
    before = sorted(run.rglob("*"))
    assert ship(run, run, *words) == 1
    assert re.fullmatch(f"[^\n]*{re.escape(said)}[^\n]*\n", capsys.readouterr().err)
    assert sorted(run.rglob("*")) == before


def test_an_unfinished_run_no_run_and_a_shipped_one_are_not_shipped(run, shipped, elsewhere, tmp_path, capsys):
    root, llm = elsewhere
    shutil.rmtree(llm)
    part = shutil.copytree(run, tmp_path / "part", ignore=shutil.ignore_patterns("delivery", "05.json"))
    for folder, said in ((root, "small-gemma any more"), (part, "run notebook 05 first"), (shipped, "already"),
                         (tmp_path / "absent", "is not there")):
        assert ship(folder, tmp_path / "out") == 1
        assert re.fullmatch(f"[^\n]*{said}[^\n]*\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_predict_refuses_what_is_neither_run_nor_shipped_pipeline(run, series, tmp_path, capsys):
    (tmp_path / "small-sd").mkdir()
    (tmp_path / "small-sd" / MANIFEST).write_text("{}")
    for folder in (tmp_path / "small-sd", run / "arms" / "namd" / "namd"):
        assert predict(folder, series, tmp_path / "out") == 1
        assert re.fullmatch("[^\n]*neither a run nor a shipped model[^\n]*\n", capsys.readouterr().err)


@pytest.mark.parametrize("file", ["run.json", "judge/model.safetensors", "unet/config.json", "llm/tokenizer.json",
                                  MANIFEST])
def test_a_shipped_model_that_was_changed_is_one_sentence(file, shipped, series, tmp_path, capsys):
    folder = shutil.copytree(shipped, tmp_path / "one")
    for damage in (lambda path: path.write_text("{}"), lambda path: path.unlink()):
        damage(folder / file)
        assert predict(folder, series, tmp_path / "out") == 1
        said = capsys.readouterr().err
        assert re.fullmatch("[^\n]+(not as it was shipped|neither a run nor)[^\n]+\n", said), said


@pytest.mark.parametrize("file, value", [
    (MANIFEST, {"language_model": [1]}), (MANIFEST, {"language_model": {"sha256": [1]}}), ("run.json", {"about": {}}),
    ("run.json", {"parameters": 3})])
def test_a_shipped_model_whose_words_are_wrong_is_one_sentence(file, value, shipped, series, tmp_path, capsys):
    folder = shutil.copytree(shipped, tmp_path / "one", ignore=shutil.ignore_patterns(marks.LIST))
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | value))
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]["run.json"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert predict(folder, series, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert re.fullmatch("[^\n]+is damaged[^\n]+take the folder from the repository again[^\n]+\n", said), said


def test_another_arm_than_the_shipped_one_is_refused(shipped, series, tmp_path, capsys):
    assert predict(shipped, series, tmp_path / "out", POINT, "--arm", "namd") == 0
    assert predict(shipped, series, tmp_path / "out", POINT, "--arm", "no_align") == 1
    assert "has no arm no_align: it was shipped with namd alone" in capsys.readouterr().err


def test_the_repositorys_own_model_draws_without_a_run(series, tmp_path):
    assert predict(OWN, series, tmp_path / "out") == 0
    found = told(tmp_path / "out")
    assert found["model"]["shipped_as"] == "namd-small" and found["model"]["synthetic_training"]
    assert 0 < min(found["probability_of_malignancy"]["values"])


@needs_real
@pytest.mark.parametrize("which", ["one", "namd-small"])
def test_a_shipped_model_reads_a_real_ct(which, shipped, tmp_path):
    folder = shipped if which == "one" else OWN
    series = read_series(REAL / "chest_ct_philips")
    item, file = next((item, file) for item in series.slices
                      if (file := REAL / "chest_ct_boxes" / f"{item.sop_uid}.xml").is_file())
    box = ElementTree.parse(file).find("object/bndbox")
    x0, y0, x1, y1 = (float(box.find(name).text) for name in ("xmin", "ymin", "xmax", "ymax"))
    point = item.origin + item.spacing * np.array([(x0 + x1) / 2, (y0 + y1) / 2]) @ item.axes
    assert predict(folder, REAL / "chest_ct_philips", tmp_path / "out", point) == 0
    found = told(tmp_path / "out")
    assert found["nodule"]["slice_instance"] == item.instance and found["model"]["shipped_as"] == which
    assert any("slice thickness is 5 mm" in note for note in found["notes"])
