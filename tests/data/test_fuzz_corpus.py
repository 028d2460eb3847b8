"""The seeds of the fuzzer, and what it once found, read each time."""

import importlib.util
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
pytestmark = pytest.mark.filterwarnings("ignore")


def harness():
    spec = importlib.util.spec_from_file_location("readers", FUZZ / "readers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", sorted((FUZZ / "corpus").iterdir()), ids=lambda file: file.name)
def test_a_seed_is_read_or_refused(file, tmp_path):
    harness().read(file.read_bytes(), tmp_path)
