"""Values with their intervals, one row a line: the rows of Table 1, and their differences to one of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, finish, look
from namd.evaluation.stats.columns import TITLES


@look()
def forests(panels, title="", synthetic=False, bold=None):
    """Forests side by side that share their rows.

    Args:
        panels: {axis label: (DataFrame row, value, low, high, value of the dashed line)}; a row may be missing in some
            panels. A column `statistic` tells apart two values of a row, each with its own colour and marker.
        bold: the row whose name is bold.
    """
    rows = list(pd.concat([table["row"] for table, _ in panels.values()]).unique())
    size = (2.6 * len(panels) + 1.6, 0.34 * len(rows) + 1.3)
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax, (label, (table, reference)) in zip(axes[0], panels.items(), strict=True):
        _forest(ax, table, rows)
        ax.axvline(reference, color="0.3", ls="--", lw=1)
        ax.set(yticks=-np.arange(len(rows)), yticklabels=rows, xlabel=label, ylim=(0.6 - len(rows), 0.6))
        ax.locator_params(axis="x", nbins=4)                                # three decimals side by side would touch
        if "statistic" in table and table["statistic"].nunique() > 1:
            ax.legend(fontsize=7, loc="best")
    for name in axes[0, 0].get_yticklabels():
        name.set_fontweight("bold" if name.get_text() == bold else "normal")
    sns.despine(fig)
    return finish(fig, title, synthetic)


def _forest(ax, table, rows):
    """The points of one panel, those of one statistic above those of the next."""
    parts = list(table.groupby("statistic", sort=False)) if "statistic" in table else [("", table)]
    for i, (name, part) in enumerate(parts):
        place = np.array([-rows.index(row) for row in part["row"]])
        shift = 0.24 * ((len(parts) - 1) / 2 - i)
        value = part["value"].to_numpy(dtype=float)
        reach = np.abs(part[["low", "high"]].to_numpy(dtype=float).T - value)
        ax.errorbar(value, place + shift, xerr=reach, fmt="os"[i], color=COLOURS[i], capsize=2, ms=4, lw=1.2,
                    label=name)


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
    return forests(panels, title, synthetic, bold)


def difference_forests(differences, against, title="", synthetic=False):
    """`forests` of every row minus `against`, one panel a metric; 0 is dashed."""
    table = differences.rename(columns={"difference": "value"})
    panels = {}
    for metric, part in table.groupby("metric", sort=False):
        shown = part if metric == "auroc" else part.drop(columns="statistic")
        panels[f"{TITLES[metric]}\n(row - {against})"] = (shown, 0)
    return forests(panels, title, synthetic)
