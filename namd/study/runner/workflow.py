"""Snakemake for this study, as make calls it: quiet, and one sentence when it fails before a notebook could speak."""

import logging
import os
import re
import sys

from namd.ground.errors import UserError
from namd.ground.paths import REPO, outputs_root
from namd.ground.surroundings import of_a_job
from namd.study.runner import card, elsewhere

OURS = ("--snakefile", str(REPO / "Snakefile"), "--profile", "none", "--workflow-profile", "none")
JOB = "job_error"       # a notebook's own process failed, and has said why


class _Listener(logging.Filter):
    """Passes every record on, and keeps what was said at level ERROR."""

    def __init__(self):
        super().__init__()
        self.errors = []
        self.a_job_spoke = False

    def filter(self, record):
        self.a_job_spoke |= str(getattr(record, "event", "")).lower().endswith(JOB)
        if record.levelno >= logging.ERROR:
            self.errors.append(record.getMessage())
        return True


def main(arguments):
    """Exit status of `snakemake` with `arguments`.

    Source: ours, because `--quiet all` keeps our jobs' lines readable and mutes what Snakemake itself cannot do.
    """
    try:
        away = elsewhere.executor(arguments)
    except UserError as error:
        return str(error)
    from snakemake.cli import main as snakemake
    from snakemake.logging import logger

    heard = _Listener()
    logger.addFilter(heard)
    if away:
        logger.addFilter(elsewhere.Herald())
    os.environ |= of_a_job(os.environ)
    try:
        snakemake([*([] if away else _shared()), *OURS, *arguments])
    except SystemExit as end:
        mute = end.code and isinstance(end.code, int) and heard.errors and not heard.a_job_spoke
        return sentence(heard.errors[0]) if mute else end.code


def _shared():
    """What notebooks side by side may take of this machine's GPU together; nothing where there is none."""
    memory = card.memory_mb()
    return ["--resources", f"gpu_mb={memory}"] if memory else []


def sentence(said):
    """One line of what Snakemake said: the error itself, without its traceback."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    text = lines[-1] if lines[0].startswith("Traceback") else " ".join(lines[:2])
    text = re.sub(r'^(\w+) in file "?[^"]*"?, line \d+: ', r"\1: ", text)
    return (f"Snakemake could not run the notebooks ({text}): outputs go to NAMD_OUTPUTS ({outputs_root()}), its own"
            " cache to XDG_CACHE_HOME; name folders that can be written.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
