"""Many series at once: a bounded number of threads, one bar, and an end as soon as nothing can go on."""

import multiprocessing
import sys
import threading
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from namd.data.open import series
from namd.data.open.bucket import AbsentError, Buckets, StoppedError
from namd.data.open.series import Job

PATIENCE_S = 3                          # that threads have to end in; one that waits for a dead network is left behind


def fetch_all(jobs: list[Job], root: Path, at_once: int) -> dict[Job, AbsentError]:
    """Fetch every series, `at_once` of them side by side, and show bytes and the time left.

    Returns:
        The series that cannot be had, with the reason.

    Raises:
        UserError: the server is out of reach or denies access, or the disk is full; the other threads end then.
    """
    stop = threading.Event()
    absent = {}
    n_threads = max(1, min(at_once, len(jobs)))
    with _Bar(jobs) as bar, ThreadPool(n_threads) as pool:              # its threads are no reason for Python to stay
        buckets = Buckets(stop, bar.read)
        fetched = pool.imap_unordered(lambda job: (job, _one(job, root, buckets, bar)), jobs)
        try:
            absent |= {job: error for job, error in fetched if error is not None}
        except BaseException:
            stop.set()
            _await_the_others(fetched)
            raise
    return absent


def _await_the_others(fetched) -> None:
    """Let the threads that were told to stop end what they write.

    Source: ours, because a socket of a dead network hears of nothing for a minute, and Ctrl-C must not take so long.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            fetched.next(max(0, end - time.monotonic()))
        except (StopIteration, multiprocessing.TimeoutError):
            return
        except Exception:                               # the first fault is the one that is told
            continue


def _one(job: Job, root: Path, buckets: Buckets, bar: "_Bar") -> AbsentError | None:
    """Fetch one series; why it cannot be had."""
    if buckets.stop.is_set():
        return None
    try:
        series.fetch(job, root, buckets)
    except AbsentError as error:
        return error
    except OSError as error:                            # a file of somebody's where a folder belongs, a bad sector
        return AbsentError(f"{error.filename or job.folder} cannot be used ({error.strerror or error}): see that you "
                           "may read and write it, and that nothing is in its way")
    except StoppedError:                                # the thread that stopped the others says why
        return None
    finally:
        bar.end(job)
    return None


class _Bar:
    """tqdm for several threads: bytes as they come, corrected at the end of a series to what was expected of it."""

    def __init__(self, jobs: list[Job]):
        self._bar = tqdm(total=sum(job.read for job in jobs), unit="B", unit_scale=True, dynamic_ncols=True,
                         mininterval=0.2 if sys.stderr.isatty() else 30)
        self._n_jobs = len(jobs)
        self._n_done = 0
        self._own = threading.local()
        self._lock = threading.Lock()

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *raised) -> None:
        self._bar.close()

    def read(self, n_bytes: int) -> None:
        """Some bytes of this thread's series have come."""
        self._own.n_bytes = getattr(self._own, "n_bytes", 0) + n_bytes
        with self._lock:
            self._bar.update(n_bytes)

    def end(self, job: Job) -> None:
        """This thread's series is at its end."""
        over = getattr(self._own, "n_bytes", 0) - job.read
        self._own.n_bytes = 0
        with self._lock:
            self._n_done += 1
            self._bar.set_description(f"{self._n_done} of {self._n_jobs} series", refresh=False)
            self._bar.total += max(0, over)
            self._bar.update(max(0, -over))
