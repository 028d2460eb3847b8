import errno
import fcntl
import json
import multiprocessing
import os
import time

import pytest
from filelock import SoftFileLease, Timeout

from namd.__main__ import main
from namd.ground import paths
from namd.ground.components import Components
from namd.ground.order import Job
from namd.study.runner import execute, lines
from namd.study.runner.plan import Plan

SMOKE = str(paths.REPO / "params" / "smoke.yaml")


def run(number, *more):
    return main(["run", number, "--params", SMOKE, *more])


def test_a_notebook_gets_its_declared_parameters_and_leaves_its_files(home, write, capsys, monkeypatch):
    monkeypatch.setattr(lines, "QUIET_SECONDS", 0)
    write("05_judge", "import os", "print(run_name, seed, os.environ['OMP_NUM_THREADS'])")
    assert run("05", "-p", "seed=7") == 0
    out = capsys.readouterr().out
    assert "05_judge · smoke 7 1" in out and "(1 of 11 notebooks)" in out
    folder = home / "outputs" / "smoke"
    record = json.loads((folder / "done" / "05.json").read_text())
    assert record["parameters"]["seed"] == 7 and "notebooks/05_judge.html" in record["made"]
    assert Components.recorded(record) == Plan([SMOKE], ["seed=7"]).components(Job("05", None))
    assert "smoke 7 1" in (folder / "notebooks" / "05_judge.html").read_text()
    assert (folder / "notebooks" / "05_judge.ipynb").is_file()
    assert "seed: 7" in (folder / "params.yaml").read_text()


def test_the_parameters_of_a_run_are_those_of_its_main_arm(home):
    ablation = str(paths.ABLATIONS / "no_align_no_pred.yaml")
    assert run("02", "--params", ablation, "-p", "seed=7") == 0
    text = (home / "outputs" / "smoke" / "params.yaml").read_text()
    assert "arm: namd" in text and "lambda_align: 0.05" in text and "seed: 7" in text
    assert (home / "outputs" / "smoke" / "arms" / "no_align_no_pred" / "notebooks" / "02_vae.ipynb").is_file()


def test_only_a_long_running_cell_is_heard_and_its_helpers_once(home, write, capfd, monkeypatch):
    monkeypatch.setattr(lines, "QUIET_SECONDS", 1)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")       # under it ipykernel does not listen to helper processes
    write("05_judge", "print('at once')",
          "import os, time\ntime.sleep(1.2)\nprint('step 1/9')\nos.system('echo a helper speaks')\ntime.sleep(1)")
    assert run("05") == 0
    out = capfd.readouterr().out
    assert "05_judge · step 1/9" in out and "at once" not in out
    assert out.count("a helper speaks") == out.count("05_judge · a helper speaks") == 1


@pytest.mark.parametrize(("cells", "said", "kept_quiet"), [
    (["# text", "x = 1", "# why\ny = x / 0"], "stopped in cell 4 (`y = x / 0`): ZeroDivisionError", "Traceback"),
    (["from namd.ground.errors import UserError\nraise UserError('Write it so.')"], "Write it so.", "UserError"),
    (["import os, signal", "os.kill(os.getpid(), signal.SIGKILL)"], "lost its kernel in cell 4", "Traceback"),
], ids=["error", "user error", "killed kernel"])
def test_a_failed_notebook_says_where_and_writes_no_done_file(home, write, capfd, cells, said, kept_quiet):
    write("05_judge", "print('before')")
    assert run("05") == 0
    write("05_judge", *cells)
    assert run("05") == 1
    error = capfd.readouterr().err
    assert said in error and "05_judge.failed.ipynb" in error and kept_quiet not in error
    folder = home / "outputs" / "smoke"
    assert (folder / "notebooks" / "05_judge.failed.ipynb").is_file()
    assert not (folder / "done" / "05.json").exists()


def test_a_wrong_parameter_ends_in_one_sentence(home, capsys):
    assert run("05", "-p", "vae_step=3") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_sources_that_moved_under_a_running_study_are_refused(home, capsys):
    assert run("05", "--key", "another") == 1
    assert "changed while the study ran; start it again" in capsys.readouterr().err


def _hold(path, seconds):
    with execute._only_one(path, Job("05", None)):
        time.sleep(seconds)


def test_two_processes_never_run_the_same_notebook_at_once(home, tmp_path, capsys):
    lock = tmp_path / "lock"
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(lock, 60))
    with execute._only_one(lock, Job("05", None)) as waited:
        assert waited is False
    other.start()
    while not (lock.exists() and _is_held(lock)):
        time.sleep(0.05)
    os.kill(other.pid, 9)                      # a killed process gives the lock back
    other.join()
    with execute._only_one(lock, Job("05", None)):
        pass


def _is_held(lock):
    import fcntl
    with open(lock) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_gets_a_lease(number, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with execute._only_one(tmp_path / ".02.lock", Job("02", "namd")) as waited:
        assert not waited
        with pytest.raises(Timeout):
            SoftFileLease(tmp_path / ".02.lock.lease", lease_duration=execute.LEASE).acquire(timeout=0)
    assert not (tmp_path / ".02.lock.lease").exists()


def test_readers_are_no_more_than_the_cores_that_were_given(home, write, capsys, monkeypatch):
    cell = 'run_name: str = "smoke"\nseed: int = 23\ndevice: str = "auto"\nthreads: int = 1\ndata_workers: int = 0\n'
    write("01_data", "print('readers', data_workers)", parameters=cell)
    monkeypatch.setattr(lines, "QUIET_SECONDS", 0)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert run("01") == 0 and "readers 3" in capsys.readouterr().out
    assert run("01", "-p", "data_workers=2") == 0 and "readers 2" in capsys.readouterr().out
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert run("01") == 0 and "readers 0" in capsys.readouterr().out
