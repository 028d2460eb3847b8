"""Every plot longer than eight lines. Arrays in, matplotlib Figure out; nothing is computed from a model here."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from namd.evaluation.variance import EDGES, REGIMES

sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.85)
plt.rcParams.update({"figure.dpi": 100, "axes.titlesize": "medium", "image.interpolation": "nearest"})

COLOURS = sns.color_palette("colorblind")
LABELS = ("benign", "malignant")
LABEL_COLOURS = (COLOURS[0], COLOURS[1])
REGIME_COLOURS = dict(zip(REGIMES, (COLOURS[2], COLOURS[4], COLOURS[3]), strict=True))


def finish(fig, title="", synthetic=False):
    """Title and, for phantom data, the words `phantom data` in the lower right corner."""
    if title:
        fig.suptitle(title, fontsize="medium")
    if synthetic:
        fig.supxlabel("phantom data", x=0.995, ha="right", fontsize=8, color="0.4", style="italic")
    return fig


def _picture(ax, image, vmin=-1, vmax=1, cmap="gray"):
    """One image without ticks; None leaves the axes blank."""
    ax.set(xticks=[], yticks=[])
    ax.set_box_aspect(1)
    sns.despine(ax=ax, left=True, bottom=True)
    return None if image is None else ax.imshow(np.asarray(image, dtype=float), cmap=cmap, vmin=vmin, vmax=vmax)


def image_grid(rows, col_titles=(), row_titles=(), title="", synthetic=False):
    """Images in rows; rows: list of lists of (H, W) float in [-1, 1], None leaves a gap."""
    n_cols = max(len(row) for row in rows)
    size = (1.25 * n_cols + 0.4, 1.25 * len(rows) + 0.6)
    fig, axes = plt.subplots(len(rows), n_cols, figsize=size, squeeze=False, layout="constrained")
    for i, row in enumerate(rows):
        for j in range(n_cols):
            _picture(axes[i, j], row[j] if j < len(row) else None)
    for ax, text in zip(axes[0], col_titles, strict=False):
        ax.set_title(text, fontsize=9)
    for ax, text in zip(axes[:, 0], row_titles, strict=False):
        ax.set_ylabel(text, fontsize=9)
    return finish(fig, title, synthetic)


def training_curves(history, columns, title="", synthetic=False):
    """One axes per column of a training history against its `step` column; NaN rows are skipped."""
    size = (3.2 * len(columns), 2.6)
    fig, axes = plt.subplots(1, len(columns), figsize=size, squeeze=False, layout="constrained")
    for ax, column in zip(axes[0], columns, strict=True):
        kept = history[["step", column]].dropna()
        ax.plot(kept["step"], kept[column], color=COLOURS[0], lw=1.2, marker="o" if len(kept) < 20 else "", ms=3)
        ax.set(xlabel="training step", ylabel=column)
        sns.despine(ax=ax)
    return finish(fig, title, synthetic)


def matrices(mats, titles, title="", synthetic=False):
    """Small (B, B) matrices side by side with their values, one colour scale; axes count the samples from 1."""
    mats = [np.asarray(m, dtype=float) for m in mats]
    fig, axes = plt.subplots(1, len(mats), figsize=(3.1 * len(mats), 2.9), squeeze=False, layout="constrained")
    high = max(np.nanmax(m) for m in mats)
    for ax, mat, text in zip(axes[0], mats, titles, strict=True):
        numbers = np.arange(1, len(mat) + 1)
        sns.heatmap(mat, ax=ax, vmin=0, vmax=high, cmap="viridis", square=True, cbar=False, annot=len(mat) <= 8,
                    fmt=".2f", xticklabels=numbers, yticklabels=numbers)
        ax.set(title=text, xlabel="nodule j", ylabel="nodule i")
    return finish(fig, title, synthetic)


def forest(table, xlabel, title="", reference=None, synthetic=False):
    """Values with their intervals, one per line; table: columns row, value, low, high. `reference`: dashed line."""
    fig, ax = plt.subplots(figsize=(6.2, 0.42 * len(table) + 1.2), layout="constrained")
    where = np.arange(len(table))[::-1]
    value = table["value"].to_numpy(dtype=float)
    reach = np.abs(table[["low", "high"]].to_numpy(dtype=float).T - value)
    ax.errorbar(value, where, xerr=reach, fmt="o", color=COLOURS[0], ecolor="0.45", capsize=3, ms=5)
    if reference is not None:
        ax.axvline(reference, color="0.3", ls="--", lw=1)
    ax.set(yticks=where, yticklabels=table["row"], xlabel=xlabel, ylim=(-0.6, len(table) - 0.4))
    sns.despine(ax=ax)
    return finish(fig, title, synthetic)


def latent_maps(maps, diameter_mm, names, scores=None, title="", synthetic=False):
    """Figure 2: 2-D maps of test latents side by side, coloured by longest diameter in mm (log scale).

    Args:
        maps: list of (N, 2) float. names, scores: one text for each map; scores go below the name.
    """
    fig, axes = plt.subplots(1, len(maps), figsize=(4.1 * len(maps) + 0.8, 4.0), squeeze=False, layout="constrained")
    low, high = np.nanpercentile(diameter_mm, [2, 98])
    norm = plt.matplotlib.colors.LogNorm(low, high)
    for i, (ax, points) in enumerate(zip(axes[0], maps, strict=True)):
        dots = ax.scatter(*np.asarray(points).T, c=diameter_mm, cmap="viridis", norm=norm, s=11, lw=0)
        ax.set(title=names[i] + (f"\n{scores[i]}" if scores else ""), xlabel="t-SNE 1", ylabel="t-SNE 2")
        ax.set(xticks=[], yticks=[])
    bar = fig.colorbar(dots, ax=axes, shrink=0.8, label="longest diameter (mm)", extend="both")
    ticks = [t for t in (4, 5, 6, 8, 10, 12, 15, 20, 25, 30) if low <= t <= high]
    bar.set_ticks(ticks, labels=[str(t) for t in ticks])
    bar.minorticks_off()
    return finish(fig, f"{title} (n = {len(diameter_mm)})", synthetic)


def error_and_variance(table, regime, error_cut, var_cut, k_runs, synthetic=False):
    """Figure 3, left: error against variance with the regimes and the ceiling of Var(p); variance by label.

    Args:
        table: columns label, prob_mean, prob_var, error (`variance.spread`). regime: (N,) of REGIMES.
    """
    fig, (ax, low) = plt.subplots(2, 1, figsize=(8.4, 6.2), height_ratios=[3, 2], layout="constrained")
    for name, colour in REGIME_COLOURS.items():
        for label, marker in ((0, "o"), (1, "^")):
            kept = table[(regime == name) & (table["label"] == label)]
            text = f"{name}, {LABELS[label]} ({len(kept)})"
            ax.scatter(kept["error"], kept["prob_var"], s=14 + 14 * label, marker=marker, color=colour,
                       ec="k" if label else "none", lw=0.4, alpha=0.75, label=text)
    grid = np.linspace(0, 1, 101)
    ceiling = k_runs / (k_runs - 1) * grid * (1 - grid)
    ax.plot(grid, ceiling, color="0.4", lw=1, ls=":", label="ceiling, error (1 - error) K / (K - 1)")
    ax.axhline(var_cut, color="0.6", lw=0.8, ls="--")
    ax.plot([error_cut, error_cut], [0, var_cut], color="0.6", lw=0.8, ls="--")
    ax.set(xlabel="prediction error |L - mean p|", ylabel="predictive variance Var(p)", xlim=(-0.02, 1.02),
           ylim=(-0.02 * table["prob_var"].max(), 1.08 * table["prob_var"].max() + 1e-9))
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    order = [f"{LABELS[v]} (n = {int((table['label'] == v).sum())})" for v in (0, 1)]
    named = table.assign(label=[order[v] for v in table["label"]])
    sns.stripplot(named, x="prob_var", y="label", hue="label", order=order, hue_order=order, palette=LABEL_COLOURS,
                  size=2.5, alpha=0.5, ax=low, legend=False)
    sns.boxplot(named, x="prob_var", y="label", order=order, fill=False, color="0.2", fliersize=0, width=0.5, ax=low)
    low.set(xlabel="predictive variance Var(p)", ylabel="")
    sns.despine(fig)
    return finish(fig, f"Error and variance over K = {k_runs} runs, n = {len(table)} test nodules", synthetic)


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
        filled = "samples" in case
        runs = np.asarray(case["samples"], dtype=float) if filled else None
        pictures = [case["x1"], case["x2"], *runs[:n_shown]] if filled else [None] * (len(heads) - 2)
        for ax, image in zip(row, [*pictures, *[None] * (len(heads) - 2 - len(pictures))], strict=False):
            _picture(ax, image)
        error = np.abs(runs - np.asarray(case["x2"], dtype=float)).mean(0) if filled else None
        variance = _picture(row[-2], runs.var(0, ddof=1) if filled else None, 0, top, "magma")
        mean_error = _picture(row[-1], error, 0, 1, "magma")
        row[0].set_ylabel(f"{case['name']}\n{case['note']}", rotation=0, ha="right", va="center", fontsize=8)
        if filled:
            bars = (variance, mean_error)
    for ax, text in zip(axes[0], heads, strict=True):
        ax.set_title(text, fontsize=9)
    for j, bar in zip((-2, -1), bars, strict=True):
        fig.colorbar(bar, ax=axes[:, j], orientation="horizontal", shrink=0.9, pad=0.01)
    return finish(fig, f"Six cases; maps over K = {k_runs} runs, image scale [-1, 1]", synthetic)


def radial_profile(profile, title="", edges=EDGES, synthetic=False):
    """Pixel-wise variance by distance from the nodule's boundary: mean over nodules with its 95 % interval.

    Args:
        profile: {name: (N, len(edges) + 1)}, NaN where a ring lies outside the image.
    """
    fig, ax = plt.subplots(figsize=(5.8, 3.5), layout="constrained")
    names = [f"< {edges[0]:g}", *[f"{a:g} - {b:g}" for a, b in zip(edges, edges[1:], strict=False)], f"> {edges[-1]:g}"]
    for i, (name, rings) in enumerate(profile.items()):
        rings = pd.DataFrame(rings)
        shift = 0.08 * (i - (len(profile) - 1) / 2)
        ax.errorbar(np.arange(len(names)) + shift, rings.mean(), yerr=1.96 * rings.sem(), marker="o", capsize=3,
                    color=COLOURS[i], label=f"{name} (n = {len(rings)})")
    ax.axvspan(1.5, 2.5, color="0.93", zorder=0, label="ring of the boundary, r = R")
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel="distance from the centre in nodule radii, r / R", ylabel="pixel-wise variance", ylim=(0, None))
    ax.legend(fontsize=8)
    sns.despine(fig)
    return finish(fig, title, synthetic)


def running_variance(running, share, k_paper=20, title="", synthetic=False):
    """Figure 5: variance of the first k probabilities, one curve a nodule; below, the share that has settled.

    Args:
        running: (K, N) float. share: {name: (K,)} in [0, 1].
    """
    fig, (ax, low) = plt.subplots(2, 1, figsize=(6.0, 5.6), height_ratios=[3, 2], sharex=True, layout="constrained")
    k = np.arange(1, len(running) + 1)
    ax.plot(k, running, color=COLOURS[0], lw=0.8, alpha=0.45)
    ax.plot(k, running.mean(1), color="k", lw=2, label="mean over nodules")
    ax.set(ylabel="running variance of p", title=title)
    for i, (name, values) in enumerate(share.items()):
        low.plot(k[: len(values)], values, color=COLOURS[i + 1], marker=".", label=name)
    low.axhline(0.5, color="0.6", lw=0.8, ls=":")
    low.set(xlabel="number of runs K", ylabel="share of nodules settled", ylim=(-0.03, 1.05))
    for axes in (ax, low):
        axes.axvline(k_paper, color="0.4", lw=1, ls="--", label=f"the paper's K = {k_paper}")
        axes.legend(fontsize=8)
    sns.despine(fig)
    return finish(fig, "", synthetic)
