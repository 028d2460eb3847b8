"""Notebooks 02 and 04 in two gloo processes end where one process ends, also when one of them is killed."""

import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import small_run

from namd.ground import order
from namd.ground.errors import UserError
from namd.study import ranks
from namd.training import checkpoint

HERE = Path(__file__).parent
CONDITIONAL = dict(cond_steps=10, save_every=3)
VAE = textwrap.dedent("""
    import os, sys
    import torch.distributed as dist
    import namd.evaluation.figures, namd.models.losses, namd.models.vae
    sys.path.insert(0, sys.argv[1])
    import small_run
    from namd.study import ranks

    def work(n, rank):
        if n > 1:
            dist.init_process_group("gloo", init_method=f"file://{os.environ['NAMD_OUTPUTS']}/meeting", rank=rank,
                                    world_size=n)
        ranks.execute("02", small_run.parameters(
            "02", run_name=f"n{n}", processes=n, vae_steps=10, vae_lr=5.0e-5, vae_lr_schedule="constant",
            vae_channels=[16, 16, 32], lpips_share=0.25))

    children = []
    for n, rank in ((1, 0), (2, 0), (2, 1)):
        children.append(os.fork())
        if not children[-1]:
            work(n, rank)
            os._exit(0)
    sys.exit(sum(os.waitpid(child, 0)[1] for child in children) > 0)
""")


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    return tmp_path


def trained(outputs, run, stage):
    """(weights, rows of the history) of the last checkpoint."""
    (place,) = (outputs / run / "arms" / "namd" / "checkpoints" / stage).iterdir()
    step, tensors, state = checkpoint.latest(place)
    assert step == 10 and state["finished"]
    return tensors["weights"], state["rows"]


def largest_difference(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a)


def kill_one(folder, launcher):
    """SIGKILL one of the training processes below `launcher` once `folder` holds a checkpoint."""
    while not list(folder.glob("*/step-*")):
        time.sleep(0.02)
    psutil.Process(launcher).children(recursive=True)[-1].kill()


def test_a_killed_process_ends_the_launch_and_the_next_run_goes_on_to_the_weights_of_one_process(outputs, capfd):
    small_run.write_inputs(outputs / "n1", unet_channels=[24, 48])
    shutil.copytree(outputs / "n1", outputs / "n2")
    one = ranks.execute("04", small_run.parameters("04", run_name="n1", **CONDITIONAL))
    values = small_run.parameters("04", run_name="n2", processes=2, **CONDITIONAL)
    folder = outputs / "n2" / "arms" / "namd" / "checkpoints" / "cond"
    threading.Thread(target=lambda: kill_one(folder, psutil.Process().pid), daemon=True).start()
    with pytest.raises(UserError, match="one of its 2 processes was killed.*goes on from the last checkpoint"):
        ranks.execute("04", values)
    assert not list(folder.glob("*/step-*10"))
    two = ranks.execute("04", values)

    assert largest_difference(trained(outputs, "n1", "cond")[0], trained(outputs, "n2", "cond")[0]) < 1e-4
    assert largest_difference(one["net"].state_dict(), two["net"].state_dict()) < 1e-4
    assert (one["history"] - two["history"]).abs().max().max() < 1e-3
    began = time.process_time()
    assert ranks.launch(two["run"]) is None and time.process_time() - began < 1     # finished: nothing is launched
    assert not (outputs / "n2" / "arms" / "namd" / "figures").exists()


def test_the_vae_and_its_gathered_alignment_train_in_two_processes_as_in_one(outputs):
    small_run.write_cohort(outputs / "n1" / "cohort")
    shutil.copytree(outputs / "n1", outputs / "n2")
    done = subprocess.run([sys.executable, "-c", VAE, str(HERE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (one, rows_1), (two, rows_2) = (trained(outputs, run, "vae") for run in ("n1", "n2"))
    assert largest_difference(one, two) < 1e-4
    assert torch.tensor([[a[k] - b[k] for k in ("align", "lpips", "loss")] for a, b in zip(rows_1, rows_2, strict=True)]
                        ).abs().max() < 1e-3
    assert not {"figures", "metrics"} & {path.name for path in (outputs / "n2" / "arms" / "namd").iterdir()}


@pytest.mark.parametrize("number", order.PER_ARM)
def test_one_cell_is_tagged_training_and_it_alone_calls_the_loop(number):
    code = [(tags, source) for kind, tags, source in order.cells(number) if kind == "code"]
    assert sum("training" in tags for tags, _ in code) == 1
    assert all(("training" in tags) == ("loop.fit(" in source) for tags, source in code)


@pytest.mark.parametrize(("noise", "sentence"), [
    ("warning\nrefused: The disk is full.\n[rank1]: RuntimeError: Connection closed\n", "^The disk is full.$"),
    ("[rank0]: FloatingPointError: the loss is nan\nSIGTERM", r"stopped \(FloatingPointError: the loss is nan\)"),
    ("[rank1]: RuntimeError: Connection closed\nSignal 9 (SIGKILL) received", "was killed"),
    ("", "left no message"),
])
def test_a_failure_is_one_sentence(noise, sentence):
    run = type("Run", (), dict(name="04_conditional_training", p=type("P", (), dict(processes=2))))
    with pytest.raises(UserError, match=sentence):
        raise UserError(ranks._failure(run, noise))
