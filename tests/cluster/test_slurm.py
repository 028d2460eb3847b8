"""Notebooks as jobs of a real Slurm: a lost node costs its job alone, and the bytes are those of this machine.

The suite sends 01 and 02 of one arm through two nodes and pulls the plug of one. The whole scene, smoke with all of
Table 1 (half an hour on two cores; NAMD_LOCAL_RUN names the outputs of a finished local one of the same commit, else
it is made):

    NAMD_WHOLE_SCENE=1 .venv/bin/python -m pytest tests/cluster
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import slurm  # noqa: E402  beside this file

from namd.ground.order import PER_ARM  # noqa: E402
from namd.ground.paths import REPO  # noqa: E402

NO_PLUGIN = importlib.util.find_spec("snakemake_executor_plugin_slurm") is None
pytestmark = [
    pytest.mark.skipif(bool(slurm.lacking()), reason=slurm.lacking()),
    pytest.mark.skipif(NO_PLUGIN, reason="no plugin here: pip install --no-deps -r requirements.slurm.lock"),
]
WHOLE = pytest.mark.skipif("NAMD_WHOLE_SCENE" not in os.environ, reason="half an hour: NAMD_WHOLE_SCENE=1")
SUBMIT = "--slurm-status-command squeue --slurm-init-seconds-before-status-checks 1"
RESULTS = {".safetensors", ".npy", ".csv", ".parquet", ".png"}
NO_RESULTS = ("checkpoints/", "delivery/", "lidc_delivery/", "benchmarks/", "metrics/comparator_costs",
              "figures/cost_against_auroc")                                                 # times


@pytest.fixture
def cluster(tmp_path):
    slurm.start(tmp_path / "cluster")
    yield tmp_path / "cluster"
    slurm.stop(tmp_path / "cluster")


def calls(command, *words):
    """The calls of Snakemake that `make` would make, as lists of words."""
    printed = subprocess.run(["make", "-n", command, "PROFILE=smoke", *words], cwd=REPO, capture_output=True, text=True)
    lines = [shlex.split(line) for line in printed.stdout.splitlines() if " -m namd.study.runner.workflow " in line]
    return [[sys.executable, *line[1:]] for line in lines]


def through_slurm(words, cluster, outputs, target=""):
    """One of `calls` begun; its output goes to a file beside the outputs."""
    at = words.index("--rerun-incomplete") + 1
    said = (outputs.parent / "said.txt").open("a")
    return subprocess.Popen([*words[:at], *target.split(), *words[at:]], cwd=REPO, stdout=said, stderr=said,
                            env={**slurm.surroundings(cluster), "NAMD_OUTPUTS": str(outputs)})


def lose_the_node_of(cluster, outputs, pattern, process):
    """Wait until a file like `pattern` is there, and pull the plug of the node whose job has written it."""
    while not list(outputs.glob(pattern)):
        assert process.poll() is None, (outputs.parent / "said.txt").read_text()
        time.sleep(0.05)
    node = slurm.say(cluster, "squeue", "-h", "-t", "R", "-o", "%N").split()[0]
    slurm.kill(cluster, node)
    slurm.say(cluster, "scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")
    return node


def written(root):
    """{path: bytes} of what a run has found out."""
    files = [file for file in root.rglob("*") if file.suffix in RESULTS]
    paths = {file.relative_to(root).as_posix(): file for file in files}
    return {path: file.read_bytes() for path, file in paths.items() if not any(part in path for part in NO_RESULTS)}


def same_bytes(root, other):
    ours = written(root)
    theirs = written(other)
    assert ours and ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    assert not [path for path in ours if ours[path] != theirs[path]]


def test_a_lost_node_costs_its_job_alone_and_no_byte(cluster, tmp_path):
    outputs = tmp_path / "outputs"
    (words,) = calls("study", "EXECUTOR=slurm", "JOBS=2", "CORES=1", f"SUBMIT={SUBMIT} --slurm-no-requeue")
    process = through_slurm(words, cluster, outputs, "arms/namd/done/02.json")
    lose_the_node_of(cluster, outputs, "smoke/arms/namd/checkpoints/vae/*/step-*", process)
    shutil.copytree(outputs, tmp_path / "local", ignore=shutil.ignore_patterns("arms", ".snakemake"))
    here = [sys.executable, "-m", "namd", "run", "02", "--params", "params/smoke.yaml"]
    subprocess.run(here, cwd=REPO, check=True, env={**os.environ, "NAMD_OUTPUTS": str(tmp_path / "local")})
    assert process.wait() == 0, (tmp_path / "said.txt").read_text()
    said = (tmp_path / "said.txt").read_text().splitlines()
    assert [line for line in said if "handed over" in line] == [
        "01 · handed over", "02.namd · handed over", "02.namd · handed over"]
    assert sum("02.namd · failed" in line and "NODE_FAIL" in line for line in said) == 1
    same_bytes(outputs / "smoke", tmp_path / "local" / "smoke")


@WHOLE
def test_all_of_table_1_through_slurm_is_that_of_this_machine(cluster, tmp_path):
    local = Path(os.environ.get("NAMD_LOCAL_RUN", tmp_path / "local"))
    if not local.is_dir():
        for words in calls("table1"):
            subprocess.run(words, cwd=REPO, check=True, env={**os.environ, "NAMD_OUTPUTS": str(local)})
    outputs = tmp_path / "outputs"
    lost = []
    for words in calls("table1", "EXECUTOR=slurm", "JOBS=4", "CORES=1", f"SUBMIT={SUBMIT}"):
        process = through_slurm(words, cluster, outputs)
        if not lost:
            lost.append(lose_the_node_of(cluster, outputs, "smoke/arms/*/checkpoints/cond/*/step-*", process))
            slurm.begin_node(cluster, lost[0])
        assert process.wait() == 0, (tmp_path / "said.txt").read_text()
    said = (tmp_path / "said.txt").read_text()
    assert all(f"{number}.namd · handed over" in said for number in PER_ARM) and "brlp · handed over" in said
    same_bytes(outputs / "smoke", local / "smoke")
