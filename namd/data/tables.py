"""CSV tables of a delivery: recognised by their columns, checked against closed codes, every row kept or refused."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from namd.data.codes import CANCER_YEARS, CENTRE_LISTS, CODES, MISSING, NEEDED, SHAPES
from namd.data.refused import REASONS
from namd.errors import UserError

INTEGERS = {"pid", "patientid", "study_yr", "sct_ab_num", "lc_order", "studydate", "lesionid", "abnormality uid",
            "label"}
MAX_DIAMETER_MM = 200


@dataclass
class Tables:
    """Checked tables of one delivery by kind, the refused rows, and what all rows (refused ones too) name."""

    kept: dict[str, pd.DataFrame] = field(default_factory=dict)
    refused: list[dict] = field(default_factory=list)
    counts: dict[str, dict] = field(default_factory=dict)
    named: dict[str, set] = field(default_factory=dict)         # participants of each kind
    versions: set[str] = field(default_factory=set)             # values of dataset_version


def recognise(columns) -> str | None:
    """Kind of a table by its column set (lower case); None where a mark of every kind is lacking.

    Source: ours, because the same tables go by at least four families of file names.
    """
    columns = set(columns)
    found = [kind for kind, shape in SHAPES.items() if columns >= {*shape.marks, *shape.key[:1]}]
    return max(found, key=lambda kind: len(SHAPES[kind].required & columns), default=None)


def read_delivery(path) -> Tables:
    """All CSV files directly below `path`, as checked tables.

    Raises:
        UserError: no folder, a needed table absent (E01 names the nearest file), a required column absent (E02).

    Source: ours; one reader serves CDAS, IDC and synthetic deliveries.
    """
    folder = Path(path)
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() == ".csv")
    if not files:
        raise UserError(f"{folder} holds no CSV table; set data_delivery to the folder with the NLST tables")
    tables, raw = Tables(), {}
    for file in files:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        table.columns = table.columns.str.strip().str.lower()
        kind = recognise(table.columns)
        if kind is None:
            tables.refused.append({"source_id": file.name, "stage": "tables", "code": "E01",
                                   "message": _nearest(table.columns)})
            continue
        lacking = sorted(SHAPES[kind].required - set(table.columns))
        if lacking:
            raise UserError(f"E02 {REASONS['E02']}: {file.name} looks like the {kind} table but lacks "
                            f"{', '.join(lacking)}; export it again with all columns")
        raw.setdefault(kind, []).append(table.assign(_row=[f"{file.name} line {n + 2}" for n in range(len(table))]))
    _need(raw, tables, folder)
    for kind, parts in raw.items():
        tables.kept[kind] = check_table(kind, pd.concat(parts, ignore_index=True), tables)
    return tables


def _nearest(columns) -> str:
    """E01's sentence: the nearest kind and what it lacks."""
    kind = max(SHAPES, key=lambda kind: len(SHAPES[kind].required & set(columns)) / len(SHAPES[kind].required))
    lacking = ", ".join(sorted(SHAPES[kind].required - set(columns)))
    return f"columns match none of {', '.join(SHAPES)}; nearest: {kind}, lacking {lacking}"


def _need(raw, tables, folder) -> None:
    """Stop early where a needed table is absent."""
    absent = [kind for kind in NEEDED if kind not in raw]
    unknown = "; ".join(f"{row['source_id']}: {row['message']}" for row in tables.refused)
    if absent:
        raise UserError(f"{folder} lacks the {', '.join(absent)} table; add its CSV"
                        + (f" (not recognised: {unknown})" if unknown else ""))
    if not any(kind in raw for kind in CENTRE_LISTS):
        raise UserError(f"{folder} has no list of nodule centres, and NLST recorded none; add the NLSTx or LUNA25 CSV")


def check_table(kind: str, raw: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Rows of one table that pass, with numbers as Float64 and codes as Int64; the others go to `tables.refused`.

    Missing codes become missing values; their reason stays in `<column>__why`. The first row of a repeated key is
    kept and marked `repeated` (its nodules are refused later, for nobody knows which row is right).
    """
    shape = SHAPES[kind]
    numeric = [name for name in dict.fromkeys((*shape.key, *shape.numbers, *shape.optional))
               if name in raw and name not in shape.texts]
    table = raw[["_row", *shape.texts]].copy()
    bad: dict[int, tuple[str, str]] = {}
    for name in numeric:
        table[name], table[name + "__why"] = _numbers(raw[name], name)
        text = raw[name].str.strip()
        broken = table[name].isna() & ~text.isin(MISSING) & (table[name + "__why"] == "")
        code = "E05" if name in CODES else "E04"
        for i in table.index[broken]:
            bad.setdefault(i, ("E09" if name in shape.key[:1] else code, f"{name} = '{text[i]}' is not a number"))
    for i, failure in _rule_failures(kind, table).items():
        bad.setdefault(i, failure)
    tables.named[kind] = set(table[shape.key[0]].dropna())
    tables.versions |= set(raw["dataset_version"]) if "dataset_version" in raw else set()
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


def _numbers(text: pd.Series, name: str) -> tuple[pd.Series, pd.Series]:
    """Values of a column of text, and the reason of each missing one ('' elsewhere)."""
    text = text.str.strip()
    values = pd.to_numeric(text, errors="coerce").astype("Float64")
    why = text.where(text.isin(MISSING), "").where(text != "", "empty")
    if name in ("sct_slice_num", "slice number"):
        why = why.mask(values == 999, "999")
        values = values.mask(values == 999)
    whole = name in CODES or name in INTEGERS
    if whole:
        values = values.where(values.isna() | (values % 1 == 0)).astype("Int64")
    return values, why


def _rule_failures(kind: str, table: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """First broken rule of each row, by pandera in lazy mode (all failures of a table at once)."""
    shape, columns = SHAPES[kind], {}
    for name in [name for name in table if name + "__why" in table]:
        checks, allowed = [], CANCER_YEARS if (kind, name) == ("cancer", "study_yr") else CODES.get(name)
        if name in ("pid", "patientid"):
            checks = [pa.Check.in_range(100000, 299999, error="E09|is not six digits that begin with 1 or 2")]
        elif allowed:
            checks = [pa.Check.isin(list(allowed), error=f"E04|is not one of {' '.join(map(str, allowed))}")]
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
