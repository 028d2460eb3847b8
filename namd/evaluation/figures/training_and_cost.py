"""The compared systems' pictures: how each stage was trained, and what a row costs beside its AUROC."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from namd.evaluation.figures.plots import COLOURS, finish, look
from namd.evaluation.stats.rows import plain

MARKERS = "os^Dv<>pP*X"


@look()
def histories(tables, title="", synthetic=False):
    """Loss on validation data over the steps, a panel for each stage of each system.

    Args:
        tables: {"system, stage": DataFrame of loop.fit}.
    """
    columns = min(5, len(tables))
    rows = -(-len(tables) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(2.5 * columns, 1.9 * rows), squeeze=False, layout="constrained")
    for ax in axes.flat[len(tables):]:
        ax.set_axis_off()
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=False):
        seen = table.dropna(subset="val_loss")
        ax.plot(seen["step"], seen["val_loss"], "o-", ms=3, color=COLOURS[0])
        ax.set_title(name, fontsize=8)
        ax.set_xlabel("step", fontsize=7)
        ax.tick_params(labelsize=7)
    fig.supylabel("validation loss", fontsize=9)
    sns.despine(fig)
    return finish(fig, title, synthetic)


@look()
def cost_against_auroc(table, costs, n="", synthetic=False, reference="real baseline", bold=None):
    """AUROC of the K-mean probability against what a follow-up and a training cost, with intervals over patients.

    Args:
        table: DataFrame of table1.diagnosis_columns, indexed by row, with the row `reference` (dashed).
        costs: DataFrame of systems.costs, indexed by row: the rows to draw; n: whom it counts, in words; bold: the
            row whose marker is filled.
    """
    colours = sns.color_palette("dark")             # each at least 3 : 1 against white, the thin lines too
    names = {"flop": "FLOP a follow-up", "parameters": "parameters", "train_seconds": "training, s"}
    fig, axes = plt.subplots(1, 3, figsize=(11, 4.4), sharey=True, layout="constrained")
    costs = costs.assign(flop=costs["gflops"] * 1e9)
    shown = table.loc[costs.index]
    value = shown["auroc_kmean"].to_numpy()
    reach = np.abs(shown[["auroc_low", "auroc_high"]].to_numpy().T - value)
    for ax, (column, label) in zip(axes, names.items(), strict=True):
        for i, row in enumerate(costs.index):
            face = None if row == bold else "none"                                      # open: none hides another
            ax.errorbar(costs.loc[row, column], value[i], yerr=reach[:, [i]], fmt=MARKERS[i % len(MARKERS)], ms=7,
                        mfc=face, color=colours[i % len(colours)], lw=1, label=plain(row))
        ax.axhline(table.loc[reference, "auroc_kmean"], color="0.3", ls="--", lw=1, label=plain(reference))
        ax.set(xscale="log", xlabel=label)
        decades = np.log10(costs[column].max() / costs[column].min())
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if decades > 1.5 else (1, 2, 5)))   # or they would touch
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("AUROC of the K-mean probability")
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    sns.despine(fig)
    return finish(fig, f"What a better AUROC costs\n{n}".strip(), synthetic)
