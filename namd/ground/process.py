"""What holds for a notebook's whole process: its device, threads, seeds, determinism, and how it ends."""

import atexit
import gc
import os
import random

import numpy as np
import torch

from namd.ground.errors import UserError
from namd.ground.seeding import derive_seed


def device(wanted):
    """torch.device of the `device` parameter: auto, cpu or cuda.

    Raises:
        UserError: cuda is asked for and torch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda, but torch sees no GPU here; write device: auto or cpu.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def settle(seed, threads, name):
    """Set threads (0 leaves them alone), deterministic algorithms and the global generators.

    Args:
        seed, name: the run's seed and the notebook's name; together they seed random, numpy and torch.

    Source: ours, because a run must give the same bytes twice; draws that decide a result are keyed one by one
    (namd.ground.seeding).
    """
    if threads:
        torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False     # finds bugs, costs a few percent
    torch.backends.cudnn.benchmark = False
    atexit.register(gc.freeze)      # else the interpreter searches all of torch for garbage before it ends: 2 to 3 s
    word = derive_seed(seed, name)
    random.seed(word)
    np.random.seed(word % 2**32)
    torch.manual_seed(word)
