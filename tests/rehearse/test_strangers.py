"""What a stranger does to a rehearsal: odd words, files of his own, two at once, kills."""

import fcntl
import os
import signal
import time
from types import SimpleNamespace

import pytest

from namd.__main__ import main
from namd.ground import files, marks
from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.rehearse import command, measure, report
from namd.study.params import Parameters
from namd.study.runner.plan import Plan

SMOKE = ["--params", str(REPO / "params" / "smoke.yaml")]


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """Folder of the outputs; a rehearsal that gets as far as a stage fails."""
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    monkeypatch.setattr(command, "_prepare", lambda *given: pytest.fail("it began"))
    return tmp_path


@pytest.mark.parametrize("word", ["nan", "inf", "0", "-3", "much"])
def test_memory_is_a_number_above_0(outputs, capsys, word):
    assert main(["rehearse", *SMOKE, f"--memory={word}"]) == 1
    assert f"'{word}' is no number of GiB above 0" in capsys.readouterr().err
    assert not any(outputs.iterdir())


def test_where_nothing_is_trained_nothing_is_rehearsed(outputs, capsys):
    assert main(["rehearse", "--params", str(REPO / "params" / "authors.yaml")]) == 1
    assert "nothing to rehearse" in capsys.readouterr().err
    assert not any(outputs.iterdir())


def test_a_table_of_somebody_else_is_met_before_the_first_stage(outputs, capsys):
    (outputs / "rehearsal.csv").write_text("mine")
    assert main(["rehearse", *SMOKE]) == 1
    assert "rehearsal.csv was not written by this program" in capsys.readouterr().err


def test_two_rehearsals_do_not_share_a_folder(outputs, capsys):
    lock = marks.begin(outputs / "rehearsal") / ".lock"
    with open(lock, "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["rehearse", *SMOKE]) == 1
        assert "another rehearsal runs in" in capsys.readouterr().err
    with pytest.raises(pytest.fail.Exception, match="it began"):        # a lock that a kill has left is nobody's
        main(["rehearse", *SMOKE])
    assert not lock.exists()


def test_what_somebody_has_put_into_a_folder_of_it_stays(tmp_path, capsys):
    root = marks.begin(tmp_path / "rehearsal")
    for name in ("models/vae", "delivery", "rehearsed/runs", "logs"):
        (root / name).mkdir(parents=True)
    for name in ("models/vae/config.json", "delivery/a.csv", "rehearsed/runs/01.json"):
        files.write_json(root / name, {})
    for name in ("logs/01.log", "logs/01.json", "rehearsed/runs/.01.lock"):
        (root / name).touch()
    for name in ("logs/notes.txt", "models/vae/mine.bin"):
        (root / name).write_text("mine")
    command._clear(root)
    assert "mine.bin in it is not of this program" in capsys.readouterr().out
    assert {file.name for file in marks._below(root)} == {"notes.txt", "mine.bin"}
    assert not (root / "rehearsed").exists() and not (root / "delivery").exists()


def _die(how):
    os.kill(os.getpid(), how)
    time.sleep(60)


def test_a_builder_that_is_killed_is_not_waited_for():
    with pytest.raises(UserError, match="models was killed, most often for too little memory"):
        command._apart(_die, signal.SIGKILL)


def test_measurements_that_are_damaged_are_made_again(tmp_path):
    file = tmp_path / "measured.json"
    report.Kept(file, "one").add("01", dict(seconds=1))
    file.write_text("{")
    kept = report.Kept(file, "one")
    assert kept.rows == {}
    kept.add("02", dict(seconds=2))
    assert report.Kept(file, "one").rows == {"02": dict(seconds=2)}


class Counting:
    """A rehearsal that says what is asked of it."""

    def __init__(self):
        self.asked = []

    def execute(self, number):
        self.asked.append(f"run {number}")
        return measure.Measured(1.0, 2, 3, 4.0)

    def execute_killed(self, number):
        self.asked.append(f"kill {number}")
        return True


def test_a_judge_that_is_not_trained_is_not_killed():
    here = Counting()
    own = command._stage(here, "05", SimpleNamespace(judge_path=""))
    given = command._stage(here, "05", SimpleNamespace(judge_path="data/authors/judge"))
    assert here.asked == ["run 05", "kill 05", "run 05"]
    assert own["killed"] == "same bytes after SIGKILL" and given["killed"] == ""


def test_a_disk_that_is_too_small_is_told_before_the_first_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(command.shutil, "disk_usage", lambda root: SimpleNamespace(free=10**7))
    root = marks.begin(tmp_path / "rehearsal")
    p = Parameters.part(Plan([str(REPO / "params" / "smoke.yaml")], []).values)
    with pytest.raises(UserError, match=r"takes about 0\.\d\d GB below .* where 0\.01 GB are free"):
        command._refuse_small_disk(root, p)
    made = root / "rehearsed" / "weights"
    made.parent.mkdir()
    with open(made, "wb") as file:
        file.truncate(10**9)                    # what an earlier call has made needs no room any more
    command._refuse_small_disk(root, p)
