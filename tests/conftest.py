"""One thread per test process: the same bits on every machine, and no quarrel over two cores."""

import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
for folder in (".", "models", "data", "study", "forecasters", "autorad"):     # tiny_run.py, small_llm.py, ...
    sys.path.insert(0, str(Path(__file__).parent / folder))
