"""A command in a process of its own: how long it took, what it held and wrote; or killed at a moment and gone on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from namd.ground.errors import UserError

LAUNCH = str(Path(__file__).with_name("launch.py"))
BLOCK = 512                                         # bytes, the unit of getrusage
KIB = 1 if sys.platform == "darwin" else 1024       # bytes, the unit of ru_maxrss
LINES = 6


class Measured(NamedTuple):
    """Wall seconds, bytes that the largest process held, bytes written to the disk, and seconds of all its cores."""

    seconds: float
    held: int
    written: int
    cpu: float


def run(words: list[str], environ: dict, log: Path) -> Measured:
    """Run `python -m namd <words>` to its end.

    Args:
        log: file that takes what it says.

    Raises:
        UserError: it failed; the sentence ends with its own last lines.

    Source: getrusage(2), which adds up a process and all that it waited for.
    """
    began = time.time()
    took = log.with_suffix(".json")
    with _start(words, environ, log, took) as process:
        ended = process.wait()
    if ended:
        said = "\n  ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:])
        raise UserError(f"rehearse: `namd {' '.join(words)}` failed; the whole of what it said is in {log}:\n  {said}")
    seconds = time.time() - began
    usage = json.loads(took.read_text(encoding="utf-8"))
    return Measured(seconds, usage["held"] * KIB, usage["written"] * BLOCK, usage["cpu"])


def run_until(words: list[str], environ: dict, log: Path, came) -> bool:
    """Run `python -m namd <words>` and kill it, with all that it started, as soon as `came()`.

    Returns:
        whether that moment came before the end.

    Source: SIGKILL, because a machine that goes down asks nobody.
    """
    with _start(words, environ, log, os.devnull) as process:
        while process.poll() is None:
            if came():
                _kill(process.pid)
                return True
            time.sleep(0.002)
    return False


def _start(words, environ, log, took):
    log.parent.mkdir(parents=True, exist_ok=True)
    through = [sys.executable, "-S", LAUNCH, str(took)]
    with open(log, "ab") as file:
        return subprocess.Popen([*through, sys.executable, "-m", "namd", *words], env=environ, stdin=subprocess.PIPE,
                                stdout=file, stderr=subprocess.STDOUT)


def _kill(pid):
    """The process and its descendants, none of which may outlive it."""
    parent = psutil.Process(pid)
    for process in [*parent.children(recursive=True), parent]:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            pass
