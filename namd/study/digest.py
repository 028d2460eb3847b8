"""Where runs live, which commit made them, and JSON files that are never half written."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

from namd.files import replacing
from namd.study.params import REPO


def outputs_root():
    """Folder of all runs: outputs/ beside the package, or the environment variable NAMD_OUTPUTS."""
    return Path(os.environ.get("NAMD_OUTPUTS") or REPO / "outputs")


def short(path):
    """`path` as seen from the repository when it lies there, else in full."""
    return str(path.relative_to(REPO) if path.is_relative_to(REPO) else path)


@cache
def git_state():
    """(7 hex digits of HEAD, whether tracked files differ from it); ("unknown", False) without git."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words):
        return subprocess.run(["git", "-C", str(REPO), *words], capture_output=True, text=True, env=clean)

    try:
        head, status = git("rev-parse", "--short=7", "HEAD"), git("status", "--porcelain", "-uno")
    except FileNotFoundError:
        return "unknown", False
    return (head.stdout.strip() if head.returncode == 0 else "unknown"), bool(status.stdout.strip())


def write_json(path, record):
    """Write `record` as JSON: a reader sees the old file or the new one, never a part."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(record, indent=1, default=_plain) + "\n", encoding="utf-8")


def _plain(value):
    """numpy and torch values as JSON numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
