"""Every row of Table 1 that draws or predicts (README.md: how to add one)."""

from functools import cache
from pathlib import Path


@cache
def system_names():
    """Names of the compared systems, the files of systems/ with a class `System`; nothing is imported for them."""
    files = Path(__file__).with_name("systems").glob("*.py")
    return sorted(file.stem for file in files if "\nclass System(" in file.read_text())
