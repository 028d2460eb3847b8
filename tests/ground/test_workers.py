"""Worker processes are forked with their imports done, are replaced when they die, and end with the notebook."""

import os
import signal
import subprocess
import sys
import time

import pytest

FORKED = """
import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from namd.ground import workers

def ask():
    with joblib.Parallel(2) as parallel:
        return parallel(joblib.delayed(eval)("'wave' in __import__('sys').modules") for _ in range(2))

if __name__ == "__main__":
    before = ask()
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    workers.ready("wave")
    after = ask()
    try:
        joblib.Parallel(2)(joblib.delayed(eval)("__import__('os').abort()") for _ in range(2))
    except TerminatedWorkerError:
        print(before, after, ask())
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere joblib starts its workers as ever")
def test_workers_are_forked_with_their_imports_done_and_replaced_when_they_die(tmp_path):
    (tmp_path / "forked.py").write_text(FORKED)
    said = subprocess.run([sys.executable, tmp_path / "forked.py"], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "[False, False] [True, True] [True, True]", said.stderr


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
