"""What Snakemake cannot do is said in one sentence, though make asks it to be quiet."""

import os
import re
import subprocess
import sys

import pytest

from namd.ground.marks import begin
from namd.ground.order import Job
from namd.ground.paths import REPO
from namd.study.runner.done import DoneFiles
from namd.study.runner.plan import Plan
from namd.study.runner.workflow import sentence

FLAGS = ["--quiet", "all", "--cores", "1", "--config", "params=params/smoke.yaml"]


def order(outputs, *more, **environ):
    done = subprocess.run([sys.executable, "-m", "namd.study.runner.workflow", *FLAGS, *more], cwd=REPO,
                          capture_output=True, text=True, env={**os.environ, "NAMD_OUTPUTS": str(outputs), **environ})
    return done.returncode, done.stderr.strip().splitlines()


def test_outputs_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").touch()
    status, said = order(tmp_path / "file")
    assert status == 1 and len(said) == 1 and "the environment variable NAMD_OUTPUTS" in said[0]


def test_a_locked_folder_is_named(tmp_path):
    locks = begin(tmp_path / "smoke") / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("index.html\n")
    status, said = order(tmp_path)
    assert status == 1 and len(said) == 1 and "cannot be locked" in said[0]


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    status, said = order(tmp_path, HOME="/proc/nowhere", XDG_CACHE_HOME="/proc/nowhere")
    assert status == 1 and len(said) == 1 and "/proc/nowhere" in said[0] and "XDG_CACHE_HOME" in said[0]


def test_a_page_that_was_edited_stays(tmp_path):
    root, plan = begin(tmp_path / "smoke"), Plan([REPO / "params" / "smoke.yaml"])
    for job in plan.jobs():
        DoneFiles(plan, root).write(job, 0)
    (root / "index.html").write_text("a teacher's")
    status, said = order(tmp_path, "--forcerun", "page")
    assert status == 1 and "metrics/table1.csv" in said[0]         # the job was reached
    assert (root / "index.html").read_text() == "a teacher's"


def test_two_spellings_of_an_arm_are_two_rules(tmp_path):
    config = ["compare_arms: [namd, no_align-no_pred, no_align_no_pred]"]
    (tmp_path / "arms.yaml").write_text("\n".join(config))
    status, said = order(tmp_path, "--dry-run", "--config", f"params=params/smoke.yaml,{tmp_path}/arms.yaml")
    assert status == 0, said


def plain(outputs, *flags, more=()):
    """Standard output and error of plain Snakemake."""
    words = [sys.executable, "-m", "snakemake", *flags, "--config", "params=params/smoke.yaml", *more]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True,
                          env={**os.environ, "NAMD_OUTPUTS": str(outputs)})
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_snakefile_is_clean(tmp_path):
    assert "in a good condition" in plain(tmp_path, "--lint")


def test_the_summary_lists_marks_and_artefacts(tmp_path):
    told = plain(tmp_path, "--summary", "--cores", "1")
    for path in ("done/01.json", "cohort/manifest.json", "arms/namd/vae/config.json", "metrics/table1.csv"):
        assert f"\n{path}\t" in told


def test_a_job_is_called_with_its_outputs_and_its_key(tmp_path):
    told = plain(tmp_path, "--dry-run", "--cores", "1", "--printshellcmds")
    key = Plan([REPO / "params" / "smoke.yaml"]).components(Job("01", None)).key
    assert f"NAMD_OUTPUTS={tmp_path}" in told and f"run 01 --key {key} --params {REPO}/params/smoke.yaml" in told
    assert "logs/02.namd.log" in told and "mem_mb=" not in told and "system brlp" not in told


def test_a_job_for_a_scheduler_says_what_it_needs_and_each_system_is_one(tmp_path):
    told = plain(tmp_path, "run_08", "--dry-run", "--cores", "3", "--printshellcmds", more=["cores=3"])
    assert "system brlp --params" in told and "wildcards: system=brlp" in told
    for number, threads in (("02.namd", 1), ("01", 3)):
        block = re.search(rf"    log: logs/{number}.log\n.*?(?:\n\n|$)", told, re.S)[0]
        resources = re.search("resources: .*", block)[0]
        assert all(re.search(rf" {name}=\d+", resources) for name in ("mem_mb", "runtime", "gpu")), resources
        assert f"LOKY_MAX_CPU_COUNT={threads}" in block and ("threads: 3" in block) == (threads == 3)


def test_a_personal_profile_changes_nothing(tmp_path):
    (tmp_path / "profile.yaml").write_text("cores: 64\nno-such-option: 1\n")
    status, said = order(tmp_path / "outputs", "--dry-run", SNAKEMAKE_PROFILE=str(tmp_path / "profile.yaml"))
    assert status == 0, said


@pytest.mark.parametrize("said, told", [
    ('PermissionError in file "Snakefile", line 42:\n[Errno 13] Permission denied\n  File "x"', "PermissionError"),
    ("Traceback (most recent call last):\n\n  File x\n\nOSError: [Errno 30] Read-only file system: '.snakemake'\n",
     "OSError: [Errno 30] Read-only file system"),
    ("WorkflowError:\nFailed to set up.\nMore.", "WorkflowError: Failed to set up."),
])
def test_a_traceback_becomes_its_error(said, told):
    line = sentence(said)
    assert told in line and "\n" not in line and "File " not in line
