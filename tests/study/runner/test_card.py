"""Notebooks side by side share the GPU of this machine by its memory. No GPU here: a program stands for nvidia-smi."""

import json
import os
import stat
import subprocess
import sys

import pytest

from namd.ground.paths import REPO
from namd.study.runner import card
from namd.study.runner.steps import Steps

A40 = "46068"       # MiB, as nvidia-smi says it


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """A machine whose nvidia-smi answers with the given lines and status, and notes how it was asked."""
    def stand(*lines, status=0):
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        said = "\\n".join(lines)
        program.write_text(f'#!/bin/sh\nprintf "%s" "$*" > {tmp_path}/asked\nprintf "{said}\\n"\nexit {status}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    return stand


def test_a_machine_without_a_card_has_no_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert card.memory_mb() == 0


def test_the_first_card_that_may_be_seen_counts(smi, tmp_path, monkeypatch):
    smi(A40, "81920")
    assert card.memory_mb() == 48_305 and "--id" not in (tmp_path / "asked").read_text()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert card.memory_mb() == 48_305 and "--id 1" in (tmp_path / "asked").read_text()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert card.memory_mb() == 0


@pytest.mark.parametrize("lines, status", [(("[N/A]",), 0), (("No devices were found",), 6), ((), 0)])
def test_a_card_that_says_nothing_sets_no_limit(smi, lines, status):
    smi(*lines, status=status)
    assert card.memory_mb() == 0


@pytest.mark.parametrize("program", ["printf 46068", "#!/nowhere/sh", "#!/bin/sh\nprintf '\\377'",
                                     "#!/bin/sh\nprintf '\302\262'", "#!/bin/sh\nexec sleep 100"])
def test_a_program_that_cannot_be_asked_sets_no_limit(smi, tmp_path, monkeypatch, program):
    monkeypatch.setattr(card, "PATIENCE", 2)
    smi(A40)
    (tmp_path / "bin" / "nvidia-smi").write_text(program)
    assert card.memory_mb() == 0


def test_each_job_takes_of_the_card_what_check_expects(smi):
    smi(A40)
    steps = Steps(dict(params=str(REPO / "params" / "smoke.yaml")), plans=True)
    taken = {number: steps.resources(number)["gpu_mb"](wildcards(number)) for number in ("01", "02", "04", "05", "08")}
    assert taken["01"] == 0 and all(taken[number] > 600 for number in ("02", "04", "05", "08"))
    cpu = Steps(dict(params=str(REPO / "params" / "smoke.yaml"), run_name="other"), plans=True)
    cpu.plan.values["device"] = "cpu"
    assert cpu._ask({}) == {}


def wildcards(number):
    return type("Wildcards", (), dict(arm="namd"))()


def test_two_trainings_that_do_not_fit_together_run_one_after_the_other(smi, tmp_path):
    smi("1")                                    # MiB: what a job takes is cut to it, and two of them are too many
    arms = ("namd", "no_align_no_pred")
    words = [sys.executable, "-m", "namd.study.runner.workflow", "--quiet", "all", "--config",
             "params=params/smoke.yaml", "--cores", "2", *(f"arms/{arm}/done/02.json" for arm in arms)]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (begun, ended), (later, _) = sorted(_span(tmp_path / "outputs" / "smoke" / "arms" / arm) for arm in arms)
    assert begun < ended <= later


def _span(arm):
    """When notebook 02 of an arm began and ended."""
    file, = (arm / "notebooks").glob("02*.ipynb")
    told = json.loads(file.read_text())["metadata"]["papermill"]
    return told["start_time"], told["end_time"]
