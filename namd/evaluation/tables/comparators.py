"""What notebook 08 adds to Table 1: the compared systems' change on validation data, their cost beside their AUROC."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from namd.evaluation.figures.plots import COLOURS, finish
from namd.evaluation.stats import intervals, metrics

# a row with the record and nothing else of NAMD: the row without
RECORD_CONTROLS = {"sd15_report": "sd15", "imageflownet_record": "imageflownet"}


def change_on_validation(makers, x1, x2, ehr, seeds):
    """How well each row forecasts the change, before any test image is opened.

    Args:
        makers: {row: () -> fitted Forecaster}; x1, x2: (N, 1, S, S) of the validation split; ehr: its N records;
            seeds: K integers.

    Returns:
        DataFrame indexed by row: delta_rmae (0 perfect, 2 a copy), psnr (dB), each the mean over runs and nodules, and
        spread, the mean over pixels of the standard deviation between two runs (0 where a row is deterministic).

    Source: ours, because a row that forecasts less than the mean image was trained badly and may not be printed.
    """
    table = {}
    for row, make in makers.items():
        x2_hat = make().sample(x1, ehr, seeds)
        table[row] = dict(delta_rmae=np.mean([metrics.delta_rmae(x1, x2, run).mean() for run in x2_hat]),
                          psnr=np.mean([np.mean(metrics.psnr(run, x2)) for run in x2_hat]),
                          spread=float(x2_hat.std(0, correction=0).mean()))
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("row")


def against_best(label, prob, systems, counts):
    """NAMD minus the best compared system, for the ledger.

    Args:
        label: (N,); prob: {row: (K, N)} with namd and the rows `systems`; counts: (n_boot, N).

    Returns:
        DataFrame quantity (AUROC), row (the best one), value, low, high (95 %).

    Source: ours. Every resample picks its own best, so that the interval knows of the choice.
    """
    rows = ["namd", *systems]
    mean = {row: metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in rows}
    draws = {row: intervals.auroc_draws(label, prob[row], counts) for row in rows}
    best = max(systems, key=mean.get)
    low, high = intervals.percentile_interval(draws["namd"] - np.max([draws[row] for row in systems], axis=0))
    return pd.DataFrame([dict(quantity="AUROC", row=best, value=mean["namd"] - mean[best], low=low, high=high)])


def record_controls(label, prob, counts):
    """Is it the record or is it NAMD? Both steps from a system without the record to NAMD, for the ledger.

    Args:
        label: (N,); prob: {row: (K, N)}; counts: (n_boot, N); controls whose rows are missing are left out.

    Returns:
        DataFrame row, beside, quantity (AUROC), value (row - beside, each the mean over runs), low, high (95 %): NAMD
        beside each control of RECORD_CONTROLS, then the control beside the system that it was made from.

    Source: ours, because a row without the record cannot tell what the record is worth from what NAMD is worth.
    """
    there = {control: without for control, without in RECORD_CONTROLS.items() if {control, without} <= prob.keys()}
    steps = [step for control, without in there.items() for step in (("namd", control), (control, without))]
    return pd.DataFrame([_difference(label, prob, counts, *step) for step in steps],
                        columns=["row", "beside", "quantity", "value", "low", "high"])


def _difference(label, prob, counts, row, beside):
    """One line of `record_controls`."""
    means = [metrics.over_runs(metrics.auroc, label, prob[name])[0] for name in (row, beside)]
    draws = [intervals.auroc_draws(label, prob[name], counts) for name in (row, beside)]
    low, high = intervals.percentile_interval(draws[0] - draws[1])
    return dict(row=row, beside=beside, quantity="AUROC", value=means[0] - means[1], low=low, high=high)


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


def cost_against_auroc(table, costs, title="", synthetic=False, reference="real baseline"):
    """AUROC of the K-mean probability against what a follow-up and a training cost, with intervals over patients.

    Args:
        table: DataFrame of table1.diagnosis_columns, indexed by row, with the row `reference` (dashed).
        costs: DataFrame of systems.costs, indexed by row: the rows to draw.
    """
    colours = sns.color_palette("dark")             # each at least 3 : 1 against white, the thin lines too
    names = {"flop": "FLOP a follow-up", "parameters": "parameters", "train_seconds": "training, s"}
    fig, axes = plt.subplots(1, 3, figsize=(11, 4.4), sharey=True, layout="constrained")
    costs, shown = costs.assign(flop=costs["gflops"] * 1e9), table.loc[costs.index]
    value = shown["auroc_kmean"].to_numpy()
    reach = np.abs(shown[["auroc_low", "auroc_high"]].to_numpy().T - value)
    for ax, (column, label) in zip(axes, names.items(), strict=True):
        for i, row in enumerate(costs.index):
            ax.errorbar(costs.loc[row, column], value[i], yerr=reach[:, [i]], fmt="os^Dv<>pP*X"[i % 11], ms=7,
                        mfc="none", color=colours[i % len(colours)], lw=1, label=row)   # open: none hides another
        ax.axhline(table.loc[reference, "auroc_kmean"], color="0.3", ls="--", lw=1)
        ax.set(xscale="log", xlabel=label)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("AUROC of the K-mean probability")
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    sns.despine(fig)
    return finish(fig, title, synthetic)
