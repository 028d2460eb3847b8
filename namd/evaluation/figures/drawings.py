"""A nodule, the follow-ups that were drawn for it, their mean and spread, and what the judge reads: a row each."""

import io

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from namd.evaluation.figures.plots import COLOURS, finish, look, picture

SHOWN = 4               # of the K follow-ups
WIDEST = .7             # spread that is drawn white, of the window from -1 to 1
HALF_HU = 700           # HU of one window unit
COLUMNS = ("baseline", *(f"drawn {i + 1}" for i in range(SHOWN)), "mean", "spread")


@look()
def rows_of_drawings(rows, title="", synthetic=True) -> Figure:
    """One line a nodule or record: baseline, SHOWN follow-ups, mean and spread of all K, their probabilities.

    Args:
        rows: {label of the line: drawn}, where drawn has x1 (S, S), x2_hat (K, S, S), prob (K,) and prob_x1.

    Source: ours; mean and spread are the maps of `namd predict`.
    """
    fig = Figure(figsize=(10.6, 1.06 * len(rows) + 1.05))
    top = 1 - .58 / fig.get_figheight()
    bottom = .5 / fig.get_figheight()
    grid = fig.add_gridspec(len(rows), len(COLUMNS) + 1, width_ratios=[1] * len(COLUMNS) + [2.1], wspace=.06,
                            hspace=.06, left=.135, right=.985, top=top, bottom=bottom)
    axes = grid.subplots(squeeze=False)
    for line, (label, drawn) in zip(axes, rows.items(), strict=True):
        _images(line, drawn)
        line[0].set_ylabel(label, fontsize=9, rotation=0, ha="right", va="center", labelpad=6)
        _probabilities(line[-1], drawn)
    for ax, name in zip(axes[0], COLUMNS, strict=False):
        ax.set_title(name, fontsize=9)
    axes[0, -1].set_title("p(malignant)", fontsize=9)
    for ax in axes[:-1, -1]:
        ax.set_xticklabels([])
    fig.text(.135, .07 / fig.get_figheight(), f"spread: sd over K, black 0, white {WIDEST * HALF_HU:.0f} HU and more."
             " Right: dots K drawings, orange their mean, ◇ the baseline.", fontsize=8, color="0.35")
    return finish(fig, title, synthetic)


def _images(line, drawn):
    """Baseline, follow-ups, mean and spread of one line."""
    shown = list(drawn.x2_hat[:SHOWN]) + [None] * (SHOWN - len(drawn.x2_hat))
    for ax, image in zip(line, [drawn.x1, *shown, drawn.x2_hat.mean(0)], strict=False):
        picture(ax, image)
    picture(line[len(COLUMNS) - 1], drawn.x2_hat.std(0), 0, WIDEST, "magma")


def _probabilities(ax, drawn):
    """K dots between 0 and 1, their mean as a line, the baseline's as a diamond."""
    height = np.linspace(.25, .75, len(drawn.prob))
    ax.scatter(drawn.prob, height, color=COLOURS[0], s=22, alpha=.75, lw=0, zorder=2)
    ax.axvline(drawn.prob.mean(), color=COLOURS[1], lw=2)
    ax.scatter([drawn.prob_x1], [.5], marker="D", s=34, facecolor="none", edgecolor="0.2", zorder=3)
    ax.text(.98, .5, f"{drawn.prob.mean():.2f}", ha="right", va="center", fontsize=10, color="0.1")
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, .25, .5, .75, 1], yticks=[])
    sns.despine(ax=ax, left=True)


@look()
def as_png(fig) -> bytes:
    """A figure as the bytes of a PNG, for a widget."""
    file = io.BytesIO()
    fig.savefig(file, format="png", dpi=90)
    return file.getvalue()
