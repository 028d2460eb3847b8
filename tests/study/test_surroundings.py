"""A notebook that the study runs meets this checkout's code and nobody's personal settings."""

import json
import os
import subprocess
import sys

import pytest

from namd.__main__ import main
from namd.ground import surroundings
from namd.ground.paths import REPO

SMOKE = str(REPO / "params" / "smoke.yaml")
ENVIRONMENT = {
    "PYTHONSTARTUP": "startup.py", "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "2",
    "IPYTHONDIR": "ipython", "JUPYTER_PATH": "jupyter", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "jupyter",
    "JUPYTER_RUNTIME_DIR": "/proc/nowhere", "MPLBACKEND": "nonsense", "MATPLOTLIBRC": "rc", "OMP_NUM_THREADS": "64",
    "CUBLAS_WORKSPACE_CONFIG": "odd", "NVIDIA_TF32_OVERRIDE": "0", "ACCELERATE_MIXED_PRECISION": "fp16",
    "HF_HOME": "weights", "CUDA_VISIBLE_DEVICES": "1", "HOME": "/proc/nowhere", "LC_ALL": "C",
}


def test_personal_variables_stay_out_and_where_weights_and_cards_are_stays(tmp_path):
    told = surroundings.of_a_kernel(ENVIRONMENT, 2, tmp_path)
    kept = {name for name, value in ENVIRONMENT.items() if told.get(name) == value}
    assert kept == {"HF_HOME", "CUDA_VISIBLE_DEVICES", "HOME", "LC_ALL"}
    assert {told[name] for name in surroundings.FOLDERS} == {str(tmp_path)} and told["OMP_NUM_THREADS"] == "2"
    assert surroundings.of_a_kernel(ENVIRONMENT, 0, tmp_path)["OMP_NUM_THREADS"] == "64"


def test_a_job_imports_this_checkout_first_and_writes_where_the_caller_meant(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAMD_OUTPUTS", "mine")
    told = surroundings.of_a_job({"PYTHONPATH": f"/other{os.pathsep}{REPO}"})
    assert told["PYTHONPATH"].split(os.pathsep) == [str(REPO), "/other"]
    assert told["NAMD_OUTPUTS"] == str(tmp_path / "mine")


def hostile(folder):
    """A home full of settings, each of which would change what the notebook below prints."""
    files = {
        "ipython/profile_default/startup/00.py": "import pandas; pandas.set_option('display.precision', 1)\nmine = 1\n",
        "ipython/profile_default/ipython_config.py": "c.InteractiveShellApp.exec_lines = ['import math; math.pi=3']\n",
        "startup.py": "mine = 2\n", "matplotlibrc": "lines.linewidth: 9\n", "rc": "lines.linewidth: 8\n",
        "namd/__init__.py": "raise SystemExit\n",
        "jupyter/kernels/python3/kernel.json": json.dumps(dict(argv=["false"], display_name="x", language="python")),
        "jupyter/nbconvert/templates/lab/index.html.j2": "a personal page",
        "config/jupyter_config.json": json.dumps({"KernelSpecManager": {"ensure_native_kernel": False}}),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    values = {name: str(folder / value) if (folder / value).exists() else value for name, value in ENVIRONMENT.items()}
    return {name: value for name, value in values.items() if name not in ("HF_HOME", "PYTHONOPTIMIZE")} | {
        "PYTHONPATH": str(folder), "MPLCONFIGDIR": str(folder)}


def test_a_notebook_prints_the_same_for_whoever_runs_it(home, write, tmp_path, monkeypatch):
    write("05_judge", "import math\nimport sys\nfrom namd.evaluation.figures import plots\n"
          "import matplotlib.pyplot as plt\n"
          "import pandas as pd\nimport namd\nfrom pathlib import Path\nfrom namd.ground.paths import outputs_root",
          "(outputs_root() / 'told').write_text(repr([math.pi, 'mine' in globals(), plt.rcParams['lines.linewidth'],"
          " pd.get_option('display.precision'), namd.__file__, sys.executable]))")
    told = []
    for settings in ({}, hostile(tmp_path / "home")):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        before = dict(os.environ)
        assert main(["run", "05", "--params", SMOKE]) == 0
        assert dict(os.environ) == before
        told.append((home / "outputs" / "told").read_text())
        assert "a personal page" not in (home / "outputs/smoke/notebooks/05_judge.html").read_text()
    assert told[0] == told[1] and str(REPO / "namd") in told[0] and sys.executable in told[0]


@pytest.fixture
def copy(tmp_path):
    """What makes a folder a checkout."""
    for name in ("namd/__main__.py", "params/paper.yaml", "notebooks/01.ipynb", "outputs/quick/cohort"):
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).touch()
    (tmp_path / "link").symlink_to(REPO)
    return tmp_path / "copy"


@pytest.mark.parametrize("here, refused", [
    ("copy", True), ("copy/notebooks", True), ("copy/outputs/quick", True), ("link/notebooks", False), (".", False),
])
def test_the_code_of_another_checkout_is_refused_in_one_sentence(copy, here, refused):
    """The environment's note of a path is stood in for by a path that is gone once the module is found."""
    code = (f"import sys; sys.path.insert(0, {str(REPO)!r}); from namd.ground import surroundings; "
            f"sys.path[:] = [p for p in sys.path if p not in ('', {str(REPO)!r})]; "
            f"surroundings.refuse_another_checkout()")
    done = subprocess.run([sys.executable, "-c", code], cwd=copy.parent / here, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": ""})
    assert (done.returncode != 0) is refused, done.stderr
    if refused:
        assert f"UserError: {copy} would run the code of {REPO} and write to its outputs" in done.stderr


def test_code_that_was_asked_for_by_its_path_is_run_from_anywhere(copy, monkeypatch):
    monkeypatch.chdir(copy)
    monkeypatch.setattr(sys, "path", [str(REPO), *sys.path])
    surroundings.refuse_another_checkout()


