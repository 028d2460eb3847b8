"""The dial's picture: AUROC and its gains along the phantom's predictability, the nulls apart behind it."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, finish, look

AUROC_STYLES = (("--", COLOURS[0]), ("-", COLOURS[1]), (":", COLOURS[2]), ("-.", COLOURS[3]))
GAIN_STYLES = (("-", COLOURS[1]), (":", COLOURS[2]), ("--", COLOURS[4]))
WORDS = {"growth_given_label": "null:\ngrowth\ngiven label", "no_record_effect": "null:\nno record\neffect"}


@look()
def dial(table, aurocs, gains, title=""):
    """AUROC (left) and the gains (right) at every position; the nulls stand apart behind the dial.

    Args:
        table: one row a position and quantity: null, eps, quantity, value, low, high (tables.dial.position; phantom
            only); aurocs, gains: the quantities of each axes (tables.dial.aurocs, tables.dial.gains).
    """
    law = table[["null", "eps"]].drop_duplicates().sort_values(["null", "eps"], key=_dialled_first)
    law["x"] = np.arange(len(law)) + 0.6 * (law["null"] != "none")
    table = table.merge(law, on=["null", "eps"])
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    _lines(left, table, aurocs, AUROC_STYLES)
    _lines(right, table, gains, GAIN_STYLES)
    left.set_ylabel("AUROC")
    right.set_ylabel("difference in AUROC")
    for ax in (left, right):
        ax.set_xticks(law["x"], [_name(*pair) for pair in zip(law["null"], law["eps"], strict=True)], fontsize=8)
        ax.set_xlabel("phantom_eps: noise between risk and fate")
        ax.legend(fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    right.axhline(0, color="0.3", lw=1)
    sns.despine(fig)
    return finish(fig, title, synthetic=True)


def _name(null, eps):
    return WORDS.get(null, f"{eps:g}")


def _dialled_first(column):
    """Sort key: the positions of the dial before the nulls."""
    return column.map(["none", *WORDS].index) if column.name == "null" else column


def _lines(ax, table, names, styles):
    """One line a quantity, side by side so that no bar hides another."""
    for i, (name, style) in enumerate(zip(names, styles, strict=True)):
        shift = 0.07 * (i - (len(names) - 1) / 2)
        _line(ax, table[table["quantity"] == name], name, style, shift)


def _line(ax, rows, name, style, shift):
    """Points with bars over patients, `shift` to the side, joined along the dial and not over the nulls."""
    dashes, colour = style
    rows = rows.assign(x=rows["x"] + shift).sort_values("x")
    reach = np.abs(rows[["low", "high"]].to_numpy().T - rows["value"].to_numpy())
    ax.errorbar(rows["x"], rows["value"], reach, fmt="o", ms=4, color=colour, capsize=2, lw=1)
    dialled = rows[rows["null"] == "none"]
    ax.plot(dialled["x"], dialled["value"], dashes, color=colour, label=name)
