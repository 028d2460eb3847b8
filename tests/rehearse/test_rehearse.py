"""A rehearsal of the small profile to its first training: measured, killed, gone on, compared and cleared away."""

import json
import os
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest

from namd.__main__ import main
from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.ground.surroundings import of_a_job
from namd.rehearse import measure, report
from namd.rehearse.stages import Rehearsal

SMOKE = ["--params", str(REPO / "params" / "smoke.yaml")]
GIB = 2**30


def test_a_rehearsal_measures_a_training_and_kills_it_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    assert main(["rehearse", *SMOKE, "--until", "02", "--keep"]) == 0
    table = pd.read_csv(tmp_path / "rehearsal.csv", dtype={"stage": str}, keep_default_na=False).set_index("stage")
    assert table.killed.to_dict() == {"01": "", "02": "same bytes after SIGKILL"}
    assert 0.75 < float(table.loc["02", "held_ratio"]) < 1.25 and 0.75 < float(table.loc["02", "written_ratio"]) < 1.25
    assert "vae_steps: 2 instead of 6" in capsys.readouterr().out

    done = tmp_path / "rehearsal" / "rehearsed" / "arms" / "namd" / "done" / "02.json"
    before = done.stat().st_mtime_ns
    assert main(["rehearse", *SMOKE, "--until", "02", "--keep"]) == 0       # what is done stays done
    assert done.stat().st_mtime_ns == before
    (tmp_path / "rehearsal" / "mine.txt").write_text("a note")
    assert main(["rehearse", *SMOKE, "--until", "02"]) == 0
    assert [file.name for file in (tmp_path / "rehearsal").iterdir() if file.name != ".namd"] == ["mine.txt"]


def test_a_stage_that_fails_is_told_by_its_own_words(tmp_path):
    with pytest.raises(UserError, match=r"`namd run 02 .*` failed; the whole .*\n.*params/missing.yaml"):
        measure.run(["run", "02", "--params", "params/missing.yaml"], of_a_job(os.environ), tmp_path / "02.log")


def test_a_kill_leaves_no_process_behind(tmp_path):
    environ = of_a_job(os.environ) | {"NAMD_OUTPUTS": str(tmp_path)}
    others = set(psutil.Process().children(recursive=True))
    kernel = []

    def came():
        kernel.extend(set(psutil.Process().children(recursive=True)) - others)
        return any("ipykernel_launcher" in " ".join(_words(process)) for process in kernel)

    assert measure.run_until(["run", "01", *SMOKE], environ, tmp_path / "01.log", came)
    psutil.wait_procs(kernel, timeout=10)
    assert not [process for process in kernel if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not measure.run_until(["why", "01", *SMOKE], environ, tmp_path / "why.log", lambda: False)


def _words(process):
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_one_changed_byte_of_the_weights_is_seen(tmp_path):
    folder = tmp_path / "rehearsed" / "judge"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"0123")
    here = Rehearsal(tmp_path, tmp_path / "file", tmp_path / "rehearsed", "namd")
    before = here.weights("05")
    assert list(before) == ["model.safetensors"] and here.weights("05") == before
    (folder / "model.safetensors").write_bytes(b"0124")
    assert here.weights("05") != before


def test_what_is_far_from_the_expected_is_said_where_it_weighs():
    rows = {"02": report.row(measure.Measured(9.0, 5 * GIB, GIB, 1.0)),
            "03": report.row(measure.Measured(9.0, 100, 300, 1.0))}
    expected = dict(held={"02": 3 * GIB, "03": 10}, written={"02": GIB, "03": 10})
    assert report.apart(rows, expected) == ["02: 5.0 GiB held, 3.0 expected"]
    assert report.table(rows, expected).held_ratio.tolist() == [5 / 3, 10]


def test_rows_of_another_key_do_not_count(tmp_path):
    report.Kept(tmp_path / "measured.json", "one").add("01", dict(seconds=1))
    assert report.Kept(tmp_path / "measured.json", "one").rows == {"01": dict(seconds=1)}
    assert report.Kept(tmp_path / "measured.json", "two").rows == {}
    assert json.loads((tmp_path / "measured.json").read_text())["key"] == "one"


def test_a_stage_ends_with_the_rehearsal_that_is_killed(tmp_path):
    code = ("import os, sys; from pathlib import Path; from namd.rehearse import measure;"
            "measure.run(['run', '01', *sys.argv[2:]], dict(os.environ), Path(sys.argv[1]))")
    environ = of_a_job(os.environ) | {"NAMD_OUTPUTS": str(tmp_path)}
    rehearsal = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "01.log"), *SMOKE], env=environ)
    try:
        while not any("01.lock" in str(file) for file in tmp_path.rglob("*.lock")) and rehearsal.poll() is None:
            time.sleep(0.05)
        begun = psutil.Process(rehearsal.pid).children(recursive=True)
    finally:
        rehearsal.kill()
        rehearsal.wait()
    assert len(begun) >= 2
    _, alive = psutil.wait_procs(begun, timeout=20)
    assert not alive
