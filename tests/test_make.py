"""The commands of the Makefile, as Snakemake's own parser reads them; none is run."""

import shlex
import subprocess

import pytest
from snakemake.cli import get_argument_parser

from namd.ground.paths import REPO

CALLS = {
    "study": [[]],
    "ablations": [[]],
    "seeds": [[]],
    "alignment": [[]],
    "table1": [[], ["run_08"], ["page"]],
    "dial": [[], *[["run_05"]] * len(list((REPO / "params/dial").glob("*.yaml"))), ["page"]],
    "cohorts": [["run_05"]] * len(list((REPO / "params/cohorts").glob("*.yaml"))),
}


@pytest.mark.parametrize("command", CALLS)
def test_each_command_asks_snakemake_for_its_notebooks(command):
    printed = subprocess.run(["make", "-n", command, "PROFILE=smoke"], cwd=REPO, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    words = [shlex.split(line) for line in printed.stdout.splitlines() if " -m namd.study.runner.workflow " in line]
    calls = [get_argument_parser().parse_args(line[line.index("namd.study.runner.workflow") + 1:]) for line in words]
    assert [sorted(call.targets) for call in calls] == CALLS[command]
    assert all("params=params/smoke.yaml" in call.config[0] for call in calls)


@pytest.mark.parametrize("command", ["lab", "course", "reading"])
def test_each_other_command_hands_its_profile_on(command):
    printed = subprocess.run(["make", "-n", command, "PROFILE=smoke"], cwd=REPO, capture_output=True, text=True)
    assert printed.returncode == 0 and f"-m namd {command} --params params/smoke.yaml" in printed.stdout


def test_an_arm_is_one_more_file():
    printed = subprocess.run(["make", "-n", "lab", "ARM=no_align"], cwd=REPO, capture_output=True, text=True)
    assert "--params params/quick.yaml --params params/ablations/no_align.yaml" in printed.stdout


def printed(*words):
    """The calls of Snakemake, and all else that make would do."""
    done = subprocess.run(["make", "-n", *words], cwd=REPO, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if " -m namd.study.runner.workflow " in line], done.stdout


def test_a_scheduler_is_told_how_many_jobs_and_what_each_may_take():
    far = ("--executor some --jobs 20 --retries 2 --keep-going --latency-wait 120"
           " --default-resources slurm_partition=gpu --nolock")
    calls, said = printed("table1", "EXECUTOR=some", "JOBS=20", "CORES=4", "CARD=a40",
                          "SUBMIT=--default-resources slurm_partition=gpu")
    assert all(f" {far} --rerun-incomplete " in call for call in calls)
    assert [" --cores 4 " in call and call.endswith(" cores=4 card=a40") for call in calls] == [True, True, False]
    assert "slurm.lock" not in said and "-r requirements.slurm.lock" in printed("study", "EXECUTOR=slurm")[1]
    assert not any(word in printed("study")[0][0] for word in ("executor", "retries", " cores="))
