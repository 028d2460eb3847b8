"""What names the trainings of notebook 09: all that they rest on, changed one at a time, and nothing else."""

import ast
import json
import shutil

import numpy as np
import pytest
from small_home import forget, write_cohort

from namd.ground import order, paths, provenance
from namd.ground.contents import Contents
from namd.study import notebook as study

MODELS = {"autorad_encoder": "small-aimv2", "autorad_text": "small-clip", "autorad_autoregressive": "small-aimv2",
          "autorad_contrastive": "small-contrastive"}
FOLD = np.array([0, 1, 2, 0])
TRAINS = {                      # another value of each parameter that a training of prompts reads
    "seed": 24, "threads": 2, "precision": "tf32", "autorad_projection": "linear", "autorad_ctx": 3,
    "autorad_hidden_share": 2, "autorad_scale": 20.0, "autorad_rates": [1.0e-2], "autorad_epochs": 2,
    "autorad_batch": 8, "autorad_momentum": 0.5, "autorad_weight_decay": 1.0e-3, "autorad_images": "all",
    "autorad_encoder": "efficientnet_lite0", "autorad_text": "org/name@one", "autorad_autoregressive": ""}
OF_ARMS = TRAINS | {"autorad_symmetries": 8, "autorad_contrastive": ""}
OF_JUDGE = OF_ARMS | {"image_size": 32, "window_low": -900, "window_high": 300}
NEITHER = {"run_name": "other", "autorad_sweep": [2, 9], "autorad_seeds": [7], "n_boot": 7, "k_runs": 2,
           "data_workers": 3, "eval_workers": 3, "save_every": 9, "arm": "mine"}
PROMPTS = ("autorad/crops", "autorad/encoders", "autorad/radiomics", "autorad/extraction", "autorad/folds",
           "autorad/held_out", "autorad/prompts", "autorad/texts", "autorad/tuning", "training/loop", "models/hub",
           "models/efficientnet", "data/images")
PICTURES = ("evaluation/figures/three_class", "evaluation/tables/three_class", "evaluation/tables/two_judges",
            "autorad/controls", "autorad/real_rows", "study/params/rules")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Folder of a copy of the code, the notebooks, the models of AutoRad-Lung, and both cohorts of a run."""
    for name in ("namd", "notebooks"):
        shutil.copytree(paths.REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for parameter, name in MODELS.items():
        shutil.copytree(paths.REPO / "outputs" / "reference" / "models" / name, tmp_path / parameter)
    monkeypatch.setattr(paths, "REPO", tmp_path)
    monkeypatch.setattr(order, "NOTEBOOKS", tmp_path / "notebooks")
    forget()
    write_lidc(tmp_path)
    write_cohort(tmp_path)
    yield tmp_path
    forget()


def write_lidc(root, **more):
    """The manifest of LIDC's prepared cohort, whose files have sums of their own."""
    sums = {name: name for name in ("crops.npy", "crops_mask.npy", "pairs.parquet", "readers.parquet", "refused.csv")}
    (root / "lidc").mkdir(exist_ok=True)
    (root / "lidc" / "manifest.json").write_text(json.dumps(dict(synthetic=True, sha256=sums | more)))


def keys(copy, fold=FOLD, **values):
    """Keys of the arms and of the second judge, as the notebook's own lines make them."""
    provenance._digest.cache_clear()
    values = order.declared("09") | {name: str(copy / name) for name in MODELS} | values
    run = study.Run.__new__(study.Run)
    run.declared, run.root, run.reads, run.contents = values, copy, {}, Contents()
    known = values | dict(run=run, fold=fold)
    for statement in ast.parse("\n".join(source for _, source in order.code_cells("09"))).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) in ("key", "judge_key"):
            exec(ast.unparse(statement), known)
    return np.array([known["key"], known["judge_key"]])


def moved(copy, **changes):
    """(arms, judge): whether their keys are other ones after these changes."""
    before = keys(copy)
    assert (before == keys(copy)).all()
    return tuple(before != keys(copy, **changes))


def test_each_parameter_that_trains_moves_the_keys_and_no_other_does(copy):
    before = keys(copy)
    for at, names in enumerate((OF_ARMS, OF_JUDGE)):
        assert [name for name, value in names.items() if keys(copy, **{name: value})[at] == before[at]] == []
    assert [name for name, value in NEITHER.items() if (keys(copy, **{name: value}) != before).any()] == []
    assert moved(copy, image_size=32) == (False, True)


@pytest.mark.parametrize("file", [
    "autorad_encoder/model.safetensors", "autorad_text/model.safetensors", "autorad_text/tokenizer.json",
    "autorad_autoregressive/model.safetensors", "autorad_autoregressive/text/model.safetensors",
    "autorad_contrastive/model.safetensors", "autorad_contrastive/text/model.safetensors"])
def test_other_weights_in_the_same_folder_are_another_training(copy, file):
    before = keys(copy)
    weights = bytearray((copy / file).read_bytes())
    weights[-1] ^= 1
    (copy / file).write_bytes(weights)
    assert (keys(copy) != before).all()


def test_the_cohort_and_what_is_made_of_it_move_the_keys(copy):
    before = keys(copy)
    assert moved(copy, fold=np.array([0, 1, 2, 1])) == (True, True)
    for file in ("crops.npy", "crops_mask.npy", "pairs.parquet", "readers.parquet"):
        write_lidc(copy, **{file: "other"})
        assert (keys(copy) != before).all(), file
    write_lidc(copy, **{"refused.csv": "other"})
    (copy / "lidc" / "delivery.sha256").write_text("built again to the same bytes")
    assert (keys(copy) == before).all()
    write_cohort(copy, pairs="other")
    assert tuple(keys(copy) != before) == (False, True)


def test_the_code_of_crops_embeddings_radiomics_and_prompts_moves_the_keys_and_a_figure_does_not(copy):
    def after_an_edit(module):
        file = copy / "namd" / f"{module}.py"
        text = file.read_text()
        file.write_text(f"{text}\nNEW = 1\n")
        found = tuple(keys(copy) != before)
        file.write_text(text)
        return found

    before = keys(copy)
    assert {module: after_an_edit(module) for module in PROMPTS} == dict.fromkeys(PROMPTS, (True, True))
    assert {module: after_an_edit(module) for module in PICTURES} == dict.fromkeys(PICTURES, (False, False))
    assert after_an_edit("autorad/arms") == (True, True)
    assert [after_an_edit(name) for name in ("autorad/second_judge", "evaluation/stats/metrics")] == [(False, True)] * 2
