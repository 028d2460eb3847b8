"""Worker processes of joblib: ready at once, and gone when their notebook is."""

import multiprocessing
import os
import sys
from multiprocessing import forkserver

from joblib.externals.loky.backend import context

from namd.ground.files import alive


def ready(*modules):
    """Let joblib's workers be forked from a server that imports `modules` meanwhile; Linux only, elsewhere as ever.

    Call it before the notebook's own imports, so that both go on side by side.

    Source: ours, because a worker that imports torch, diffusers and torchmetrics anew starts to work 8 s later, and
    joblib renews workers between tasks. Python 3.14 starts processes this way by default, on Linux.
    """
    if sys.platform == "linux":
        multiprocessing.set_forkserver_preload(list(modules))
        context.set_start_method("forkserver", force=True)
        forkserver.ensure_running()


def end_if_orphaned():
    """End this process when it is the worker of a notebook that was killed: the successor wants its files and card."""
    notebook = multiprocessing.parent_process()
    if notebook and os.getppid() != notebook.pid and not alive(notebook.pid):
        os._exit(1)
