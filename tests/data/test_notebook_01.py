"""Notebook 01 on deliveries that are real in form and odd in content: it goes on, or it stops with the cause."""

import json
import shutil
from types import SimpleNamespace

import jupytext
import pandas as pd
import pytest
from open_delivery import open_delivery
from small_delivery import REPO, tables, write_delivery, write_series

from namd.data.cohort import Cohort
from namd.ground.errors import UserError
from namd.ground.order import Job
from namd.study.runner.execute import run_job
from namd.study.runner.plan import Plan

SOURCE = REPO / "notebooks" / "01_data_preparation.py"
SMOKE = str(REPO / "params" / "smoke.yaml")
ODD = {"llm_steps": 1, "llm_hidden": 16, "llm_layers": 1, "data_workers": 1, "data_source": "delivery"}


def varied(n=8):
    """Tables with diameters that differ and grow."""
    made = tables(n=n)
    rows = made["abnormalities"]
    rows["sct_long_dia"] = [8 + (i // 2) % 5 + (i % 2) * (1 + (i // 2) % 3) for i in range(len(rows))]
    rows["sct_perp_dia"] = 7
    return made


def cells():
    """Code cells of 01 behind the parameters, the exercises' solutions included."""
    return [cell.source for cell in jupytext.read(SOURCE).cells
            if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])]


def execute(delivery, tmp_path, monkeypatch, **changes):
    """Run every cell of 01 in this process on a delivery; what it leaves in its namespace."""
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    declared = Plan([SMOKE], []).parameters(Job("01", None))
    scope = {**declared, **ODD, "data_delivery": str(delivery), "run_name": "odd", **changes}
    for source in cells():
        exec(compile(source, SOURCE.name, "exec"), scope)
    return SimpleNamespace(**scope)


def without(*pids):
    """A change of a delivery: the baseline series of these participants is gone."""
    return lambda folder: [shutil.rmtree(folder / "images" / f"{pid}_0") for pid in pids]


def in_two_files(folder):
    """The participants in two files, the second without emphysema."""
    people = pd.read_csv(folder / "file0.csv", dtype=str)
    people[:4].to_csv(folder / "file0.csv", index=False)
    people[4:].drop(columns="diagemph").to_csv(folder / "more.csv", index=False)


def of(made, *pids):
    """Tables of some participants."""
    kept = {name: table[table["PID" if name == "centres" else "pid"].isin(pids)] for name, table in made.items()}
    return kept | {"people": kept["people"].reset_index(drop=True)}


def set_to(made, name, **values):
    return made | {name: made[name].assign(**values)}


BENIGN, MALIGNANT = range(100001, 100009, 2), range(100002, 100009, 2)
FAMILY = dict.fromkeys(("famfather", "fammother", "fambrother", "famsister", "famchild"), "NA")
ODDITIES = {
    "no benign nodule": (lambda made: of(made, *MALIGNANT), None, {}, 4),
    "a single pair": (lambda made: of(made, 100001), None, {}, 1),
    "no emphysema column": (lambda made: made | {"people": made["people"].drop(columns="diagemph")}, None, {}, 8),
    "family history missing, one size for all": (
        lambda made: set_to(set_to(made, "people", **FAMILY), "abnormalities", sct_long_dia=9), None, {}, 8),
    "emphysema in one of two files": (None, in_two_files, {}, 8),
    "no diameter and no lobe": (lambda made: set_to(made, "abnormalities", sct_long_dia="NULL", sct_epi_loc=".N"),
                                None, {}, 4),
    "no validation, the first malignant absent": (None, without(100002), {"data_val_share": 0.01}, 7),
}


@pytest.mark.parametrize("case", ODDITIES)
def test_01_teaches_on_what_was_read(case, tmp_path, monkeypatch, capsys):
    made, spoil, changes, n_pairs = ODDITIES[case]
    folder = write_delivery(tmp_path / "nlst", made(varied()) if made else varied())
    if spoil:
        spoil(folder)
    left = execute(folder, tmp_path, monkeypatch, **changes)
    assert len(left.cohort.pairs) == n_pairs and not left.cohort.manifest["synthetic"]
    assert f"{left.link.nodule_id}" in set(left.cohort.pairs.nodule_id)
    assert "01_data_preparation finished" in capsys.readouterr().out


@pytest.mark.parametrize("made, spoil, changes, words", [
    (None, without(*BENIGN, *MALIGNANT), {}, r"nlst gives no pair: its 8 nodules are refused: 8 x E15 no CT"),
    (lambda made: set_to(made, "people", pid=made["people"].pid + 1000), None, {}, r"8 x E08.*not in the participant"),
    (lambda made: set_to(made, "people", age="sixty"), None, {}, r"8 of 8 rows of the participant.*E04.*'sixty'"),
    (lambda made: of(made, 100001), None, {"data_test_share": 0.9}, "none of 1 patients is left to train on")])
def test_01_without_a_pair_stops_with_the_cause(made, spoil, changes, words, tmp_path, monkeypatch):
    folder = write_delivery(tmp_path / "nlst", made(varied()) if made else varied())
    if spoil:
        spoil(folder)
    with pytest.raises(UserError, match=words):
        execute(folder, tmp_path, monkeypatch, **changes)


def test_the_runner_finishes_01_on_a_faulty_delivery_marked_as_real(tmp_path, monkeypatch):
    """In a kernel of its own: the first malignant series is absent, the next tilted, a file is no text."""
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    folder = write_delivery(tmp_path / "nlst", varied())
    shutil.rmtree(folder / "images" / "100002_0")
    shutil.rmtree(folder / "images" / "100004_1")
    write_series(folder / "images" / "100004_1", 100004, 1, 5, ImageOrientationPatient=[1, 0, 0, 0, 0.966, 0.259])
    (folder / "notes.csv").write_bytes("caf\u00e9".encode("latin-1"))
    pairs = [f"{name}={value}" for name, value in ODD.items()]
    run_job(Plan([SMOKE], [*pairs, f"data_delivery={folder}", "run_name=odd"]), Job("01", None))
    cohort = Cohort.open(tmp_path / "outputs" / "odd" / "cohort")
    refused = pd.read_csv(cohort.path / "refused.csv")
    assert sorted(refused.code) == ["E01", "E15", "E20"] and len(cohort.pairs) == 6
    stamp = json.loads((tmp_path / "outputs" / "odd" / "runs" / "01.json").read_text())
    assert stamp["synthetic"] is False and stamp["numbers"]["malignant"] == 2


@pytest.mark.parametrize("second_year", [True, False])
def test_nodules_that_only_a_list_links_are_read_through_to_the_end(tmp_path, monkeypatch, second_year):
    made = open_delivery(tmp_path / "open")
    left = execute(made, tmp_path, monkeypatch, data_second_year=second_year)
    assert set(left.links.tier) == {"C"} and not left.links.same_number.any() and left.three == []
    assert set(left.cohort.pairs.t0_year) == ({0, 1} if second_year else {0})


def test_too_many_nodules_lost_to_their_images_end_01_and_the_cohort_stays(tmp_path, monkeypatch):
    delivery = write_delivery(tmp_path / "delivery", varied())
    for name in ("100001_0", "100002_1"):
        for file in (delivery / "images" / name).iterdir():
            file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(UserError, match="2 of 8 nodules .25%. were refused for their images, over data_refused_share"):
        execute(delivery, tmp_path, monkeypatch)
    assert len(execute(delivery, tmp_path, monkeypatch, data_refused_share=0.3).cohort.pairs) == 6
