"""Notebooks and commands in processes of their own, forked from one that has done the imports: those are paid once."""

import multiprocessing
import os
import re
import signal
import sys
from contextlib import redirect_stdout
from multiprocessing import forkserver

FORK = multiprocessing.get_context("forkserver")
IMPORTS = ["namd.models.pipeline", "namd.study.notebook", "namd.evaluation.tables.table1", "lpips", "sklearn.manifold"]


def warm(*more):
    """Let the processes that this one starts be forked from a server that has imported what the models need."""
    forkserver._forkserver._stop()              # one that another test has started has other imports
    FORK.set_forkserver_preload([*IMPORTS, *more])
    forkserver.ensure_running()


def start(call, *given):
    """A process, in a group of its own, that ends with what `call`, importable by name, returns."""
    process = FORK.Process(target=_work, args=(call, given))
    process.start()
    return process


def kill(process):
    """SIGKILL `process` and all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _work(call, given):
    os.setsid()
    sys.exit(call(*given))


def cells(number, parameters, outputs, said=os.devnull):
    """Run the code cells of a notebook as a script; what they print goes to the file `said`."""
    from namd.ground import order

    os.environ |= {"NAMD_OUTPUTS": str(outputs), "MPLBACKEND": "Agg"}
    names = {"__name__": "__main__", **parameters}
    with open(said, "w") as kept, redirect_stdout(kept):
        for kind, tags, source in order.cells(number):
            if kind == "code" and not {"parameters", "solution"} & set(tags):
                exec(compile(re.sub("^%.*$", "", source, flags=re.M), f"notebook {number}", "exec"), names)


def command(words, outputs):
    """`python -m namd` with these words, quietly; its exit status."""
    from namd.__main__ import main

    os.environ["NAMD_OUTPUTS"] = str(outputs)
    with open(os.devnull, "w") as quiet, redirect_stdout(quiet):
        return main(words)
