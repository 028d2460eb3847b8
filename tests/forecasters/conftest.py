import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "forecasters"), str(TESTS / "study")]       # small_systems.py, small_run.py
