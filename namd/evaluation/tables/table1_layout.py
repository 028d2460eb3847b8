"""Table 1 in the paper's layout, laid out once: notebooks 05 and 08 show it as `paper_table`, the page as `lines`."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from namd.evaluation.stats.columns import COLUMNS, LPIPS_LIKE, Column
from namd.evaluation.tables.cells import MarkedTable
from namd.ground.paper import PAPER, ours

RANKED = ("Deterministic methods", "Stochastic methods")
CONTROLS = "Controls, ours"


@dataclass(frozen=True)
class Value:
    """One number: its mean, its sd over runs (0 for a single run), its 95 % interval over patients; NaN is none."""

    mean: float = np.nan
    sd: float = 0.0
    low: float = np.nan
    high: float = np.nan

    def text(self, digits):
        """0.748, or a dash."""
        return "–" if pd.isna(self.mean) else f"{self.mean:z.{digits}f}"

    def spread(self, digits):
        """" ± 0.005"; empty where there is none."""
        return f" ± {self.sd:.{digits}f}" if self.sd > 0 and not pd.isna(self.mean) else ""

    def interval(self):
        """[0.71, 0.78]; empty where there is none."""
        return "" if pd.isna(self.low) else f"[{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Line:
    """One line of Table 1; `row` and `k` are None where the paper's method was not run here."""

    group: str
    name: str
    row: str | None
    k: int | None
    comparable: str
    here: dict[str, Value]
    paper: dict[str, Value]


@dataclass(frozen=True)
class Beside:
    """One column of Table 1 and the paper's metric that stands beside it, None where the paper has none."""

    column: Column
    paper: str | None


def lines(table, own_group):
    """The lines of Table 1: the paper's in its order, then ours in the order of `table`.

    Args:
        table: DataFrame indexed by row (`beside_the_paper`); own_group: row -> the group of a row that the paper does
            not have.

    Returns:
        list of Line.

    Source: Table 1; the lines of our own are ours.
    """
    known_as = {paper: row for row, paper in table["paper_row"].items() if _is_text(paper)}
    found = [_line(table, paper["group"], name, known_as.get(name), paper) for name, paper in PAPER["table1"].items()]
    for row in table.index:
        if not _is_text(table.loc[row, "paper_row"]):
            found.append(_line(table, own_group(row), row, row, {}))
    return found


def by_group(found):
    """{group: its lines}, groups in the order of their first line."""
    groups = {}
    for line in found:
        groups.setdefault(line.group, []).append(line)
    return groups


def notebook_columns(table):
    """The columns that `table` has, each beside the paper's where it reports the same: list of Beside."""
    return [_beside(column, table) for column in COLUMNS if column.in_table1 and f"{column.name}_mean" in table]


def page_columns(table):
    """The columns of a run's page: those beside the paper's, run here or not, and ours that declare their digits."""
    found = []
    for column in COLUMNS:
        beside = _beside(column, table)
        own = column.paper is None and column.page_digits is not None and f"{column.name}_mean" in table
        if beside.paper or own:
            found.append(beside)
    return found


def _beside(column, table):
    """A column with the paper's metric; its FID stands beside Inception's where the run has that one."""
    if column.name == "lpips" and "lpips_net" in table:
        column = replace(column, title=LPIPS_LIKE.get(table["lpips_net"].iloc[0], column.title))
    theirs = column.paper and ours(column.paper, table) == column.name
    return Beside(column, column.paper if theirs else None)


def _line(table, group, name, row, paper):
    """One line; paper: what the paper reports of the method."""
    theirs = {metric: Value(found[0], found[1] or 0.0) for metric, found in paper.items() if metric != "group"}
    if row is None:
        return Line(group, name, None, None, "", {}, theirs)
    values = table.loc[row]
    k = int(values["k"])
    here = {}
    for column in COLUMNS:
        sd = values.get(f"{column.name}_sd", 0.0) if k > 1 else 0.0
        here[column.name] = Value(values.get(f"{column.name}_mean", np.nan), 0.0 if pd.isna(sd) else sd,
                                  values.get(f"{column.name}_low", np.nan), values.get(f"{column.name}_high", np.nan))
    said = values["comparable"]
    return Line(group, name, row, k, said if _is_text(said) else "", here, theirs)


def _is_text(value):
    """False for "" and for what an empty cell of a CSV file is read as."""
    return isinstance(value, str) and value != ""


def marks(values, better):
    """"best" and "second" among values as printed (three decimals), "" for the others; equal ones are marked alike.

    Args:
        values: (n,) float, NaN is never marked; better: +1 where higher is better, -1 where lower is.

    Source: ours. The paper's own Table 1 marks one of two equal LPIPS and underlines two different AUROCs.
    """
    printed = [float(f"{value:.3f}") for value in values]
    ranks = sorted({value for value in printed if not np.isnan(value)}, reverse=better > 0)
    words = dict(zip(ranks, ("best", "second"), strict=False))
    return [words.get(value, "") for value in printed]


def paper_table(table, methods):
    """Table 1 as a notebook shows it: the paper's groups and rows with its values beside ours, then the controls.

    Args:
        table: DataFrame indexed by row (`beside_the_paper`); methods: the rows that are generators to be ranked,
            stochastic where k > 1; every other row without a place in the paper is a control.

    Returns:
        MarkedTable, one line a method below the line of its group, columns (title, "here" or "paper"): mean ± sd over
        runs, "–" where there is none. Best bold and second underlined among deterministic and stochastic methods, in
        each column.

    Source: Table 1; the KID, the columns of our own and the controls are ours.
    """
    def own_group(row):
        return RANKED[int(table.loc[row, "k"] > 1)] if row in methods else CONTROLS

    groups = by_group(lines(table, own_group))
    found = []
    order = []                                              # a line with the name of each group above its lines
    for group, inside in groups.items():
        found += inside
        order += [group, *map(_label, inside)]
    cells = {}
    marked = {}
    for beside in notebook_columns(table):
        sides = {"here": [line.here.get(beside.column.name, Value()) for line in found]}
        if beside.paper:
            sides["paper"] = [line.paper.get(beside.paper, Value()) for line in found]
        for side, values in sides.items():
            cells[beside.column.title, side] = [_cell(value) for value in values]
            marked[beside.column.title, side] = _ranked(found, values, beside.column.better)
    cells["K", ""] = ["–" if line.row is None else str(line.k) for line in found]
    cells["comparable?", ""] = ["not run here" if line.row is None else line.comparable or "–" for line in found]
    names = [_label(line) for line in found]
    text = pd.DataFrame(cells, index=names).reindex(order, fill_value="")
    marked = pd.DataFrame(marked, index=names).reindex(index=order, columns=text.columns, fill_value="")
    return MarkedTable(text, marked, tuple(groups))


def _cell(value):
    """0.748 ± 0.005, kept on one line."""
    return (value.text(3) + value.spread(3)).replace(" ", "\u00a0")


def _ranked(found, values, better):
    """`marks` among the lines that are ranked."""
    means = [value.mean if line.group in RANKED else np.nan for line, value in zip(found, values, strict=True)]
    return marks(means, better)


def _label(line):
    """The paper's name, with ours where it says another thing."""
    return line.name if line.row is None or line.row in line.name.lower() else f"{line.name} · {line.row}"
