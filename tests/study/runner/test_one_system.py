"""One compared system as a job of its own is the one that notebook 08 finds."""

import pytest
from small_systems import write_system_run

from namd.__main__ import main
from namd.forecasters import registry
from namd.ground import paths
from namd.ground.order import Job
from namd.study.notebook import Run
from namd.study.runner.plan import Plan

SMOKE = str(paths.REPO / "params" / "smoke.yaml")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    write_system_run(tmp_path / "smoke")
    (tmp_path / "smoke" / ".namd").touch()
    return tmp_path / "smoke"


def test_notebook_08_finds_the_system_trained(root, capsys):
    assert main(["system", "mcwgan", "--params", SMOKE]) == 0
    assert "mcwgan: trained in" in capsys.readouterr().out
    run = Run("08_comparators", Plan([SMOKE]).parameters(Job("08", None)))
    keys = registry.keys(run, run.p.systems)
    assert registry.system("mcwgan")(run.root, run.p, keys["mcwgan"]).fitted
    assert not registry.system("sd15")(run.root, run.p, keys["sd15"]).fitted
    assert main(["system", "mcwgan", "--params", SMOKE]) == 0
    assert "mcwgan: trained already" in capsys.readouterr().out


def test_a_system_that_the_run_does_not_compare_is_one_sentence(root, capsys):
    assert main(["system", "mcwgan", "--params", SMOKE, "-p", "systems=[brlp]"]) == 1
    assert capsys.readouterr().err == "systems of this run has no mcwgan: choose from brlp.\n"
