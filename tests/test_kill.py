"""Every stage killed by SIGKILL at random moments and started again ends with the bytes of an uninterrupted run."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest

from namd.ground import order, paths, seeding
from namd.study.runner import plan
from namd.training import checkpoint

SMOKE = paths.REPO / "params" / "smoke.yaml"
PAIRS = ["vae_steps=10", "uncond_steps=10", "cond_steps=10", "save_every=2", "judge_steps=160", "eval_batch=6",
         "eval_workers=1", "data_workers=1", "n_boot=20", "var_nodules=12", "compare_arms=[namd]"]
PLAN = plan.Plan([SMOKE], PAIRS)
ARM = "smoke/arms/namd/"
STAGES = {                                              # notebook: (what to watch, and how often it must change)
    "02": [(ARM + "checkpoints/vae/*/step-*", 2), (ARM + "latents/*", 1)],
    "03": [(ARM + "checkpoints/uncond/*/step-*", 3)],
    "04": [(ARM + "checkpoints/cond/*/step-*", 2), (ARM + ".tmp-*-namd/*", 2)],
    "05": [("smoke/judge/checkpoints/*/step-*", 1), ("smoke/samples/namd.parts/*.npy", 2)],
    "06": [("smoke/samples/figure_5_namd.parts/*.npy", 1)],
}


def job(number):
    return plan.Job(number, "namd" if number in order.PER_ARM else None)


def start(number, outputs):
    return forked.start(forked.cells, number, PLAN.parameters(job(number)), outputs)


def finish(number, outputs):
    process = start(number, outputs)
    process.join()
    assert process.exitcode == 0


def wait(outputs, pattern, changes, alive):
    """Return when the names that match `pattern` have changed so many times."""
    seen = set(outputs.glob(pattern))
    while changes:
        assert alive(), f"it ended before {pattern} had changed {changes} more times"
        time.sleep(0.002)
        now = set(outputs.glob(pattern))
        seen, changes = (now, changes - 1) if now - seen else (now, changes)


def written(outputs):
    """Every weight, checkpoint and image below `outputs`."""
    root = outputs / "smoke"
    found = [file for kind in ("safetensors", "npy") for file in root.rglob(f"*.{kind}")]
    return {str(file.relative_to(root)): file.read_bytes() for file in found}


def same_as(whole, outputs, number):
    after = written(whole / "after" / number)
    now = written(outputs)
    assert now.keys() == after.keys()
    assert not [name for name in after if now[name] != after[name]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Below after/NN the outputs of notebooks 01 to NN, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    forked.warm()
    for number in ("01", *STAGES):
        finish(number, folder)
        shutil.copytree(folder / "smoke", folder / "after" / number / "smoke")
    return folder


@pytest.fixture
def upstream(whole, tmp_path):
    """(number) -> a copy of what notebook `number` finds."""
    def copy(number):
        return shutil.copytree(whole / "after" / f"{int(number) - 1:02d}", tmp_path / "outputs")
    return copy


@pytest.mark.parametrize("number", STAGES)
def test_a_killed_stage_ends_byte_identical(number, whole, upstream):
    outputs, rng = upstream(number), seeding.numpy_rng("kill", number)
    for pattern, changes in STAGES[number]:
        process = start(number, outputs)
        wait(outputs, pattern, changes, process.is_alive)
        time.sleep(rng.uniform(0, 0.05))
        forked.kill(process)
        if number == "03":
            (place,) = (outputs / ARM / "checkpoints" / "uncond").iterdir()
            weights = checkpoint.complete(place)[-1] / "weights.safetensors"
            os.truncate(weights, weights.stat().st_size // 2)
    finish(number, outputs)
    same_as(whole, outputs, number)


def runner(outputs, limit=None):
    """`python -m namd run 04`; no process of it may write a file of more than `limit` bytes."""
    words = [sys.executable, "-m", "namd", "run", "04", "--params", str(SMOKE)]
    return subprocess.Popen(
        [*words, *(word for pair in PAIRS for word in ("-p", pair))], text=True, cwd=paths.REPO,
        env={**os.environ, "NAMD_OUTPUTS": str(outputs)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: limit and resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))


def kernels(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_runner_says_that_the_disk_is_full_and_goes_on_after_a_kill(whole, upstream):
    outputs = upstream("04")
    full = runner(outputs, limit=1_000_000)
    _, said = full.communicate()
    assert full.returncode == 1
    assert re.match(r"The disk holding \S+ is full or over its quota, so step-00000002 was not written: free", said)
    assert "Traceback" not in said and said.count("\n") == 2
    assert not list((outputs / ARM / "checkpoints" / "cond").glob("*/*"))
    killed = runner(outputs)
    wait(outputs, ARM + "checkpoints/cond/*/step-*", 3, lambda: killed.poll() is None)
    for pid in [*kernels(killed.pid), killed.pid]:
        os.kill(pid, signal.SIGKILL)
    killed.communicate()
    last = runner(outputs)
    out, error = last.communicate()
    assert last.returncode == 0, error
    assert "04_conditional_training · namd · done in" in out
    same_as(whole, outputs, "04")
