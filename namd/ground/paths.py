"""Where the checkout and its runs lie."""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPO / "notebooks"
ABLATIONS = REPO / "params" / "ablations"


def outputs_root():
    """Folder of all runs: outputs/ beside the package, or the environment variable NAMD_OUTPUTS."""
    return Path(os.environ.get("NAMD_OUTPUTS") or REPO / "outputs")


def located(path):
    """`path` in full, as seen from the current folder when something is there, else from the checkout.

    Source: ours, because a notebook, a command and a test are started in different folders.
    """
    return Path(path).absolute() if Path(path).exists() else REPO / path


def short(path):
    """`path` as seen from the repository when it lies there, else in full."""
    return str(path.relative_to(REPO) if path.is_relative_to(REPO) else path)
