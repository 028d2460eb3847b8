"""CSV tables of a delivery: recognised by their columns, checked against closed codes, every row kept or refused."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from namd.data.nlst.codes import CANCER_YEARS, CENTRE_LISTS, CODES, MISSING, NEEDED, SHAPES
from namd.data.nlst.csv_file import RAGGED, csv_files, guess_columns, read_table
from namd.data.refused import REASONS, RefusedError, one_line
from namd.ground.errors import UserError

INTEGERS = {"pid", "patientid", "study_yr", "sct_ab_num", "lc_order", "studydate", "lesionid", "abnormality uid",
            "label", "age", "scr_days0", "scr_days1", "candx_days", "sct_slice_num", "slice number"}
MAX_DIAMETER_MM, MAX_AGE, MAX_NUMBER = 200, 120, 1e9
EXPONENT = re.compile(r"[-+]?\d+(?:\.(\d*))?E\+?(\d+)")


@dataclass
class Tables:
    """Checked tables of one delivery by kind, the refused rows, and what all rows (refused ones too) name."""

    kept: dict[str, pd.DataFrame] = field(default_factory=dict)
    refused: list[dict] = field(default_factory=list)
    counts: dict[str, dict] = field(default_factory=dict)
    named: dict[str, set] = field(default_factory=dict)         # participants of each kind
    versions: set[str] = field(default_factory=set)             # values of dataset_version
    unread: list[dict] = field(default_factory=list)            # files that are no table, refused too


def recognise(columns) -> str | None:
    """Kind of a table by its column set (lower case); None where a mark of every kind is lacking.

    Source: ours, because the same tables go by at least four families of file names.
    """
    columns = set(columns)
    found = [kind for kind, shape in SHAPES.items() if columns >= {*shape.marks, *shape.key[:1]}]
    return max(found, key=lambda kind: len(SHAPES[kind].required & columns), default=None)


@dataclass
class File:
    """One CSV file: the kind and text of its table, or why it is refused."""

    name: str
    kind: str | None                    # of a refused file, what its header looks like
    text: pd.DataFrame | None           # of `csv_file.read_table`
    refusal: RefusedError | None = None


def read_files(path) -> list[File]:
    """All CSV files directly below a folder, as text; what is no table of NLST is refused (E01, E02), not raised."""
    return [_file(file) for file in csv_files(path)]


def _file(file: Path) -> File:
    name = one_line(file.name)
    try:
        text = read_table(file)
    except RefusedError as error:
        return File(name, recognise(guess_columns(file)), None, error)
    kind = recognise(text.columns)
    if kind is None:
        return File(name, None, None, RefusedError("E01", _nearest(text.columns.drop(RAGGED))))
    lacking = sorted(SHAPES[kind].required - set(text.columns))
    if lacking:
        return File(name, kind, None, RefusedError("E02", f"{name} looks like the {kind} table but lacks "
                                                          f"{', '.join(lacking)}; export it again with all columns"))
    return File(name, kind, text)


def read_delivery(path) -> Tables:
    """All CSV files directly below `path`, as checked tables.

    Raises:
        UserError: no folder, a needed table absent (E01 names the nearest file), unreadable or without a required
            column (E02), without rows, or refused for the most part.

    Source: ours; one reader serves CDAS, IDC and synthetic deliveries.
    """
    files, tables = read_files(path), Tables()
    if not files:
        raise UserError(f"{path} holds no CSV table; set data_delivery to the folder with the NLST tables")
    _need(files, path)
    tables.unread = [dict(source_id=file.name, stage="tables", code=file.refusal.code, message=file.refusal.message)
                     for file in files if file.refusal]
    tables.refused += tables.unread
    for kind in dict.fromkeys(file.kind for file in files if not file.refusal):
        text = pd.concat([file.text for file in files if file.kind == kind and not file.refusal]).fillna("")
        tables.kept[kind] = check_table(kind, text.rename_axis("_row").reset_index(), tables)
    return tables


def _nearest(columns) -> str:
    """E01's sentence: the nearest kind, what it lacks, and the line that was read as the header."""
    kind = max(SHAPES, key=lambda kind: len(SHAPES[kind].required & set(columns)) / len(SHAPES[kind].required))
    lacking = ", ".join(sorted(SHAPES[kind].required - set(columns)))
    return (f"columns match none of {', '.join(SHAPES)}; nearest: {kind}, lacking {lacking}; its first line reads "
            f"'{', '.join(columns)[:60]}'")


def _need(files: list[File], folder) -> None:
    """Stop early where a needed table is absent, or where one of its files cannot be used."""
    needed = [file for file in files if file.refusal and file.kind in (*NEEDED, *CENTRE_LISTS)]
    if needed:
        raise UserError("; ".join(f"{file.refusal} (the {file.kind} table)" for file in needed))
    kinds = {file.kind for file in files}
    absent = [kind for kind in NEEDED if kind not in kinds]
    unknown = "; ".join(f"{file.name}: {file.refusal.message}" for file in files if file.refusal)
    unknown = f" (not recognised: {unknown})" if unknown else ""
    if absent:
        raise UserError(f"{folder} lacks the {', '.join(absent)} table; add its CSV{unknown}")
    if not kinds & set(CENTRE_LISTS):
        raise UserError(f"{folder} has no list of nodule centres, and NLST recorded none; add the NLSTx or LUNA25 CSV"
                        f"{unknown}")


def check_table(kind: str, raw: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Rows of one table that pass, with numbers as Float64 and codes as Int64; the others go to `tables.refused`.

    Missing codes become missing values; their reason stays in `<column>__why`. The first row of a repeated key is
    kept and marked `repeated` (its nodules are refused later, for nobody knows which row is right).

    Raises:
        UserError: most rows of a needed table are refused, or it has none.
    """
    shape, raw = SHAPES[kind], raw.reset_index(drop=True)
    numeric = [name for name in dict.fromkeys((*shape.key, *shape.numbers, *shape.optional))
               if name in raw and name not in shape.texts]
    table = raw[["_row"]].assign(**{name: raw[name].mask(is_missing(raw[name]), "") for name in shape.texts})
    bad = {i: ("E02", why) for i, why in raw[RAGGED].items() if why} if RAGGED in raw else {}
    for name in numeric:
        table[name], table[name + "__why"] = _numbers(raw[name], name)
        code = "E09" if name in shape.key[:1] else "E05" if name in CODES else "E04"
        for i in table.index[table[name].isna() & (table[name + "__why"] == "")]:
            bad.setdefault(i, (code, f"{name} = '{raw.at[i, name]}' is not a number{_hint(raw.at[i, name])}"))
    for i, failure in _rule_failures(kind, table).items():
        bad.setdefault(i, failure)
    tables.named[kind] = set(table[shape.key[0]].dropna())
    tables.versions |= set(raw["dataset_version"]) if "dataset_version" in raw else set()
    _stop_at_a_fault_of_the_whole(kind, raw["_row"], bad)
    table = table.drop(index=list(bad))
    repeats = table.duplicated(list(shape.key), keep="first")
    clash = table[~table.drop(columns="_row").duplicated(keep="first")].duplicated(list(shape.key), keep=False)
    table["repeated"] = clash.reindex(table.index, fill_value=False).astype(bool)
    for i in table.index[repeats]:
        bad[i] = ("E03", f"{', '.join(f'{name} {table.at[i, name]}' for name in shape.key)} occurs before")
    tables.refused += [dict(source_id=f"{kind}: {raw.at[i, '_row']}", stage="tables", code=code, message=message)
                       for i, (code, message) in sorted(bad.items())]
    tables.counts[kind] = {"rows": len(raw), "kept": len(raw) - len(bad), "refused": len(bad)}
    return table[~repeats].reset_index(drop=True)


def _stop_at_a_fault_of_the_whole(kind: str, rows: pd.Series, bad: dict[int, tuple[str, str]]) -> None:
    """Stop where a needed table has no row, or where most of them are `bad`; repeats of a row are not counted.

    Source: ours, because a wrong export would else show as hundreds of missing pairs.
    """
    if kind not in (*NEEDED, *CENTRE_LISTS):
        return
    if rows.empty and kind not in ("comparison", "cancer"):           # nobody new, nobody ill: a table without rows
        raise UserError(f"The {kind} table has a header and no row; export it again.")
    if 2 * len(bad) > len(rows):
        code, n = Counter(code for code, _ in bad.values()).most_common(1)[0]
        first = next(i for i in sorted(bad) if bad[i][0] == code)
        raise UserError(f"{len(bad)} of {len(rows)} rows of the {kind} table cannot be used, {n} of them for "
                        f"{code} {REASONS[code]} (e.g. {rows[first]}: {bad[first][1]}); export it again.")


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
        why = why.mask(values == 999, "999")
        values = values.mask(values == 999)
    if name in CODES or name in INTEGERS:
        values = values.where(values % 1 == 0).astype("Int64")
        powers = text[text.str.contains("E", regex=False) & values.notna()]
        values[powers.index[[_is_rounded(power) for power in powers]]] = pd.NA
    return values, why


def _is_rounded(text: str) -> bool:
    """Whether a whole number lost digits to a spreadsheet: 1.0E+05 has, 1.00001E+05 has not."""
    found = EXPONENT.fullmatch(text)
    return found is not None and len(found[1] or "") < int(found[2])


def _hint(text: str) -> str:
    """What to write instead, where it can be told."""
    if "," in text:
        return "; write a decimal point and no thousands separator"
    return "; a spreadsheet rounded it, export it as text" if EXPONENT.fullmatch(text.upper()) else ""


def _rule_failures(kind: str, table: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """First broken rule of each row, by pandera in lazy mode (all failures of a table at once)."""
    shape, columns = SHAPES[kind], {}
    for name in [name for name in table if name + "__why" in table]:
        checks, allowed = [], CANCER_YEARS if (kind, name) == ("cancer", "study_yr") else CODES.get(name)
        if name in ("pid", "patientid"):
            checks = [pa.Check.in_range(100000, 299999, error="E09|is not six digits that begin with 1 or 2")]
        elif allowed:
            checks = [pa.Check.isin(list(allowed), error=f"E04|is not one of {' '.join(map(str, allowed))}")]
        elif name == "age":
            checks = [pa.Check.in_range(0, MAX_AGE, error=f"E04|is not in 0 to {MAX_AGE} years")]
        elif name in ("sct_long_dia", "sct_perp_dia"):
            checks = [pa.Check.in_range(0, MAX_DIAMETER_MM, include_min=False, error="E07|is not in (0, 200] mm")]
        columns[name] = pa.Column(checks=checks, nullable=name not in shape.key)
    wide = [] if kind != "abnormalities" else [pa.Check(
        lambda rows: (rows["sct_perp_dia"] <= rows["sct_long_dia"]).fillna(True).astype(bool),
        error="E07|perpendicular above longest diameter")]
    try:
        pa.DataFrameSchema(columns, checks=wide).validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.dropna(subset="index").drop_duplicates("index")
        return {int(case["index"]): _sentence(case) for case in cases.to_dict("records")}
    return {}


def _sentence(case: dict) -> tuple[str, str]:
    """Code and sentence of one failure case."""
    code, _, text = str(case["check"]).rpartition("|")
    if case["check"] == "not_nullable":
        return "E04", f"{case['column']} is missing in a key"
    return (code, text) if case["schema_context"] == "DataFrameSchema" else (
        code, f"{case['column']} = {case['failure_case']} {text}")
