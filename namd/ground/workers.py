"""Worker processes: ready at once, and gone when the process that wants their answers is."""

import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import forkserver

import joblib
import numpy as np
from joblib import parallel

from namd.ground.errors import UserError

METHOD = "forkserver" if sys.platform == "linux" else "spawn"
AHEAD = 2           # jobs a worker that wait their turn, or have an answer that waits for an earlier one


def ready(*modules):
    """Let workers be forked from a server that imports `modules` meanwhile; Linux only, and only the first call counts.

    Call it before the notebook's own imports, so that both go on side by side.

    Source: ours, because a worker that imports torch, diffusers and torchmetrics anew starts to work 8 s later.
    Python 3.14 starts processes this way by default, on Linux.
    """
    if METHOD == "forkserver":
        multiprocessing.set_forkserver_preload(list(modules))
        forkserver.ensure_running()


def count(wanted, n_jobs):
    """Processes for `n_jobs` independent jobs: `wanted`, or one a core when it is 0, and never idle ones."""
    return max(1, min(wanted or joblib.cpu_count(), n_jobs))


def side_by_side(call, jobs, workers):
    """[call(*job) for job in jobs], made in `workers` processes; arguments and errors as of `in_order`."""
    return list(in_order(call, jobs, workers))


def in_order(call, jobs, workers):
    """Yield call(*job) of each job, in their order, a few jobs ahead; in this process where `workers` is 1.

    Inside `joblib.parallel_config(backend="dask")` the jobs go to that cluster, whatever `workers` is; every machine of
    it needs this code and the same folders.

    Args:
        call: importable by name, as everything in the jobs is; jobs: tuples of arguments, taken as they are needed.
        workers: processes; the answers are the same for any number.

    Raises:
        UserError: a worker was killed.
        Whatever `call` raises; then the other workers end in the middle of their jobs.

    Source: ours. Jobs and answers travel as plain pickles, for torch's own way, through shared memory, is narrow in a
    container; a memory-mapped array travels as the name of its file.
    """
    if _elsewhere():
        packed = (joblib.delayed(_answer)(_packed((call, job))) for job in jobs)
        yield from map(pickle.loads, joblib.Parallel(n_jobs=-1, return_as="generator")(packed))
        return
    if workers < 2:
        yield from (call(*job) for job in jobs)
        return
    jobs = iter(jobs)
    with _pool(call, workers) as submit:
        waiting = deque(submit(job) for job in islice(jobs, AHEAD * workers))
        while waiting:
            answer = pickle.loads(waiting.popleft().result())
            waiting.extend(submit(job) for job in islice(jobs, 1))
            yield answer


def _elsewhere() -> bool:
    """Whether `joblib.parallel_config` names workers that are not on this machine's cores, as dask's may be."""
    backend, _ = parallel.get_active_backend()
    shares_memory = getattr(backend, "supports_sharedmem", False)
    is_default = isinstance(backend, parallel.BACKENDS[parallel.DEFAULT_BACKEND])
    return backend.supports_return_generator and not shares_memory and not is_default


def as_they_end(call, jobs, workers):
    """Yield call(*job) of each job as it ends, the quickest first; otherwise as `in_order`."""
    if workers < 2:
        yield from (call(*job) for job in jobs)
        return
    with _pool(call, workers) as submit:
        for done in as_completed([submit(job) for job in jobs]):
            yield pickle.loads(done.result())


@contextmanager
def _pool(call, workers):
    """Yield (job) -> Future of the pickled call(*job); the workers end when the block fails or this process does."""
    ready(call.__module__)                          # where nobody has called it before
    context = multiprocessing.get_context(METHOD)
    leash, ours = context.Pipe(duplex=False)
    share = max(1, joblib.cpu_count() // workers)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(leash, share))
    try:
        yield lambda job: pool.submit(_answer, _packed((call, job)))
    except BrokenProcessPool:
        raise UserError("A worker process was killed, most often for too little memory: start again, with fewer "
                        "of them (eval_workers, data_workers) or a smaller batch; what is done is kept.") from None
    except BaseException:
        ours.close()                                # the workers see that, and end
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        ours.close()
        leash.close()


def _answer(packed):
    call, job = pickle.loads(packed)
    return _packed(call(*job))


class _Pickler(pickle.Pickler):
    def reducer_override(self, value):
        if isinstance(value, np.memmap) and not isinstance(value.base, np.ndarray):     # a whole file, not a part
            return np.memmap, (value.filename, value.dtype, "r", value.offset, value.shape)
        return NotImplemented


def _packed(thing):
    buffer = io.BytesIO()
    _Pickler(buffer).dump(thing)
    return buffer.getvalue()


def _begin(leash, share):
    """What a worker does first: follow the process that wants its answers, and take its share of the cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # that one is interrupted, and lets go
    os.environ["OMP_NUM_THREADS"] = str(share)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(share)
    threading.Thread(target=_end_when_let_go, args=(leash,), daemon=True).start()


def _end_when_let_go(leash):
    """Wait until nobody holds the other end of the pipe, and end this process."""
    try:
        leash.recv()
    except (EOFError, OSError):
        os._exit(1)
