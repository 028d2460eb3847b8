"""The twenty-eight reasons for which an input is refused, and the exception that carries one of them."""

import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd

from namd.ground.errors import UserError

REASONS = {
    "E01": "table not recognised", "E02": "required column missing", "E03": "duplicate key",
    "E04": "no value of its column", "E05": "decoded text in a code column",
    "E06": "no slice or no centre for the crop", "E07": "impossible diameter",
    "E08": "not a CT participant", "E09": "malformed participant id",
    "E10": "follow-up nodule is new", "E11": "no single link between the years",
    "E12": "follow-up not after baseline", "E13": "cancer before the baseline screen",
    "E14": "no defensible label", "E15": "no CT series", "E16": "several series in one folder",
    "E17": "series of another participant or year", "E18": "duplicate slice", "E19": "uneven slice gap",
    "E20": "tilted or not axial", "E21": "rescale to HU impossible", "E22": "pixel spacing unusable",
    "E23": "pixels cannot be decoded", "E24": "centre outside the volume", "E25": "prepared cohort broken",
    "E26": "reading file unusable", "E27": "outline unusable",
    "E28": "further pair of a test patient",
}


class RefusedError(UserError):
    """One input that does not enter the cohort: a code of `REASONS` and one sentence.

    Source: ours, because the paper does not say which nodules were left out.
    """

    def __init__(self, code: str, message: str):
        message = one_line(message)
        super().__init__(f"{code} {REASONS[code]}: {message}")
        self.code = code
        self.message = message

    def __reduce__(self):
        """Pickle by its two parts, so that it survives the way back from a worker process."""
        return RefusedError, (self.code, self.message)


@dataclass(frozen=True)
class Refused:
    """One row of refused.csv: what was left out, where on the way, and why; and who names it in which file and line."""

    source_id: str          # e.g. `100001 T0 nodule 1` or `participant: people.csv line 4`
    stage: str              # tables, link, fetch, series, split, reading or consensus
    code: str               # of REASONS
    message: str
    source: str = ""        # the list or table that names it, e.g. nlstx or abnormalities
    row: str = ""           # its file and line there


def one_line(text) -> str:
    """`text` without line breaks and control characters; bytes of a name that are no UTF-8 are written as escapes."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = text.encode("utf-8", "backslashreplace").decode()
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@contextmanager
def only_refusals(what: str):
    """Turn every surprise of the block into a refusal (E23), so that it costs one nodule, and keep warnings silent.

    Source: ours, because no list of what a damaged file can make a library raise or warn of is complete.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:
        raise RefusedError("E23", f"{what} cannot be read ({type(error).__name__}: {error}); copy it again") from error


def causes(refused: list[Refused]) -> str:
    """Refused rows by code, the commonest first, each with its first example: `3 x E15 no CT series (e.g. ...)`."""
    first = {}
    for row in refused:
        first.setdefault(row.code, row)
    counts = Counter(row.code for row in refused)
    return "; ".join(f"{n} x {code} {REASONS[code]} (e.g. {first[code].source_id}: {first[code].message})"
                     for code, n in counts.most_common())


def counted(refused: pd.DataFrame) -> pd.DataFrame:
    """Refused rows by list or table and code, the commonest first.

    Args:
        refused: columns of `Refused`, as in refused.csv.

    Returns:
        Index source, code; columns reason, rows, example (the first one, with its file and line), sentence (its own).

    Source: ours, because a count without the sentence says nothing of what to mend.
    """
    named = refused.fillna("").assign(source=refused.source.fillna("").replace("", "no table"))
    by_code = named.groupby(["source", "code"], sort=False)
    first = by_code[["source_id", "row", "message"]].first()
    is_told = [row in name for name, row in zip(first.source_id, first.row, strict=True)]
    example = first.source_id.where(is_told, first.source_id + " (" + first.row + ")")
    table = pd.DataFrame(dict(reason=[REASONS[code] for _, code in first.index], rows=by_code.size(), example=example,
                              sentence=first.message))
    return table.sort_values("rows", ascending=False, kind="stable")
