"""Words of a command line that argparse alone would take for something else: counts, points in mm."""

import argparse
import math
import re

NEGATIVE = re.compile(r"-[\d.]+e[-+]?\d+", re.IGNORECASE)        # argparse takes it for an option


def natural(word) -> int:
    """A whole number from 1 on."""
    if not (word.isdecimal() and int(word)):
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 1 on")
    return int(word)


def gibibytes(word) -> float:
    """A finite number above 0."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of GiB above 0")
    return value


def millimetres(word) -> float:
    """A finite number."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{word!r} is no number: write three numbers in mm,"
                                         " e.g. --center 62.5 -18.0 -310.0")
    return value


def commas_apart(argv):
    """`argv` with the point of `--center -60,12,-310`, as viewers copy it, in three words, and -1e-3 as -0.001000."""
    words = []
    for word in argv:
        if word.startswith("--center="):
            words += ["--center", *word.removeprefix("--center=").split(",")]
        elif words[-1:] == ["--center"]:
            words += word.split(",")
        else:
            words.append(word)
    return [f"{float(word):f}" if NEGATIVE.fullmatch(word) else word for word in words]
