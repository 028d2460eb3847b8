"""How numbers, lists and verdicts are said in a sentence."""

from collections.abc import Iterable

from namd.evaluation.stats.intervals import verdict


def measured(value, low, high, digits=2) -> str:
    """0.88 [0.60, 1.19]."""
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def signed(value, low, high, digits=3) -> str:
    """+0.041 [+0.022, +0.061]."""
    return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def listed(words: Iterable[str]) -> str:
    """a, b and c."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def by_interval(low, high, above, below, undecided="undecided") -> str:
    """The words for an interval above 0, for one below it, and for one that decides nothing.

    Source: `intervals.verdict`.
    """
    return {"holds": above, "fails": below, "undecided": undecided}[verdict(low, high)]
