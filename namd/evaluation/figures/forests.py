"""Values with their intervals, one row a line: the rows of Table 1, and their differences to one of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, INK, finish, look
from namd.evaluation.stats.columns import TITLES
from namd.evaluation.stats.rows import grouped, plain

FEWEST = 4          # rows that a scale is for; with less, none of them is far off


@look()
def forests(panels, title="", synthetic=False, bold=None, groups=None):
    """Forests side by side that share their rows.

    Args:
        panels: {axis label: (DataFrame row, value, low, high, value of the dashed line)}; a row may be missing in some
            panels. A column `statistic` tells apart two values of a row, each with its own colour and marker.
        bold: the row whose name is bold and that has a band behind it; groups: {heading: its rows}, in their order;
            without, the rows stand as they come.

    A row that would alone more than halve the scale is an arrow at the edge with its value.
    """
    lines = _lines(pd.concat([table["row"] for table, _ in panels.values()]), groups)
    size = (max(6.6, 2.6 * len(panels) + 2.4), 0.3 * len(lines) + 1.5)
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    place = {row: -i for i, (row, _) in enumerate(lines) if row is not None}
    for ax, (label, (table, reference)) in zip(axes[0], panels.items(), strict=True):
        _forest(ax, table, place, reference)
        ax.axvline(reference, color="0.3", ls="--", lw=1)
        ax.set(yticks=-np.arange(len(lines)), yticklabels=[text for _, text in lines], xlabel=label,
               ylim=(0.6 - len(lines), 0.6))
        ax.tick_params(axis="y", length=0)
        ax.locator_params(axis="x", nbins=4)                                # three decimals side by side would touch
        if bold in place:
            ax.axhspan(place[bold] - 0.45, place[bold] + 0.45, color=COLOURS[1], alpha=0.16, lw=0, zorder=0)
        if "statistic" in table and table["statistic"].nunique() > 1:
            ax.legend(fontsize=7, loc="best")
    for name, (row, _) in zip(axes[0, 0].get_yticklabels(), lines, strict=True):
        name.set(fontweight="bold" if row == bold and bold else "normal", color="0.35" if row is None else INK,
                 style="italic" if row is None else "normal")
    sns.despine(fig)
    return finish(fig, title, synthetic)


def _lines(rows, groups):
    """(row, text) of every line; a heading has no row."""
    if groups is None:
        return [(row, row) for row in rows.unique()]
    lines = []
    for heading, inside in groups.items():
        lines += [(None, heading), *((row, plain(row)) for row in inside)]
    return lines


def _forest(ax, table, place, reference):
    """The points of one panel, those of one statistic above those of the next."""
    far = far_off(table, reference)
    parts = list(table.groupby("statistic", sort=False)) if "statistic" in table else [("", table)]
    for i, (name, whole) in enumerate(parts):
        part = whole[~whole["row"].isin(far)]
        shift = 0.24 * ((len(parts) - 1) / 2 - i)
        value = part["value"].to_numpy(dtype=float)
        reach = np.abs(part[["low", "high"]].to_numpy(dtype=float).T - value)
        ax.errorbar(value, part["row"].map(place) + shift, xerr=reach, fmt="os"[i], color=COLOURS[i], capsize=2, ms=4,
                    lw=1.2, label=name)
    for row in far:
        _arrow(ax, place[row], table[table["row"] == row]["value"].iloc[0], reference)


def far_off(table, reference):
    """The rows of a panel of which each would alone more than halve its scale, the farthest first."""
    ends = table.groupby("row")[["low", "high"]].agg({"low": "min", "high": "max"}).dropna()
    found = []
    while len(ends) > FEWEST:
        farthest = (ends - reference).abs().max(axis=1).idxmax()
        rest = ends.drop(farthest)
        if _width(ends, reference) <= 2 * _width(rest, reference):
            break
        found.append(farthest)
        ends = rest
    return found


def _width(ends, reference):
    """The scale that these intervals and the dashed line need."""
    return max(ends["high"].max(), reference) - min(ends["low"].min(), reference)


def _arrow(ax, y, value, reference):
    """An arrow at the edge on the side of a value that lies outside, and the value."""
    right = value > reference
    where = dict(xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center", fontsize=7)
    ax.annotate(f"{value:.2f}", (0.98 if right else 0.02, y), (-10 if right else 10, 0), ha="right" if right else
                "left", arrowprops=dict(arrowstyle="->", color=COLOURS[0], lw=1.2), **where)


def row_forests(table, title="", synthetic=False, reference="real baseline", bold=None):
    """`forests` of AUROC and AUPRC of the K-mean probability of every row; the row `reference` is dashed.

    Args:
        table: DataFrame with the columns of table1.diagnosis_columns, indexed by row; bold: as `forests`.
    """
    panels = {}
    for name in ("auroc", "auprc"):
        values = {f"{name}_kmean": "value", f"{name}_low": "low", f"{name}_high": "high"}
        shown = table[list(values)].rename(columns=values).reset_index()
        panels[f"{name.upper()} of the K-mean probability"] = (shown, table.loc[reference, f"{name}_kmean"])
    return forests(panels, title, synthetic, bold, grouped(table.index))


def difference_forests(differences, against, n, synthetic=False):
    """`forests` of every row minus `against`, one panel a metric; 0 is dashed; n: whom it counts, in words."""
    table = differences.rename(columns={"difference": "value"})
    panels = {}
    for metric, part in table.groupby("metric", sort=False):
        shown = part if metric == "auroc" else part.drop(columns="statistic")
        panels[f"{TITLES[metric]}\n(row - {plain(against)})"] = (shown, 0)
    title = f"Every row minus {plain(against)} on the same patients\n{n}"
    return forests(panels, title, synthetic, groups=grouped(table["row"]))


def effect_forest(effects, label, title="", synthetic=False):
    """`forests` of one panel: effects of arms and controls (columns row, value, low, high); 0 is dashed."""
    return forests({label: (effects, 0)}, title, synthetic, groups=grouped(effects["row"]))
