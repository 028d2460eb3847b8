"""CSV tables of a delivery: recognised by their columns, checked against closed codes, every row kept or refused."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from namd.data.codes import CENTRE_LISTS, NEEDED, SHAPES, TableShape
from namd.data.folders import regular_files
from namd.data.nlst.boxes import read_boxes
from namd.data.nlst.centres import Listed
from namd.data.nlst.csv_file import RAGGED, csv_files, guess_columns, read_table
from namd.data.nlst.rows import Fault, read_values, rule_faults, unreadable_days
from namd.data.refused import REASONS, Refused, RefusedError, one_line
from namd.ground.errors import UserError

SHEETS = (".xlsx", ".xls", ".ods", ".tsv", ".sas7bdat", ".sav", ".parquet")       # surely tables
OTHER_FORMS = (*SHEETS, ".txt", ".tab", ".csv.gz", ".zip")                          # perhaps


@dataclass
class Tables:
    """Checked tables of one delivery by kind, the refused rows, and what all rows (refused ones too) name."""

    kept: dict[str, pd.DataFrame] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    counts: dict[str, dict] = field(default_factory=dict)
    named: dict[str, set] = field(default_factory=dict)         # participants of each kind
    causes: dict[tuple, Fault] = field(default_factory=dict)    # (kind, *key) of a refused row -> why
    versions: set[str] = field(default_factory=set)             # dataset_version of the participants
    unread: list[Refused] = field(default_factory=list)         # files that are no table, refused too
    boxes: list[Listed] = field(default_factory=list)           # nodules of DICOM reports


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
    files = read_files(path)
    if not files:
        raise UserError(f"{path} holds no CSV table; set data_delivery to the folder with the NLST tables")
    tables = Tables()
    tables.boxes, unusable = read_boxes(path)
    _need(files, path, bool(tables.boxes))
    check_files(files, tables)
    tables.refused += unusable
    return tables


def check_files(files: list[File], tables: Tables) -> None:
    """Put the checked tables of `files` into `tables`, files of one kind as one table, and what is refused too."""
    tables.unread = [Refused(file.name, "tables", file.refusal.code, file.refusal.message, row=file.name)
                     for file in files if file.refusal]
    tables.refused += tables.unread
    readable = [file for file in files if not file.refusal]
    for kind in dict.fromkeys(file.kind for file in readable):
        text = pd.concat([file.text for file in readable if file.kind == kind]).fillna("")
        tables.kept[kind] = check_table(kind, text.rename_axis("_row").reset_index(), tables)


def _nearest(columns) -> str:
    """E01's sentence: the nearest kind, what it lacks, and the line that was read as the header."""
    def share(kind):
        required = SHAPES[kind].required
        return len(required & set(columns)) / len(required)

    kind = max(SHAPES, key=share)
    lacking = ", ".join(sorted(SHAPES[kind].required - set(columns)))
    return (f"columns match none of {', '.join(SHAPES)}; nearest: {kind}, lacking {lacking}; its first line reads "
            f"'{', '.join(columns)[:60]}'")


def _need(files: list[File], folder, has_boxes: bool) -> None:
    """Stop early where a needed table is absent, or where one of its files cannot be used."""
    needed = [file for file in files if file.refusal and file.kind in (*NEEDED, *CENTRE_LISTS)]
    if needed:
        raise UserError("; ".join(f"{file.refusal} (the {file.kind} table)" for file in needed))
    kinds = {file.kind for file in files}
    absent = [kind for kind in NEEDED if kind not in kinds]
    unknown = "; ".join(f"{file.name}: {file.refusal.message}" for file in files if file.refusal)
    unknown = f" (not recognised: {unknown})" if unknown else ""
    if absent:
        raise UserError(f"{folder} lacks the {', '.join(absent)} table; add its CSV{unknown}{_not_csv(folder)}")
    if not has_boxes and not kinds & set(CENTRE_LISTS):
        raise UserError(f"{folder} has no list of nodule centres, and NLST recorded none; add the NLSTx, "
                        f"LUNA25 or GM-AE CSV{unknown}")


def _not_csv(folder) -> str:
    """The files of a folder that may be a table in another form than CSV, in brackets; "" for none."""
    names = [one_line(Path(path).name) for path in regular_files(folder) if path.lower().endswith(OTHER_FORMS)]
    return f" (no CSV, so not read: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''})" if names else ""


def check_table(kind: str, raw: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Rows of one table that pass, with numbers as Float64 and codes as Int64; the others go to `tables.refused`.

    Missing codes become missing values; their reason stays in `<column>__why`. The first row of a repeated key is
    kept and marked `repeated` (its nodules are refused later, for nobody knows which row is right).

    Raises:
        UserError: most rows of a needed table are refused, or it has none.
    """
    shape = SHAPES[kind]
    raw = raw.reset_index(drop=True)
    table, faults = read_values(raw, shape)
    for i, fault in rule_faults(kind, table).items():
        faults.setdefault(i, fault)
    tables.named[kind] = set(table[shape.key[0]].dropna())
    if kind == "participant" and "dataset_version" in raw:
        tables.versions |= set(raw["dataset_version"])
    _stop_at_a_fault_of_the_whole(kind, raw["_row"], unreadable_days(table) | faults)
    for i, fault in faults.items():
        tables.causes[kind, *table.loc[i, list(shape.key)]] = Fault(
            fault.code, f"its row ({kind}: {raw.at[i, '_row']}) was refused: {fault.message}")
    table = table.drop(index=list(faults))
    is_repeat = table.duplicated(list(shape.key), keep="first")
    table["repeated"] = _has_another_value(table, shape)
    for i in table.index[is_repeat]:
        key = ", ".join(f"{name} {table.at[i, name]}" for name in shape.key)
        faults[i] = Fault("E03", f"{key} occurs before")
    tables.refused += [Refused(f"{kind}: {raw.at[i, '_row']}", "tables", fault.code, fault.message, kind,
                               raw.at[i, "_row"])
                       for i, fault in sorted(faults.items())]
    tables.counts[kind] = {"rows": len(raw), "kept": len(raw) - len(faults), "refused": len(faults)}
    return table[~is_repeat].reset_index(drop=True)


def records(table) -> list[dict]:
    """Rows as dictionaries with None for missing; none of an absent table."""
    if table is None:
        return []
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _has_another_value(table: pd.DataFrame, shape: TableShape) -> pd.Series:
    """Whether a row's key stands in another row too that differs from it; a plain copy of a row does not count."""
    different = table[~table.drop(columns="_row").duplicated(keep="first")]
    clash = different.duplicated(list(shape.key), keep=False)
    return clash.reindex(table.index, fill_value=False).astype(bool)


def _stop_at_a_fault_of_the_whole(kind: str, rows: pd.Series, faults: dict[int, Fault]) -> None:
    """Stop where a needed table has no row, or where most of them have a fault; repeats of a row are not counted.

    Source: ours, because a wrong export would else show as hundreds of missing pairs.
    """
    if kind not in (*NEEDED, *CENTRE_LISTS):
        return
    if rows.empty and kind not in ("comparison", "cancer"):           # nobody new, nobody ill: a table without rows
        raise UserError(f"The {kind} table has a header and no row; export it again.")
    if 2 * len(faults) > len(rows):
        (code, n), = Counter(fault.code for fault in faults.values()).most_common(1)
        first = min(i for i, fault in faults.items() if fault.code == code)
        raise UserError(f"{len(faults)} of {len(rows)} rows of the {kind} table cannot be used, {n} of them for "
                        f"{code} {REASONS[code]} (e.g. {rows[first]}: {faults[first].message}); export it again.")
