"""The tables and pictures of one run that the repository keeps, read for the page."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from namd.ground.errors import UserError

SOURCES = "sources.csv"
FROM_BEFORE = "from before"


@dataclass(frozen=True)
class Kept:
    """What outputs/reference/ holds of a run.

    Attributes:
        run: its name; main: the row that is NAMD; tables: {name without .csv: DataFrame}, of the run and those beside
            it; pictures: names of the run's PNG files.
    """

    run: str
    main: str
    tables: dict
    pictures: frozenset

    def __contains__(self, name):
        return name in self.tables

    def __getitem__(self, name):
        return self.tables[name]

    def rows(self, name, **where):
        """The rows of a table in which every column of `where` has that value; none where there is no such table."""
        table = self.tables.get(name, pd.DataFrame())
        for column, value in where.items():
            table = table[table[column] == value] if column in table else table[:0]
        return table

    def row(self, name, **where):
        """The first of `rows`, None without one."""
        found = self.rows(name, **where)
        return None if found.empty else found.iloc[0]

    def picture(self, name, title):
        """A link to figure `name` of the run, seen from the page; empty where it is not kept."""
        if f"{name}.png" not in self.pictures:
            return ""
        old = " *(of an earlier commit)*" if self.earlier(f"{name}.png") else ""
        return f"![{title}]({self.run}/{name}.png){old}"

    def earlier(self, *files):
        """The first of `files` that was kept from before: its commit, "unknown" where nobody wrote it down; else ""."""
        for file in files:
            source = self.row("sources", file=file, kept=FROM_BEFORE)
            if source is not None:
                return source["commit"]
        return ""

    def difference(self, row, table="differences"):
        """(value, low, high) of the AUROC of `row` minus NAMD's, the mean over runs; None where it was not measured."""
        found = self.row(table, row=row, metric="auroc", statistic="mean over runs")
        return None if found is None else (found["difference"], found["low"], found["high"])


def read(folder, run, main) -> Kept:
    """What `folder`, outputs/reference/, keeps of `run`.

    Raises:
        UserError: a table there cannot be read.
    """
    files = [*sorted(Path(folder).glob("*.csv")), *sorted(Path(folder, run).glob("*.csv"))]
    pictures = frozenset(file.name for file in Path(folder, run).glob("*.png"))
    return Kept(run, main, {file.stem: _table(file) for file in files}, pictures)


def _table(file):
    try:
        return pd.read_csv(file)
    except (ValueError, OSError) as error:          # pandas' own errors of parsing are ValueErrors
        raise UserError(f"{file} cannot be read as a table ({str(error).splitlines()[0]}): take it from the repository"
                        " again, or delete it.") from None
