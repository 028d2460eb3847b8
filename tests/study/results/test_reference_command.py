"""`python -m namd reference`: what it keeps of a finished run, what it refuses, and how it words a number."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from namd.ground import paths
from namd.ground.errors import UserError
from namd.ground.order import LATER
from namd.study.results.reference import command
from namd.study.results.reference.page import PAGE, render
from namd.study.results.reference.words import duration, measured, place
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"


def stamp(folder, number, notebook, made, arm=None, digest="d1", commit="c1"):
    """What notebook `number` leaves when it has finished."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    told = dict(notebook=notebook, arm=arm, digest=digest, commit=commit, uncommitted_changes=False, seconds=10,
                memory_gib=1.0, device="cpu", threads=1, made=made, parameters=dict(phantom_seed=5))
    (folder / "runs" / f"{number}.json").write_text(json.dumps(told))
    (folder / "done").mkdir(exist_ok=True)
    (folder / "done" / f"{number}.json").write_text("{}")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished smoke run of a few tables, and an empty outputs/reference/."""
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(command, "REFERENCE", tmp_path / "reference")
    root = tmp_path / "outputs" / "smoke"
    for job in Plan([SMOKE]).jobs():
        if job.number not in LATER:
            made = {"05": ["metrics/table1.csv", "metrics/panel_05.csv", "figures/test_grid.png"],
                    "02": [f"arms/{job.arm}/metrics/latent_space.csv"]}.get(job.number, [])
            stamp(root / job.folder, job.number, f"{job.number}_x", made, job.arm)
            for name in made:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text("view,value\nflat,1\n")
    Image.new("L", (4, 4)).save(root / "figures" / "test_grid.png")
    row = dict(row="namd", auroc_mean=0.7, auroc_sd=0.01, n=9, malignant=3, k=4, run_name="smoke", digest="d1")
    pd.DataFrame([row]).to_csv(root / "metrics" / "table1.csv", index=False)
    claim = dict(id="gain", claim="Better", effect=0.1, low=0.05, high=0.2, unit="AUROC", data="phantom",
                 verdict="holds", why="counted")
    pd.DataFrame([claim]).to_csv(root / "metrics" / "claims.csv", index=False)
    return root


def sources(tmp_path):
    return pd.read_csv(tmp_path / "reference" / "smoke" / "sources.csv", keep_default_na=False).set_index("file")


def test_the_command_keeps_a_finished_run_and_writes_its_page(run, tmp_path, capsys):
    command.write_reference(Plan([SMOKE]))
    kept = tmp_path / "reference" / "smoke"
    arms = {f"latent_space_{arm}.csv" for arm in Plan([SMOKE]).by_arm}
    made = {"table1.csv", "test_grid.png", "claims.csv", "costs.csv", "cohort_rows.csv", "sources.csv"}
    assert {file.name for file in kept.iterdir()} == made | arms | {".namd"}
    assert sources(tmp_path).loc["table1.csv", ["notebook", "commit", "digest", "kept"]].tolist() == [
        "05_x", "c1", "d1", ""]
    assert len(pd.read_csv(kept / "costs.csv")) == len([j for j in Plan([SMOKE]).jobs() if j.number not in LATER])
    assert pd.read_csv(kept / "cohort_rows.csv")[["row", "phantom_seed"]].values.tolist() == [["namd", 5]]
    page = (tmp_path / "reference" / PAGE).read_text()
    assert page == render(tmp_path / "reference", "smoke", "namd")
    assert "| Better | 0.1 [0.05, 0.2] (AUROC) | holds" in page
    assert "README.md does not say yet" in capsys.readouterr().out


def test_a_file_that_this_run_lacks_stays_and_is_named_with_its_commit(run, tmp_path, capsys):
    stamp(run, "08", "08_x", ["metrics/comparators.csv"], commit="c8", digest="d8")
    (run / "metrics" / "comparators.csv").write_text("row,auroc_mean,auroc_sd,table1_digest\nflux,0.66,0,d1\n")
    command.write_reference(Plan([SMOKE]))
    (run / "done" / "08.json").unlink()                             # stale now, and half of it may be new
    (run / "metrics" / "comparators.csv").write_text("row\n")
    capsys.readouterr()
    command.write_reference(Plan([SMOKE]))
    assert "1 kept from before: comparators.csv" in capsys.readouterr().out
    assert sources(tmp_path).loc["comparators.csv"].tolist() == ["08_x", "c8", "d8", "from before"]
    assert "0.66" in (tmp_path / "reference" / "smoke" / "comparators.csv").read_text()
    assert "**Of an earlier commit (c8)" in (tmp_path / "reference" / PAGE).read_text()
    (run / "runs" / "08.json").unlink()
    command.write_reference(Plan([SMOKE]))
    assert (tmp_path / "reference" / "smoke" / "costs.csv").read_text().count("08_x") == 1
    assert sources(tmp_path).loc["comparators.csv", "commit"] == "c8"


@pytest.mark.parametrize(("gone", "said"), [("done/07.json", "07_ablations is still to be made"),
                                            ("arms/namd/done/03.json", "03_diffusion_pretraining · namd is still"),
                                            ("metrics/claims.csv", "its page, which settles the claims")])
def test_a_run_that_is_not_finished_is_one_sentence_and_nothing_is_written(run, tmp_path, gone, said):
    (run / gone).unlink()
    with pytest.raises(UserError, match=f"Run smoke is not finished, {said}"):
        command.write_reference(Plan([SMOKE]))
    assert not (tmp_path / "reference").exists()


def test_a_table_that_was_edited_in_the_repository_is_not_replaced(run, tmp_path):
    command.write_reference(Plan([SMOKE]))
    (tmp_path / "reference" / "smoke" / "table1.csv").write_text("mine")
    with pytest.raises(UserError, match="table1.csv was not written by this program, or was changed"):
        command.write_reference(Plan([SMOKE]))
    assert (tmp_path / "reference" / "smoke" / "table1.csv").read_text() == "mine"


@pytest.mark.parametrize(("low", "high", "word"), [(0.1, 0.2, "above"), (-0.2, -0.1, "below"), (-0.1, 0.1, "undecided"),
                                                   (np.nan, np.nan, "without an interval")])
def test_a_place_follows_from_the_interval(low, high, word):
    assert place(low, high) == word
    assert place(low + 1, high + 1, limit=1) == word


def test_a_bound_beside_0_is_not_printed_as_0():
    assert measured(-0.0024, -0.0045, -0.0004) == "-0.0024 [-0.0045, -0.0004]"
    assert measured(0.0, 0.0, 0.0) == "0.000 [0.000, 0.000]" and measured(np.nan, np.nan, np.nan) == "–"


def test_durations():
    assert [duration(s) for s in (59.4, 60, 3599, 3720)] == ["59 s", "1 min 0 s", "59 min 59 s", "1 h 2 min"]
