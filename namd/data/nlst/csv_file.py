"""The text of one CSV file: read whole, or refused with one sentence that names the encoding, separator or line."""

import csv
import io
import re
from pathlib import Path

import pandas as pd

from namd.data.folders import regular_files
from namd.data.refused import RefusedError, one_line

MARKS = {b"PK\x03\x04": "an Excel workbook or ZIP archive", b"\xd0\xcf\x11\xe0": "an old Excel workbook",
         b"\x1f\x8b": "compressed (gzip)", b"\xff\xfe\0\0": "UTF-32 text", b"\0\0\xfe\xff": "UTF-32 text",
         b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text", b"<": "a web page",
         b"\x89PNG": "a picture", b"%PDF": "a PDF file"}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
EDGES = " \t\r\n\u00a0\u200b\ufeff'\""          # around a cell they mean nothing
MOST_COLUMNS = 4096                             # NLST's widest table has some 300
RAGGED = "_ragged"                            # column of read_table: why a row is not one of this table, or ''


def csv_files(folder) -> list[Path]:
    """The CSV files directly below a folder, in the order of names."""
    return [Path(path) for path in regular_files(folder) if path.lower().endswith(".csv")]


def read_table(path) -> pd.DataFrame:
    """All cells of a comma-separated file in UTF-8 as text, without blanks and quotes around them.

    Returns:
        Columns in lower case; the index says `<file> line <n>`. Blank lines are left out. A row with too few or too
        many cells says so in the column `_ragged`.

    Raises:
        RefusedError: E01, the file is no such text; E02, it has one column twice.

    Source: ours; a guessed encoding or separator would change values without any sign of it.
    """
    name = one_line(Path(path).name)
    rows, lines = _rows(_decode(path, name), name)
    if not rows:
        raise RefusedError("E01", f"{name} is empty; copy it again")
    if len(rows[0]) == 1:
        _refuse_separator(rows[0][0], name)
    if len(rows[0]) > MOST_COLUMNS:
        raise RefusedError("E01", f"{name} has {len(rows[0])} columns, and no table that is read here has more than "
                                  f"{MOST_COLUMNS}; export it with the columns that are needed")
    head = column_names(rows.pop(0))
    ragged = [_fit(row, len(head)) for row in rows]
    table = pd.DataFrame(rows, columns=head, dtype="str")
    table = _without_repeats(table, name).apply(lambda column: column.str.strip(EDGES))
    table[RAGGED] = pd.Series(ragged, dtype="str")
    return table.set_index(f"{name} line " + pd.Series(lines[1:], dtype="int64").astype("str"))


def guess_columns(path) -> list[str]:
    """Column names of a file that `read_table` refuses, as far as they can be made out."""
    try:
        with open(path, "rb") as file:
            start = file.read(1 << 16)
    except OSError:
        return []
    text = start.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "replace")
    first = next((line for line in text.splitlines() if line.strip()), "")
    return column_names(re.split(r"[,;\t|]", first.removeprefix("ï»¿")))


def column_names(cells) -> list[str]:
    """Names as `tables.recognise` wants them."""
    return [" ".join(cell.strip(EDGES).lower().split()) for cell in cells]


def _decode(path, name: str) -> str:
    """The file as text."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RefusedError("E01", f"{name} cannot be opened ({error.strerror})") from error
    what = next((what for mark, what in MARKS.items() if content.lstrip(b" \r\n").startswith(mark)), None)
    if what is None and b"\0" in content:
        what = f"no text (a zero byte in line {content[:content.index(0)].count(10) + 1})"
    if what:
        raise RefusedError("E01", f"{name} is {what}, not a CSV file; export the table as comma-separated UTF-8 text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b"\n") + 1
        raise RefusedError("E01", f"{name} is not in the encoding UTF-8 (byte {content[error.start]:#x} in line {line},"
                                  " perhaps Latin-1 or Windows-1252); save it as UTF-8") from error


def _rows(text: str, name: str) -> tuple[list[list[str]], list[int]]:
    """Rows that are not blank, and the line each ends in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    lines = []
    try:
        for row in reader:
            if any(map(str.strip, row)):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise RefusedError("E01", f"{name} breaks off in line {reader.line_num} ({error}); look for a quotation mark "
                                  "without its partner") from error
    return rows, lines


def _refuse_separator(head: str, name: str) -> None:
    """Refuse a header that another separator would cut."""
    found = next((words for mark, words in SEPARATORS.items() if mark in head), None)
    if found:
        raise RefusedError("E01", f"{name} is separated by {found}; export it with the separator comma and the decimal "
                                  "point")


def _fit(row: list[str], width: int) -> str:
    """Cut or fill a row to the width of its header; why it did not fit, or ''. Empty cells too many are no fault."""
    if len(row) == width:
        return ""
    n_cells = len(row)
    beyond = row[width:]
    row[:] = row[:width] + [""] * (width - n_cells)
    if beyond and not any(cell.strip(EDGES) for cell in beyond):
        return ""
    return f"{n_cells} cells under {width} columns: the line is cut off, or a comma in it lacks quotes"


def _without_repeats(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table without unnamed columns and equal repeats of a column."""
    table = table.loc[:, table.columns != ""]
    for column in table.columns[table.columns.duplicated()].unique():
        copies = table[column]
        if not copies.eq(copies.iloc[:, 0], axis=0).all(axis=None):
            raise RefusedError("E02", f"{name} has two differing columns {column}; leave one")
    return table.loc[:, ~table.columns.duplicated()]
