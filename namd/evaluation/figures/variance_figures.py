"""Figures 3 and 5 and what Section 4.3 only says in words. Arrays in, matplotlib Figure out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import LogLocator, NullLocator

from namd.data.images import MM_PER_PX
from namd.evaluation.figures.plots import COLOURS, INK, LABEL_COLOURS, LABELS, finish, look, picture, scale_bar
from namd.evaluation.stats.patients import error_of_mean
from namd.evaluation.stats.variance import REGIMES

REGIME_COLOURS = dict(zip(REGIMES, (COLOURS[2], COLOURS[4], COLOURS[3]), strict=True))


@look()
def error_and_variance(table, regime, error_cut, var_cut, k_runs, synthetic=False):
    """Figure 3, left: error against variance with regimes and ceiling; beside it variance by label, same axis.

    The axis is a square root: the ceiling is an arch above the cloud, and what lies near 0 keeps apart.

    Args:
        table: columns label, prob_mean, prob_var, error (`variance.spread`). regime: (N,) of REGIMES.
    """
    fig, (ax, side) = plt.subplots(1, 2, figsize=(9.4, 5.2), width_ratios=[3, 1.5], sharey=True, layout="constrained")
    for name, colour in REGIME_COLOURS.items():
        for label, marker in ((0, "o"), (1, "^")):
            kept = table[(regime == name) & (table["label"] == label)]
            text = f"{name}, {LABELS[label]} ({len(kept)})"
            ax.scatter(kept["error"], kept["prob_var"], s=14 + 14 * label, marker=marker, color=colour,
                       ec=INK if label else "none", lw=0.4, alpha=0.75, label=text)
    grid = np.linspace(0, 1, 101)
    ceiling = k_runs / (k_runs - 1) * grid * (1 - grid)
    ax.plot(grid, ceiling, color="0.4", lw=1, ls=":", label="ceiling, error (1 - error) K / (K - 1)")
    ax.plot([error_cut, error_cut], [0, var_cut], color="0.6", lw=0.8, ls="--")
    _variance_by_label(side, table)
    ax.set_yscale("function", functions=(np.sqrt, np.square))
    ax.set(xlabel="prediction error |L - mean p|", ylabel="predictive variance Var(p), square-root axis",
           xlim=(-0.02, 1.02), ylim=(0, 1.1 * ceiling.max()), yticks=[0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3])
    ax.yaxis.set_major_formatter("{x:g}")
    for axes in (ax, side):
        axes.axhline(var_cut, color="0.6", lw=0.8, ls="--")
    fig.legend(*ax.get_legend_handles_labels(), fontsize=8, loc="outside lower left", ncols=4, frameon=False,
               columnspacing=1)
    sns.despine(fig)
    n = f"K = {k_runs} runs, n = {len(table)} test nodules"
    return finish(fig, f"How wrong the mean is, and how far the runs disagree\n{n}", synthetic)


def _variance_by_label(ax, table):
    """Figure 3, left bottom: every nodule and the box of its label."""
    order = [f"{LABELS[v]}\n(n = {int((table['label'] == v).sum())})" for v in (0, 1)]
    named = table.assign(label=[order[v] for v in table["label"]])
    sns.stripplot(named, x="label", y="prob_var", hue="label", order=order, hue_order=order, palette=LABEL_COLOURS,
                  size=2.5, alpha=0.4, jitter=0.25, ax=ax, legend=False)
    sns.boxplot(named, x="label", y="prob_var", order=order, fill=False, color="0.15", fliersize=0, width=0.65, ax=ax)
    ax.set(xlabel="true label", ylabel="")


@look()
def case_panel(cases, k_runs, n_shown=3, synthetic=False):
    """Figure 3, right: one row a case; x1, x2, samples, pixel-wise variance and mean error over the runs.

    Args:
        cases: list of dict name, note (text) and x1, x2 (H, W), samples (K, H, W); without samples the row is blank.
    """
    heads = ["baseline x1", "follow-up x2", *[f"sample {k + 1}" for k in range(n_shown)], "variance", "mean error"]
    size = (1.3 * len(heads) + 2.3, 1.3 * len(cases) + 0.9)
    fig, axes = plt.subplots(len(cases), len(heads), figsize=size, squeeze=False, layout="constrained")
    top = max(np.percentile(np.var(c["samples"], axis=0, ddof=1), 99.5) for c in cases if "samples" in c)
    for row, case in zip(axes, cases, strict=True):
        for ax in row:
            picture(ax, None)
        if "samples" in case:
            bars = _case(row, case, n_shown, top)
        row[0].set_ylabel(f"{case['name']}\n{case['note']}", rotation=0, ha="right", va="center", fontsize=8)
    for ax, text in zip(axes[0], heads, strict=True):
        ax.set_title(text, fontsize=9)
    for j, bar in zip((-2, -1), bars, strict=True):
        fig.colorbar(bar, ax=axes[:, j], orientation="horizontal", shrink=0.9, pad=0.01)
    full = next(ax for ax in axes[:, 0] if ax.images)
    scale_bar(full, MM_PER_PX)
    maps = f"maps over K = {k_runs} runs, in units of the window [-1, 1]"
    return finish(fig, f"Where the runs of six nodules disagree, and where they err\n{maps}", synthetic)


def _case(row, case, n_shown, top):
    """Draw one case; returns its images of variance and mean error, for their colour bars."""
    runs = np.asarray(case["samples"], dtype=float)
    for ax, image in zip(row, [case["x1"], case["x2"], *runs[:n_shown]], strict=False):
        picture(ax, image)
    error = np.abs(runs - np.asarray(case["x2"], dtype=float)).mean(0)
    variance = picture(row[-2], runs.var(0, ddof=1), 0, top, "magma")
    mean_error = picture(row[-1], error, 0, 1, "magma")
    return variance, mean_error


@look()
def boundary(profiles, edges, within, ring_mm, k_runs, synthetic=False):
    """Pixel variance by distance from the nodule's boundary; beside it the share of all variance near it.

    Args:
        profiles: {name: ((N, len(edges) - 1) of `boundary.profile`, (N,) patients)}; a bin is drawn where half of the
            nodules have pixels in it, mean and 95 % interval over patients. within: table of `boundary.share_within`.
    """
    fig, (ax, side) = plt.subplots(1, 2, figsize=(9.4, 3.9), width_ratios=[3, 2], layout="constrained")
    centre = (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2
    for i, (name, (values, patient)) in enumerate(profiles.items()):
        values = pd.DataFrame(values, index=patient).dropna(how="all")
        values = values.loc[:, values.notna().mean() >= 0.5]
        known = [column.dropna() for _, column in values.items()]
        half = [1.96 * error_of_mean(column, column.index) for column in known]
        ax.errorbar(centre[values.columns], values.mean(), yerr=half, marker="os^"[i % 3], ms=4, capsize=2,
                    color=COLOURS[i], label=f"{name} (n = {len(values)})")
    ax.axvspan(-ring_mm, ring_mm, color="0.92", zorder=0, label=f"ring, {ring_mm:g} mm on each side")
    ax.set(xlabel="distance from the boundary (mm), inside < 0", ylabel="pixel-wise variance", ylim=(0, None))
    side.plot(within["width"], within["share"], color=COLOURS[0], marker=".", label="share of the variance")
    side.fill_between(within["width"], within["low"], within["high"], color=COLOURS[0], alpha=0.25, lw=0)
    side.plot(within["width"], within["flat"], color="0.4", ls="--", label="share of the area (a flat map)")
    side.axvline(ring_mm, color="0.85", lw=4, zorder=0)
    side.axhline(0.5, color="0.6", lw=0.8, ls=":")
    side.set(xlabel="within this distance of the boundary (mm)", ylabel="share of the whole crop", ylim=(0, 1),
             xlim=(0, None))
    for axes in (ax, side):
        axes.legend(fontsize=8)
    sns.despine(fig)
    n = f"K = {k_runs} runs; bars and band 95 % over patients"
    return finish(fig, f"How the disagreement is spread around the nodule's boundary\n{n}", synthetic)


@look()
def running_variance(running, share, k_paper=20, synthetic=False):
    """Figure 5: variance of the first k probabilities, one curve a nodule; below, the share that has settled.

    Args:
        running: (K, N) float. share: {name: (K,)} in [0, 1].
    """
    fig, (ax, low) = plt.subplots(2, 1, figsize=(6.0, 5.6), height_ratios=[3, 2], sharex=True, layout="constrained")
    k = np.arange(1, len(running) + 1)
    ax.plot(k, running, color=COLOURS[0], lw=0.8, alpha=0.45)
    ax.plot(k, running.mean(1), color=INK, lw=2, label="mean over nodules")
    ax.set(ylabel="running variance of p")
    for i, (name, values) in enumerate(share.items()):
        style = dict(color=COLOURS[i + 1], ls=("-", "--")[i % 2], marker="o^"[i % 2], ms=4)
        low.plot(k[: len(values)], values, label=name, **style)
    low.axhline(0.5, color="0.6", lw=0.8, ls=":")
    low.set(xlabel="number of runs K", ylabel="share of nodules settled", ylim=(-0.03, 1.05))
    for axes in (ax, low):
        axes.axvline(k_paper, color="0.4", lw=1, ls="--", label=f"the paper's K = {k_paper}")
        axes.legend(fontsize=8)
    sns.despine(fig)
    n = f"n = {running.shape[1]} test nodules"
    return finish(fig, f"After how many runs does a nodule's variance stand still?\n{n}", synthetic)


@look()
def precision(panels, k_paper=20, synthetic=False):
    """Standard error of three quantities against the number of runs, both axes logarithmic.

    Args:
        panels: dicts with name, n (nodules), k and measured (dots), grid, line and law (a line and its name), target.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=(3.2 * len(panels), 3.4), layout="constrained")
    for ax, panel in zip(axes, panels, strict=True):
        ax.plot(panel["grid"], panel["line"], color="0.4", lw=1.2, label=panel["law"])
        ax.plot(panel["k"], panel["measured"], color=COLOURS[0], ls="", marker="o", ms=5, label="measured")
        ax.axhline(panel["target"], color=COLOURS[3], lw=1, ls="--", label=f"target {panel['target']:g}")
        ax.axvline(k_paper, color="0.7", lw=1, ls=":", label=f"the paper's K = {k_paper}")
        ax.set(xscale="log", yscale="log", xlabel="number of runs K", title=f"{panel['name']}\n(n = {panel['n']})")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        ax.legend(fontsize=7)
    axes[0].set_ylabel("standard error")
    sns.despine(fig)
    return finish(fig, "How many runs a stated precision takes", synthetic)


@look()
def referral(curves, n, synthetic=False):
    """AUROC and error rate of the nodules kept against the share referred; the first curve carries the band.

    Args:
        curves: {name of the order: table of `referral.referral_curve`}; dotted lines refer nodules at random.
    """
    first = next(iter(curves.values()))
    fig, axes = plt.subplots(1, 2, figsize=(8.8, 3.8), layout="constrained")
    for ax, column, what in zip(axes, ("auroc", "error"), ("AUROC", "share of wrong answers"), strict=True):
        for i, (name, curve) in enumerate(curves.items()):
            ax.plot(curve["share"], curve[column], color=COLOURS[i], ls="-" if i == 0 else "--", label=name)
        low = first[f"{column}_low"]
        high = first[f"{column}_high"]
        ax.fill_between(first["share"], low, high, color=COLOURS[0], alpha=0.2, lw=0)
        ax.axhline(first[column].iloc[0], color="0.3", ls=":", lw=1.2, label="referred at random")
        ax.set(xlabel="share of nodules referred", ylabel=f"{what}, nodules kept")
    axes[1].plot(first["share"], first["malignant"], color="0.5", ls="-.", label="calling each kept nodule benign")
    for ax in axes:
        ax.legend(fontsize=8)
    sns.despine(fig)
    title = "What is left when the most uncertain nodules are referred"
    return finish(fig, f"{title}\nn = {n} test nodules; band 95 % over patients", synthetic)
