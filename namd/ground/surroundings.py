"""What a process that we start finds around it: this checkout's code, nobody's personal settings, known threads."""

import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from namd.ground.errors import UserError
from namd.ground.paths import REPO, outputs_root, short

PERSONAL = re.compile("I?PYTHON|JUPYTER|MPLBACKEND|MATPLOTLIBRC|PAPERMILL|ACCELERATE_|NVIDIA_TF32|TORCH_ALLOW_TF32")
NEEDED = {"PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUTF8", "PYTHONIOENCODING"}
FOLDERS = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
UNATTENDED = "NAMD_UNATTENDED"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CORES = "LOKY_MAX_CPU_COUNT"                # joblib's own name for the cores that a process may take


def of_a_job(environ):
    """`environ` for another process of this study: it imports this checkout's namd and writes to the same outputs.

    Source: ours, because an environment knows one checkout by its path, and a copy of it still names the original.
    """
    path = [str(REPO), *(part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part)]
    ours = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "NAMD_OUTPUTS": str(outputs_root().absolute())}
    return {**environ, **ours}


def allotted(environ) -> int:
    """Cores that a scheduler gave this process; 0 where it was given none by number.

    Source: ours, because a node that confines nobody shows every job all of its cores.
    """
    return int(environ.get(CORES) or environ.get("SLURM_CPUS_PER_TASK") or 0)


def of_a_kernel(environ, threads, folder):
    """`environ` for a notebook, without what a profile, a startup file or another kernel would change.

    Args:
        threads: of the numeric libraries, 0 leaves them alone unless a scheduler gave the process a number of cores;
            folder: empty, for what Jupyter and IPython keep.
    """
    kept = {name: value for name, value in of_a_job(environ).items() if name in NEEDED or not PERSONAL.match(name)}
    kept |= dict.fromkeys(FOLDERS, str(folder))
    if cores := allotted(environ):
        kept = dict.fromkeys(THREADS, str(cores)) | kept | {CORES: str(cores)}
    if threads:
        kept |= dict.fromkeys(THREADS, str(threads))
    return kept | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONHASHSEED": "0",
                   "MATPLOTLIBRC": os.devnull, "PYDEVD_DISABLE_FILE_VALIDATION": "1", UNATTENDED: "1"}


def somebody_looks():
    """Whether a notebook may show what needs a hand, such as sliders: not where `namd run` executes it."""
    return UNATTENDED not in os.environ


@contextmanager
def for_a_kernel(threads):
    """Let this process, which chooses and starts a kernel, have the surroundings of the kernel meanwhile."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="namd-", ignore_cleanup_errors=True) as folder:
        try:
            _become(of_a_kernel(before, threads, folder))
            yield
        finally:
            _become(before)


def _become(environ):
    os.environ.clear()
    os.environ.update(environ)


def python():
    """How a user at the root of this checkout calls the interpreter that runs."""
    return "python" if shutil.which("python") == sys.executable else short(Path(sys.executable))


def refuse_another_checkout():
    """Refuse to run the code of one checkout for somebody who stands in another.

    Raises:
        UserError: namd was found by the environment's own note of its path, not where the caller or .venv lies.
    """
    if any(Path(entry).resolve() == REPO for entry in sys.path):
        return
    for there in filter(None, map(_checkout, (Path.cwd(), Path(sys.prefix).parent))):
        if there != REPO:
            raise UserError(f"{there} would run the code of {REPO} and write to its outputs, for its Python environment"
                            f" was set up there; call make in {there}, or set PYTHONPATH={there}.")


def _checkout(folder):
    """The checkout at or above `folder`, None outside of any."""
    for each in (folder.resolve(), *folder.resolve().parents):
        if (each / "namd/__main__.py").is_file() and (each / "params/paper.yaml").is_file():
            return each
    return None
