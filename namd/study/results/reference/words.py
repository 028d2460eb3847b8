"""How a number, an interval and the word on it are written."""

import pandas as pd

from namd.evaluation.stats.intervals import verdict
from namd.evaluation.tables.wording import listed as listed

PLACES = {"holds": "above", "fails": "below", "undecided": "undecided"}
SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FINER = 2           # more decimals at most


def number(value, digits=3) -> str:
    """0.748, or a dash where there is none."""
    return "–" if pd.isna(value) else f"{value:z.{digits}f}"


def with_sd(mean, sd, digits=3) -> str:
    """0.748 ± 0.005; the spread is left out where there is none."""
    spread = "" if pd.isna(sd) or sd == 0 else f" ± {sd:.{digits}f}"
    return number(mean, digits) + spread


def place(low, high, limit=0.0) -> str:
    """Where the interval lies, seen from `limit`: above, below, undecided, or "without an interval".

    Source: ours, because a difference is settled by its interval and not by its sign.
    """
    if pd.isna(low) or pd.isna(high):
        return "without an interval"
    return PLACES[verdict(low - limit, high - limit)]


def interval(low, high, digits=3) -> str:
    """[0.60, 1.19]; empty where there is none."""
    return "" if pd.isna(low) or pd.isna(high) else f"[{low:z.{digits}f}, {high:z.{digits}f}]"


def measured(value, low, high, digits=3) -> str:
    """0.051 [0.029, 0.074], with more digits where a bound beside 0 would be printed as 0."""
    finest = digits + FINER
    while digits < finest and any(bound and round(bound, digits) == 0 for bound in (low, high)):
        digits += 1
    return f"{number(value, digits)} {interval(low, high, digits)}".strip()


def of_row(row, digits=3) -> str:
    """`measured` of a line with the columns value, low and high."""
    return measured(row["value"], row["low"], row["high"], digits)


def place_of(row, limit=0.0) -> str:
    """`place` of a line with the columns low and high."""
    return place(row["low"], row["high"], limit)


def distance(value, low, high, beside) -> str:
    """The end of a sentence on a difference to `beside`: "0.054 [0.031, 0.077] below NAMD", or that it is undecided."""
    where = place(low, high)
    if where == "above":
        return f"{measured(value, low, high)} above {beside}"
    if where == "below":
        return f"{measured(-value, -high, -low)} below {beside}"
    return f"and whether that is above or below {beside} is undecided (difference {measured(value, low, high)})"


def count(number_, noun) -> str:
    """one cohort, four cohorts, 12 cohorts."""
    word = SMALL[number_] if number_ < len(SMALL) else str(number_)
    return f"{word} {noun}{'' if number_ == 1 else 's'}"


def duration(seconds) -> str:
    """45 s, 11 min 37 s, 1 h 3 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def markdown(head, rows) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(map(_line, lines))


def _line(cells) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def capital(sentence) -> str:
    """The sentence with its first letter capital, the rest as it is."""
    return sentence[:1].upper() + sentence[1:]
