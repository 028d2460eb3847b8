"""Every row of Table 1 that draws or predicts; a compared system is a file of this folder with a class `System`."""

from functools import cache
from pathlib import Path


@cache
def system_names():
    """Names of the compared systems; nothing is imported for them."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if "\nclass System(" in file.read_text())
