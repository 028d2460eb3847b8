"""The rows of one table: text to numbers, and why a row cannot be used."""

import re
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa

from namd.data.codes import (
    BOX,
    CANCER_YEARS,
    CODES,
    MALIGNANCY,
    MAX_AGE,
    MAX_DIAMETER_MM,
    MISSING,
    SHAPES,
    STUDY_DATES,
    TableShape,
)
from namd.data.nlst.centres import LABEL
from namd.data.nlst.csv_file import RAGGED
from namd.data.refused import one_line

INTEGERS = {"pid", "patientid", "study_yr", "sct_ab_num", "lc_order", "studydate", "lesionid", "abnormality uid",
            "label", "age", "scr_days0", "scr_days1", "scr_days2", "candx_days", "sct_slice_num", "slice number"}
DAYS = ("scr_days0", "scr_days1", "scr_days2")          # one that is no day costs the pairs of that year alone
UNREADABLE = "__unreadable"             # behind the name of a day: why its text is none, or ''
MAX_NUMBER = 1e9
LONGEST = 60                            # letters of a cell in a sentence
MAX_BOX = 2048                          # pixels of a slice
NO_SLICE = 999                          # how NLST writes a missing slice number
EXPONENT = re.compile(r"[-+]?\d+(?:\.(\d*))?E\+?(\d+)")


@dataclass(frozen=True)
class Fault:
    """Why one row cannot be used."""

    code: str                           # of refused.REASONS
    message: str


def read_values(raw: pd.DataFrame, shape: TableShape) -> tuple[pd.DataFrame, dict[int, Fault]]:
    """The columns of a table that the study reads, as numbers or text, and the rows that already cannot be used.

    The text of a screen's day that is no day refuses no row: it stays in `<column>__unreadable`.
    """
    table = raw[["_row"]].copy()
    for name in shape.texts:
        table[name] = raw[name].mask(is_missing(raw[name]), "")
    faults = {}
    for name in set(shape.key) & set(shape.texts):
        faults |= {i: Fault("E04", f"{name} is missing in a key") for i in table.index[table[name] == ""]}
    if RAGGED in raw:
        faults |= {i: Fault("E02", why) for i, why in raw[RAGGED].items() if why}
    for name in dict.fromkeys((*shape.key, *shape.numbers, *shape.optional)):
        if name not in raw or name in shape.texts:
            continue
        table[name], table[name + "__why"] = _numbers(raw[name], name)
        is_no_number = table[name].isna() & (table[name + "__why"] == "")
        of_cells = {i: _fault_of_cell(raw.at[i, name], name, shape) for i in table.index[is_no_number]}
        if name in DAYS:
            table[name + UNREADABLE] = pd.Series({i: fault.message for i, fault in of_cells.items()}, dtype="str")
            table[name + UNREADABLE] = table[name + UNREADABLE].fillna("")
        else:
            faults = of_cells | faults
    return table, faults


def unreadable_days(table: pd.DataFrame) -> dict[int, Fault]:
    """Rows of `read_values` with a day that is none."""
    found = {}
    for name in (name for name in table if name.endswith(UNREADABLE)):
        found |= {i: Fault("E04", why) for i, why in table[name].items() if why}
    return found


def _fault_of_cell(text: str, name: str, shape: TableShape) -> Fault:
    """Why a cell holds no value: it is no number, or no whole one; the reason is by what the column holds."""
    value = pd.to_numeric(text.strip(), errors="coerce")
    is_fraction = abs(value) <= MAX_NUMBER and value % 1 != 0
    code = "E05" if name in CODES and not is_fraction else "E04"
    if name == shape.key[0]:
        code = "E09"
    kind = "a whole number" if is_fraction else "a number"
    return Fault(code, f"{name} = '{_shown(text)}' is not {kind}{_hint(text, name)}")


def is_missing(text: pd.Series) -> pd.Series:
    """Whether each cell says that its value is missing."""
    return text.str.strip().str.upper().isin(MISSING)


def _numbers(text: pd.Series, name: str) -> tuple[pd.Series, pd.Series]:
    """Values of a column of text, and the reason of each missing one ('' elsewhere)."""
    text = text.str.strip().str.upper()
    gone = text.isin(MISSING)
    values = pd.to_numeric(text.mask(gone), errors="coerce").astype("Float64")
    values = values.where(values.abs() <= MAX_NUMBER)
    why = text.where(gone, "").where(text != "", "empty")
    if name in ("sct_slice_num", "slice number"):
        is_blank = (values == NO_SLICE).fillna(False)       # without a value there is no 999 either
        why = why.mask(is_blank, str(NO_SLICE))
        values = values.mask(is_blank)
    if name in CODES or name in INTEGERS:
        values = values.where(values % 1 == 0).astype("Int64")
        powers = text[text.str.contains("E", regex=False) & values.notna()]
        rounded = powers[powers.map(_is_rounded).astype(bool)]
        values[rounded.index] = pd.NA
    return values, why


def _is_rounded(text: str) -> bool:
    """Whether a whole number lost digits to a spreadsheet: 1.0E+05 has, 1.00001E+05 has not."""
    found = EXPONENT.fullmatch(text)
    return found is not None and len(found[1] or "") < int(found[2])


def _hint(text: str, name: str) -> str:
    """What to write instead, where it can be told."""
    if "," in text:
        return "; write a decimal point and no thousands separator"
    is_rounded = (name in CODES or name in INTEGERS) and EXPONENT.fullmatch(text.upper())
    return "; a spreadsheet rounded it, export it as text" if is_rounded else ""


def rule_faults(kind: str, table: pd.DataFrame) -> dict[int, Fault]:
    """First broken rule of each row, by pandera in lazy mode (all failures of a table at once)."""
    names = [name for name in table if name + "__why" in table or name == "malignancy"]
    columns = {name: pa.Column(checks=_checks(kind, name), nullable=name not in SHAPES[kind].key) for name in names}
    try:
        schema = pa.DataFrameSchema(columns, checks=OF_ROWS.get(kind))
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        of_cells_first = errors.failure_cases.sort_values("schema_context", kind="stable")
        cases = of_cells_first.dropna(subset="index").drop_duplicates("index")
        return {int(case["index"]): _fault(case) for case in cases.to_dict("records")}
    return {}


def _checks(kind: str, name: str) -> list[pa.Check]:
    """What the values of one column must be; each check names its reason and says it in words."""
    allowed = CANCER_YEARS if (kind, name) == ("cancer", "study_yr") else CODES.get(name)
    if name in ("pid", "patientid"):
        return [pa.Check.in_range(100000, 299999, error="E09|is not six digits that begin with 1 or 2")]
    if allowed:
        return [pa.Check.isin(list(allowed), error=f"E04|is not one of {' '.join(map(str, allowed))}")]
    if name == "studydate":
        return [pa.Check.in_range(*STUDY_DATES, error="E04|is no day of {} to {} (T0 to T2)".format(*STUDY_DATES))]
    if name in BOX:
        is_place = name in BOX[:2]
        return [pa.Check.in_range(0, MAX_BOX, include_min=is_place, error=f"E06|is not in {'[' if is_place else '('}0, "
                                  f"{MAX_BOX}] pixels")]
    if name == "label":
        return [pa.Check.isin(list(LABEL), error=f"E04|is not one of {' '.join(map(str, LABEL))}")]
    if name == "malignancy":
        return [pa.Check(_is_a_mark, error=f"E04|is not one of {' '.join(MALIGNANCY)}")]
    if name == "age":
        return [pa.Check.in_range(0, MAX_AGE, error=f"E04|is not in 0 to {MAX_AGE} years")]
    if name in ("sct_long_dia", "sct_perp_dia"):
        return [pa.Check.in_range(0, MAX_DIAMETER_MM, include_min=False,
                                  error=f"E07|is not in (0, {MAX_DIAMETER_MM}] mm")]
    return []


def _is_a_mark(marks: pd.Series) -> pd.Series:
    """Whether each mark is one that NLSTx has, or none at all."""
    return marks.str.strip().str.upper().isin(["", *MALIGNANCY])


def _is_not_wider_than_long(rows: pd.DataFrame) -> pd.Series:
    """Whether the perpendicular diameter of each row is at most the longest; a missing one is no fault."""
    return (rows["sct_perp_dia"] <= rows["sct_long_dia"]).fillna(True).astype(bool)


def _is_of_its_participant(rows: pd.DataFrame) -> pd.Series:
    """Whether GM-AE's nodId, <pid>_<n>, names the participant of its row."""
    return rows["nodid"].str.partition("_")[0] == rows["pid"].astype("str")


OF_ROWS = {
    "abnormalities": [pa.Check(_is_not_wider_than_long, error="E07|perpendicular above longest diameter")],
    "gmae": [pa.Check(_is_of_its_participant, error="E09|nodId names another participant than pId")],
}


def _fault(case: dict) -> Fault:
    """Reason and sentence of one failure case of pandera."""
    if case["check"] == "not_nullable":
        return Fault("E04", f"{case['column']} is missing in a key")
    code, _, words = str(case["check"]).partition("|")
    if case["schema_context"] == "DataFrameSchema":
        return Fault(code, words)
    return Fault(code, f"{case['column']} = {_shown(case['failure_case'])} {words}")


def _shown(cell) -> str:
    """A cell in a sentence: one line, and not all of a long one."""
    text = one_line(cell)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
