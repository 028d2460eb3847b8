"""Worker processes are forked with their imports done, are missed when they die, and end with their notebook."""

import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
import torch

from namd.ground import surroundings, workers
from namd.ground.errors import UserError

FORKED = """
import sys
from namd.ground import workers

def imported(name):
    return name in sys.modules

if __name__ == "__main__":
    workers.ready("wave")
    print(workers.side_by_side(imported, [("wave",), ("wave",), ("chunk",)], 2))
"""
DRAWS = """
import sys, time
import pandas as pd, torch
from namd.forecasters import drawing
from namd.ground import workers

class Slow:
    def sample(self, x1, ehr, seeds):
        time.sleep(.3)
        return x1[None]

if __name__ == "__main__":
    if sys.argv[2:]:
        workers.ready(*sys.argv[2:])
    x1 = torch.zeros(100, 1, 4, 4)
    drawing.draw_rows({"a row": Slow}, x1, pd.DataFrame(index=range(100)), {"a row": [1]}, sys.argv[1], 1, workers=2)
"""


def power(base, exponent):
    return base ** exponent


def slowest_first(i):
    time.sleep(0.4 * (i == 0))
    return i


def fail_or_write(path, i):
    if i == 0:
        raise ValueError("the first one")
    time.sleep(1)
    path.touch()


def abort(i):
    if i == 1:
        os.abort()


def described(array):
    return type(array).__name__, float(array.sum()), torch.get_num_threads()


@pytest.mark.parametrize("n", [1, 2])
def test_answers_come_in_the_order_of_the_jobs_or_as_they_end(n):
    assert workers.side_by_side(power, [(i, 2) for i in range(9)], n) == [i ** 2 for i in range(9)]
    assert sorted(workers.as_they_end(slowest_first, [(i,) for i in range(4)], n)) == [0, 1, 2, 3]
    assert list(workers.in_order(slowest_first, iter([(0,), (1,), (2,)]), n)) == [0, 1, 2]
    if n == 2:
        assert list(workers.as_they_end(slowest_first, [(i,) for i in range(4)], n))[0] != 0


class Cluster(joblib.parallel.BACKENDS["threading"]):
    """joblib's threads, in the place of workers that are somewhere else."""

    supports_sharedmem = False
    sent = []

    def submit(self, func, callback=None):
        self.sent.append(func)
        return super().submit(func, callback)


def test_jobs_go_where_joblib_was_told_to_send_them_and_come_back_in_order():
    joblib.register_parallel_backend("elsewhere", Cluster)
    with joblib.parallel_config(backend="elsewhere", n_jobs=2):
        assert list(workers.in_order(pow, ((n, 2) for n in range(9)), 1)) == [n * n for n in range(9)]
    assert Cluster.sent
    n_sent = len(Cluster.sent)
    for name in ("threading", "loky"):
        with joblib.parallel_config(backend=name):
            assert list(workers.in_order(pow, [(3, 2)], 1)) == [9]
    assert len(Cluster.sent) == n_sent


def test_jobs_are_taken_as_they_are_needed():
    taken = []
    answers = workers.in_order(power, ((taken.append(i) or i, 1) for i in range(99)), 2)
    assert next(answers) == 0 and len(taken) < 9
    answers.close()


def test_an_error_is_passed_on_and_the_others_end_in_the_middle_of_their_jobs(tmp_path):
    began = time.time()
    with pytest.raises(ValueError, match="the first one"):
        workers.side_by_side(fail_or_write, [(tmp_path / str(i), i) for i in range(9)], 2)
    assert time.time() - began < 30
    time.sleep(1.5)
    assert not list(tmp_path.iterdir())


def test_a_killed_worker_is_one_sentence_and_the_next_pool_is_sound():
    with pytest.raises(UserError, match="A worker process was killed, most often for too little memory"):
        workers.side_by_side(abort, [(i,) for i in range(3)], 2)
    assert workers.side_by_side(power, [(2, 3), (3, 2)], 2) == [8, 9]


def test_a_memory_mapped_array_travels_by_its_name_and_a_part_of_one_as_it_is(tmp_path):
    np.save(tmp_path / "crops.npy", np.arange(6.0).reshape(3, 2))
    crops = np.load(tmp_path / "crops.npy", mmap_mode="r")
    packed = workers._packed(crops)
    assert b"crops.npy" in packed and len(packed) < 300
    found = workers.side_by_side(described, [(crops,), (crops[1:],)], 2)
    assert [part[:2] for part in found] == [("memmap", 15.0), ("memmap", 14.0)] or found[1][1] == 14.0


def test_workers_are_never_idle_and_share_the_cores():
    assert (workers.count(4, 2), workers.count(3, 9), workers.count(1, 0)) == (2, 3, 1)
    assert workers.count(0, 10**6) >= 1


@pytest.mark.parametrize("given", ["SLURM_CPUS_PER_TASK", "LOKY_MAX_CPU_COUNT"])
def test_a_kernel_and_its_workers_keep_to_the_cores_that_a_scheduler_gave(given, tmp_path):
    told = surroundings.of_a_kernel({"PATH": os.environ["PATH"], given: "1"}, 0, tmp_path)
    assert {told[name] for name in surroundings.THREADS} == {"1"}
    counted = "from namd.ground import workers; print(workers.count(0, 99))"
    said = subprocess.run([sys.executable, "-c", counted], env=told, capture_output=True, text=True)
    assert said.stdout == "1\n", said.stderr
    assert surroundings.of_a_kernel({given: "8", "OMP_NUM_THREADS": "2"}, 0, tmp_path)["OMP_NUM_THREADS"] == "2"
    assert surroundings.of_a_kernel({given: "8"}, 4, tmp_path)["OMP_NUM_THREADS"] == "4"
    assert "OMP_NUM_THREADS" not in surroundings.of_a_kernel({}, 0, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers start anew")
def test_workers_are_forked_with_their_imports_done(tmp_path):
    (tmp_path / "forked.py").write_text(FORKED)
    said = subprocess.run([sys.executable, tmp_path / "forked.py"], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "[True, True, False]", said.stderr


@pytest.mark.parametrize("modules", [["namd.forecasters.drawing"], []])
def test_workers_end_with_their_notebook(modules, tmp_path):
    (tmp_path / "draws.py").write_text(DRAWS)
    notebook = subprocess.Popen([sys.executable, tmp_path / "draws.py", tmp_path, *modules])
    parts = tmp_path / "a_row.parts"
    until = time.time() + 60
    while len(list(parts.glob("*.npy"))) < 3 and time.time() < until:
        time.sleep(.1)
    os.kill(notebook.pid, signal.SIGKILL)
    notebook.wait()
    time.sleep(1)
    drawn = len(list(parts.glob("*.npy")))
    time.sleep(1)
    assert 3 <= drawn == len(list(parts.glob("*.npy"))) < 100
