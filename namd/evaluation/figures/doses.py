"""Dose curves: what a trained arm is worth as one of its parameters grows."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, finish, look


@look()
def dose_curves(table, reference, title="", synthetic=False):
    """One axes for each quantity (rows) and parameter (columns); table: rows of tables.doses.against.

    The dose axis is logarithmic with 0 at its left end; a ring marks the reference.
    """
    quantities = table["quantity"].unique()
    parameters = table["parameter"].unique()
    size = (4.2 * len(parameters), 2.6 * len(quantities) + 0.4)
    fig, axes = plt.subplots(len(quantities), len(parameters), figsize=size, squeeze=False, sharex="col", sharey="row",
                             layout="constrained")
    for line, quantity in zip(axes, quantities, strict=True):
        for ax, parameter in zip(line, parameters, strict=True):
            _curve(ax, table[(table["quantity"] == quantity) & (table["parameter"] == parameter)], reference)
        line[0].set_ylabel(f"{quantity}, arm - {reference}")
    for ax, parameter in zip(axes[-1], parameters, strict=True):
        ax.set_xlabel(parameter)
    sns.despine(fig)
    return finish(fig, title, synthetic)


def _curve(ax, points, reference):
    """Points of one curve with their bars; evenly spaced doses would hide the scale, so 0 gets a place of its own."""
    dose = points["dose"].to_numpy()
    smallest = dose[dose > 0].min()
    x = np.where(dose > 0, dose, smallest / 5)
    reach = np.abs(points[["low", "high"]].to_numpy().T - points["value"].to_numpy())
    ax.errorbar(x, points["value"], reach, fmt="o-", ms=4, lw=1.2, capsize=3, color=COLOURS[0], ecolor="0.45")
    own = (points["arm"] == reference).to_numpy()
    ax.plot(x[own], points["value"][own], "o", ms=10, mfc="none", color=COLOURS[1])
    ax.set_xscale("log")
    ax.set_xticks(x, [f"{value:g}" for value in dose])
    ax.minorticks_off()
    ax.axhline(0, color="0.3", ls="--", lw=1)
