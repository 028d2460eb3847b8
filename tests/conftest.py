"""One thread per test process: the same bits on every machine, and no quarrel over two cores."""

import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
for folder in (".", "models", "data", "study", "forecasters", "autorad", "importing"):     # tiny_run.py, small_llm.py
    sys.path.insert(0, str(Path(__file__).parent / folder))

LONG = ("tests/test_series.py", "tests/test_kill.py", "tests/study/results/course/test_bundle.py",
        "tests/test_open_series.py", "tests/pretrain/test_command.py", "tests/study/test_ranks.py",
        "tests/study/lab/test_in_a_browser.py", "tests/study/runner/")


def pytest_collection_modifyitems(items):
    """The files that take minutes come first: one that is begun last is waited for by all other processes."""
    items.sort(key=lambda item: next((i for i, begin in enumerate(LONG) if item.nodeid.startswith(begin)), len(LONG)))


def pytest_pyfunc_call(pyfuncitem):
    """Try a property of hypothesis for NAMD_FUZZ_MINUTES, where that is set; everything else is left to pytest."""
    minutes = float(os.environ.get("NAMD_FUZZ_MINUTES", "0"))
    if not (minutes and pyfuncitem.get_closest_marker("hypothesis")):
        return None
    from fuzzing import repeat
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    n = repeat(lambda: pyfuncitem.obj(**given), minutes)
    print(f"{pyfuncitem.name}: {n} times its examples in {minutes:g} minutes, no finding")
    return True
