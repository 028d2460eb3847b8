"""An arm takes over the stage that another one has trained with the same parameters."""

import json

import pytest

from namd.__main__ import main
from namd.ground import paths
from namd.ground.order import Job
from namd.study.runner.done import DoneFiles
from namd.study.runner.plan import Plan

SMOKE = str(paths.REPO / "params" / "smoke.yaml")
ARM = '''run_name: str = "smoke"
seed: int = 23
device: str = "auto"
threads: int = 1
arm: str = "namd"
lambda_align: float = 0.05
lambda_pred: float = 0.02
'''
VAE = """from namd.study.notebook import start
run = start("02_vae", globals())
(run.dir / "vae").mkdir(exist_ok=True)
(run.dir / "vae" / "weights").write_text(f"{run.arm} {lambda_align}")
(run.dir / "checkpoints").mkdir(exist_ok=True)
(run.dir / "checkpoints" / "step").write_text("")
run.made("vae")
run.finish()"""


def go(arm=None, number="02"):
    layer = [] if arm is None else ["--params", str(paths.ABLATIONS / f"{arm}.yaml")]
    return main(["run", number, "--params", SMOKE, *layer])


@pytest.fixture
def arms(home, write):
    """Folder of the arms of a run whose 02 writes one file of weights."""
    write("02_vae", VAE, parameters=ARM)
    return home / "outputs" / "smoke" / "arms"


def weights(arms, arm):
    return (arms / arm / "vae" / "weights").read_text()


def test_what_the_twin_trained_is_copied_and_stamped(arms, capsys):
    assert go() == go("epsilon") == 0
    assert "02_vae · epsilon · takes over the files of 02_vae · namd, which did the same" in capsys.readouterr().out
    assert weights(arms, "epsilon") == "namd 0.05" and not (arms / "epsilon" / "checkpoints").exists()
    assert (arms / "epsilon" / "notebooks" / "02_vae.html").is_file()
    plan = Plan([SMOKE, str(paths.ABLATIONS / "epsilon.yaml")])
    stamp = json.loads((arms / "epsilon" / "runs" / "02.json").read_text())
    assert (stamp["arm"], stamp["made_by"]) == ("epsilon", "02_vae · namd")
    assert stamp["parameters"]["arm"] == "epsilon"
    made = json.loads((arms / "epsilon" / "done" / "02.json").read_text())["made"]
    assert "arms/epsilon/vae/weights" in made and not any("checkpoints" in name for name in made)
    assert not any(name.startswith("arms/namd") for name in made)
    assert not DoneFiles(plan, arms.parent).why(Job("02", "epsilon"))
    (arms / "epsilon" / "vae" / "weights").write_text("changed")
    assert weights(arms, "namd") == "namd 0.05"


@pytest.mark.parametrize("arm", ["no_align", "epsilon"])
def test_an_arm_trains_itself_without_a_finished_twin(arms, arm, capsys):
    if arm == "no_align":
        assert go() == 0                                    # finished, and another dose
    assert go(arm) == 0
    assert "takes over" not in capsys.readouterr().out and weights(arms, arm).startswith(arm)


def test_a_twin_that_lost_a_file_is_not_copied(arms, capsys):
    assert go() == 0
    (arms / "namd" / "vae" / "weights").unlink()
    assert go("epsilon") == 0
    assert weights(arms, "epsilon") == "epsilon 0.05"
