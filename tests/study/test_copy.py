"""A copied or moved checkout runs its own code into its own outputs, through Snakemake, papermill and make."""

import os
import shutil
import subprocess
import sys

import pytest
from small_home import CELL, write_notebook

from namd.ground.paths import REPO

WHERE = "import namd\nfrom namd.ground.paths import outputs_root\n(outputs_root() / 'told').write_text(namd.__file__)"


@pytest.fixture
def copy(tmp_path):
    """A checkout with a first notebook that says whose code it is."""
    for name in ("namd", "params"):
        shutil.copytree(REPO / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "Makefile", "requirements.lock", "pyproject.toml", "environment.yml"):
        shutil.copy(REPO / name, tmp_path / "copy")
    notebooks = tmp_path / "copy" / "notebooks"
    notebooks.mkdir()
    for number in range(10):
        arm = 'arm: str = "namd"\n' if number in (2, 3, 4) else ""
        write_notebook(notebooks, f"0{number}_x", CELL + arm, WHERE)
    return tmp_path / "copy"


@pytest.mark.parametrize("entry", ["order", "snakemake"])
def test_the_kernel_and_the_outputs_are_those_of_the_checkout_that_was_called(copy, entry):
    words = ["-m", "namd.study.runner.workflow"] if entry == "order" else ["-m", "snakemake"]
    cwd = copy if entry == "snakemake" else copy / "notebooks"
    environ = {**os.environ, "PYTHONPATH": str(copy if entry == "order" else REPO)}
    environ.pop("NAMD_OUTPUTS", None)
    done = subprocess.run([sys.executable, *words, "run_01", "--cores", "1", "--nolock", "--quiet", "all", "--config",
                           f"params={copy / 'params' / 'smoke.yaml'}"], cwd=cwd, env=environ, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copy / "outputs" / "told").read_text() == str(copy / "namd" / "__init__.py")


@pytest.fixture
def environment(copy):
    """A .venv that was set up at another place, with a program that begins with its interpreter."""
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "papermill").write_text("#!/first place/.venv/bin/python\nprint()\n")
    (copy / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (copy / ".venv" / "pyvenv.cfg").write_text("command = /usr/bin/python3 -m venv /first place/.venv\n")
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(copy / name, (0, 0))
    (copy / ".venv" / ".ready").touch()
    return copy / ".venv"


def make(copy, *words):
    return subprocess.run(["make", *words], cwd=copy, capture_output=True, text=True)


def test_make_notices_that_an_environment_was_copied_or_moved(copy, environment):
    planned = make(copy, "-n", "study").stdout
    assert "This .venv was set up as /first place/.venv" in planned and "pip install" in planned
    assert make(copy, "moved").returncode == 0
    assert (environment / "bin" / "papermill").read_text() == f"#!{environment}/bin/python\nprint()\n"
    (environment / "pyvenv.cfg").write_text(f"command = /usr/bin/python3 -m venv {environment}\n")
    assert "pip install" not in make(copy, "-n", "study").stdout


def test_make_leaves_an_environment_that_is_a_link_alone(copy, environment):
    environment.rename(copy.parent / "shared")
    environment.symlink_to(copy.parent / "shared")
    os.utime(copy / "requirements.lock")
    planned = make(copy, "-n", "study").stdout
    assert "pip install" not in planned and "namd.study.runner.workflow" in planned
    (environment / ".ready").unlink()
    refused = make(copy, "study")
    assert refused.returncode and "remove the link .venv" in refused.stderr
