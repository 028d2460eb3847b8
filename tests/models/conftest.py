import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))      # small_llm.py, shared with the tests of the forecasters
