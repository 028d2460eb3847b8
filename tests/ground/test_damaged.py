"""A file of a run that is cut, empty, of another kind or away is one sentence with the notebook that makes it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tiny_run import write_run

from namd.data.cohort import Cohort
from namd.data.nlst.fingerprint import unchanged
from namd.data.phantom.oracle import read_truth
from namd.forecasters.drawing import load_row
from namd.ground import files, marks
from namd.ground.errors import DamagedError
from namd.ground.keys import Keyed
from namd.ground.provenance import cohort_digest
from namd.ground.reading import read_json, read_table
from namd.models.judge import load_judge
from namd.models.pipeline import NAMDPipeline
from namd.models.vae import load_latents, load_vae
from namd.ship.finished import open_run
from namd.study.notebook import Run
from namd.training import checkpoint


def cut(file):
    file.write_bytes(file.read_bytes()[:min(200, file.stat().st_size // 2)])


def emptied(file):
    file.write_bytes(b"")


def garbled(file):
    file.write_bytes(b"\x80\x00not this at all\xff" * 40)


def another_kind(file):
    file.write_text('["a list", 3]\n')


def a_folder(file):
    file.unlink()
    file.mkdir()


def dangling(file):
    file.unlink()
    file.symlink_to("nothing")


DAMAGES = (cut, emptied, garbled, another_kind, a_folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = write_run(tmp_path_factory.mktemp("runs") / "toy")
    (root / "arms/namd/latents").mkdir()
    save_file({"z1_mean": torch.zeros(40)}, root / "arms/namd/latents/val.safetensors")
    np.save(root / "namd.npy", np.zeros((1, 2, 4, 4), np.float16))
    pd.DataFrame({"a": range(99)}).to_parquet(root / "probabilities.parquet")
    pd.DataFrame({"risk": [0.5]}).to_parquet(root / "truth.parquet")
    return root


@pytest.fixture
def run(whole, tmp_path):
    """A copy without our lists, as a run is that was moved by hand: only the readers can notice."""
    return shutil.copytree(whole, tmp_path / "toy", ignore=shutil.ignore_patterns("delivery", marks.LIST))


NAMD = "arms/namd/namd/"
READERS = {     # file: (its notebook, what reads it)
    "runs/05.json": ("05", lambda root: open_run(root, "namd")),
    "arms/namd/runs/04.json": ("04", lambda root: open_run(root, "namd")),
    "cohort/manifest.json": ("01", lambda root: Cohort.open(root / "cohort")),
    "judge/config.json": ("05", lambda root: load_judge(root / "judge")),
    "judge/model.safetensors": ("05", lambda root: load_judge(root / "judge")),
    "vae0/probe.safetensors": ("02", lambda root: load_vae(root / "vae0")),
    "arms/namd/latents/val.safetensors": ("02", lambda root: load_latents(root / "arms/namd/latents/val.safetensors")),
    **{NAMD + name: ("04", lambda root: NAMDPipeline.from_pretrained(root / NAMD)) for name in (
        "model_index.json", "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json", "soft_prompts/config.json",
        "soft_prompts/diffusion_pytorch_model.safetensors")},
    "llm/config.json": ("01", lambda root: NAMDPipeline.from_pretrained(root / NAMD).llm),
    "llm/model.safetensors": ("01", lambda root: NAMDPipeline.from_pretrained(root / NAMD).llm),
    "llm/tokenizer.json": ("01", lambda root: NAMDPipeline.from_pretrained(root / NAMD).llm),
    "llm/tokenizer_config.json": ("01", lambda root: NAMDPipeline.from_pretrained(root / NAMD).llm),
    "namd.npy": ("05", lambda root: load_row(root, "namd")),
    "probabilities.parquet": ("05", lambda root: read_table(root / "probabilities.parquet", "05")),
    "truth.parquet": ("01", lambda root: read_truth(root)),
}


@pytest.mark.parametrize("name", READERS)
def test_each_reader_names_the_notebook_that_makes_the_file(name, run):
    number, read = READERS[name]
    for damage in DAMAGES[:4] if name == "llm/tokenizer_config.json" else DAMAGES:      # transformers can do without it
        kept = (run / name).read_bytes()
        damage(run / name)
        with pytest.raises(Exception) as error:
            read(run)
            pytest.fail(f"{damage.__name__}: {name} was read")
        said = f"{damage.__name__}: {error.type.__name__}: {error.value}"
        assert error.type.__name__.endswith("Error") and hasattr(error.value, "_render_traceback_"), said
        assert f"otebook {number}" in said and "\n" not in said, said
        files.remove(run / name)
        (run / name).write_bytes(kept)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_of_a_cohort_is_named_where_only_its_digest_is_asked_for(damage, run):
    damage(run / "cohort" / "manifest.json")
    if not (run / "cohort" / "manifest.json").is_dir():
        with pytest.raises(DamagedError, match="manifest.json is damaged.*notebook 01"):
            cohort_digest(run)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_key_is_none(damage, tmp_path):
    key, delivery = tmp_path / "namd.npy.key", tmp_path / "delivery.sha256"
    (tmp_path / "namd.npy").touch()
    for file in (key, delivery):
        file.write_text("a key of ours")
        damage(file)
    assert not Keyed(tmp_path / "namd.npy", "a key of ours").current() and not unchanged(tmp_path, tmp_path)


@pytest.mark.parametrize("value", ["", "null", "[]", "{}", '{"key": 1}', "NaN", '"text"', "{", "\ufeff{}", '{"a"',
                                   "1" * 5000])
def test_any_json_but_the_one_that_was_written(value, tmp_path):
    (tmp_path / "05.json").write_text(value, encoding="utf-8")
    command = r"\(`python -m namd run 05 --params <your parameter file>`\)\."       # without a file it would be paper's
    with pytest.raises(DamagedError, match=f"05.json is damaged.*notebook 05 again {command}$"):
        read_json(tmp_path / "05.json", "05", "key", "digest")


def test_what_stands_in_our_list_is_read_only_as_it_was_written(tmp_path):
    with files.replacing(tmp_path / "05.json") as aside:
        aside.write_text(json.dumps(dict(key="a")))
    assert read_json(tmp_path / "05.json", "05", "key") == dict(key="a")
    (tmp_path / "05.json").write_text(json.dumps(dict(key="b")))
    with pytest.raises(DamagedError, match="not as it was written"):
        read_json(tmp_path / "05.json", "05", "key")


@pytest.fixture
def begun(tmp_path, monkeypatch):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    return Run("06_variance_analysis", dict(run_name="toy", seed=23, device="cpu", threads=1))


@pytest.mark.parametrize("damage", [*DAMAGES, dangling])
@pytest.mark.parametrize("inside", ["", "deep/model.bin"])
def test_a_notebook_needs_its_files_as_they_were_written(damage, inside, begun):
    with files.replacing(begun.root / "metrics" / "thing") as aside:
        (aside / inside).parent.mkdir(parents=True, exist_ok=True)
        (aside / inside if inside else aside).write_text("as it was " * 50)
    assert begun.need("metrics/thing", made_by="05").exists()
    (begun.root / "metrics" / "notes.txt").write_text("a user's, beside it")
    assert begun.need("metrics/thing", made_by="05").exists()
    damage(begun.root / "metrics" / "thing" / inside)
    with pytest.raises(DamagedError, match="thing of run toy is not as notebook 05 wrote it.*again: .*namd run "):
        begun.need("metrics/thing", made_by="05")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_stamp_of_an_earlier_notebook_is_named(damage, begun):
    with files.replacing(begun.root / "runs" / "05.json") as aside:
        aside.write_text(json.dumps(dict(key="a" * 200)))
    damage(begun.root / "runs" / "05.json")
    with pytest.raises(DamagedError, match="05.json is damaged.*notebook 05 again"):
        Run("06_variance_analysis", dict(run_name="toy", seed=23, device="cpu", threads=1))


def an_empty_object(file):
    file.write_text("{}")


@pytest.mark.parametrize("name", [".namd", "state.json", "weights.safetensors"])
@pytest.mark.parametrize("damage", [*DAMAGES, an_empty_object])
def test_a_damaged_checkpoint_is_passed_over_and_replaced(damage, name, tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, {"weights": {"w": torch.zeros(99)}}, {"key": ""})
    damage(tmp_path / "step-00000002" / name)
    assert checkpoint.latest(tmp_path)[0] == 1
    checkpoint.save(tmp_path, 2, {"weights": {"w": torch.ones(9)}}, {"key": ""})
    assert checkpoint.latest(tmp_path)[0] == 2
    assert (tmp_path / "step-00000002.damaged").exists() == (name == ".namd")      # whose it is nobody can tell then


