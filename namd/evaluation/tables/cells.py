"""Tables of text as the notebooks show them: marked cells, "value [low, high]", differences with their verdicts."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd

from namd.evaluation.stats.columns import TITLES

STYLES = {"best": "font-weight: bold", "second": "text-decoration: underline", "": ""}
PLAIN = {"best": "**{}**", "second": "_{}_", "": "{}"}


@dataclass(frozen=True)
class MarkedTable:
    """Text cells of which some are best or second: bold and underlined on a page, **best** and _second_ as plain text.

    `marks` has the labels of `cells` and says "best", "second" or "" of each; `headings` are lines that name a group.
    """

    cells: pd.DataFrame
    marks: pd.DataFrame
    headings: tuple[str, ...] = ()

    def _repr_html_(self):
        css = self.marks.replace(STYLES)
        own_id = sha256(repr(self).encode()).hexdigest()[:8]        # its rules are for this table alone
        styled = self.cells.style.set_uuid(own_id).format(escape="html").format_index(escape="html")
        styled = styled.apply(lambda _: css, axis=None)
        styled = styled.map_index(lambda name: "font-style: italic" if name in self.headings else "", axis="index")
        return styled.to_html()

    def __repr__(self):
        plain = self.cells.copy()
        for column in plain:
            marked = zip(plain[column], self.marks[column], strict=True)
            plain[column] = [PLAIN[mark].format(text) for text, mark in marked]
        return plain.to_string()


def difference_cells(differences):
    """`differences.differences` as text, one line a row: "difference [low, high] verdict" for each statistic."""
    long = pd.DataFrame(dict(row=differences["row"]))
    long["cell"] = [f"{line.difference:+.3f} [{line.low:+.3f}, {line.high:+.3f}] {line.verdict}"
                    for line in differences.itertuples()]
    long["column"] = [TITLES[line.metric] + (", K-mean" if line.statistic == "K-mean" else "")
                      for line in differences.itertuples()]
    wide = long.pivot(index="row", columns="column", values="cell")
    order = []
    for title in TITLES.values():
        order += [title, f"{title}, K-mean"]
    order = [name for name in order if name in wide]
    return wide.reindex(index=long["row"].unique(), columns=order).fillna("–").rename_axis(index=None, columns=None)


def interval_cells(table, digits):
    """"value [low, high]" of each column `name` that stands beside name_low and name_high.

    Args:
        table: DataFrame; digits: {name: decimals}; NaN becomes "–".
    """
    def cell(value, low, high, n):
        return "–" if np.isnan(value) else f"{value:.{n}f} [{low:.{n}f}, {high:.{n}f}]"

    shown = {}
    for name, n in digits.items():
        values = table[[name, f"{name}_low", f"{name}_high"]].to_numpy()
        shown[name] = [cell(*line, n) for line in values]
    return pd.DataFrame(shown, index=table.index)
