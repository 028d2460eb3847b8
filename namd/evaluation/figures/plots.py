"""Plots that several notebooks draw. Arrays in, matplotlib Figure out; nothing is computed from a model here."""

from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patheffects import withStroke

COLOURS = sns.color_palette("colorblind")
LABELS = ("benign", "malignant")
LABEL_COLOURS = (COLOURS[0], COLOURS[1])
INK = "0.1"             # of lines that stand before all others


@contextmanager
def look():
    """The look of the study's figures: `with look():` around what draws, shows or saves one, or `@look()` above it.

    Source: ours, because a look set at import would be inherited by whatever else the process draws.
    """
    with plt.rc_context():
        plt.rcdefaults()      # not the matplotlibrc of who runs it
        sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.85, color_codes=False)
        plt.rcParams.update({"figure.dpi": 100, "axes.titlesize": "medium", "image.interpolation": "nearest"})
        yield


@look()
def finish(fig, title="", synthetic=False):
    """Title and, for phantom data, the words `phantom data` in the lower right corner."""
    if title:
        fig.suptitle(title, fontsize="medium")
    if synthetic:
        fig.supxlabel("phantom data", x=0.995, ha="right", fontsize=8, color="0.4", style="italic")
    return fig


def picture(ax, image, vmin=-1, vmax=1, cmap="gray"):
    """One image without ticks; None leaves the axes blank."""
    ax.set(xticks=[], yticks=[])
    ax.set_box_aspect(1)
    sns.despine(ax=ax, left=True, bottom=True)
    return None if image is None else ax.imshow(np.asarray(image, dtype=float), cmap=cmap, vmin=vmin, vmax=vmax)


def scale_bar(ax, mm_per_px, mm=10, colour="1"):
    """A bar of so many mm in the lower left corner of an image whose axes count pixels."""
    bottom, top = ax.get_ylim()                             # of an image, bottom > top
    side = bottom - top
    edge = [withStroke(linewidth=2.5, foreground="0")]     # legible before a rib, too
    ax.plot([0.06 * side, 0.06 * side + mm / mm_per_px], [top + 0.94 * side] * 2, color=colour, lw=1.5,
            path_effects=edge)
    ax.text(0.06 * side, top + 0.9 * side, f"{mm} mm", color=colour, fontsize=7, path_effects=edge)


@look()
def image_grid(rows, col_titles=(), row_titles=(), title="", synthetic=False, mm_per_px=None, difference=None):
    """Images in rows; rows: list of lists of (H, W) float in [-1, 1], None leaves a gap.

    Args:
        mm_per_px: where all images have one scale, the first of them gets a bar of 10 mm; difference: what the last
            column shows, red above 0 and blue below, with a colour bar of that name.
    """
    n_cols = max(len(row) for row in rows)
    size = (1.25 * n_cols + 0.4, 1.25 * len(rows) + 0.6)
    fig, axes = plt.subplots(len(rows), n_cols, figsize=size, squeeze=False, layout="constrained")
    for line, row in zip(axes, rows, strict=True):
        gaps = [None] * (n_cols - len(row))
        for ax, image in zip(line, [*row, *gaps], strict=True):
            last = difference and ax is line[-1]
            drawn = picture(ax, image, cmap="RdBu_r" if last else "gray")
    if difference:
        fig.colorbar(drawn, ax=axes[:, -1], shrink=0.6, label=difference)
    if mm_per_px:
        scale_bar(axes[0, 0], mm_per_px)
    for ax, text in zip(axes[0], col_titles, strict=False):
        ax.set_title(text, fontsize=9)
    for ax, text in zip(axes[:, 0], row_titles, strict=False):
        ax.set_ylabel(text, fontsize=9)
    return finish(fig, title, synthetic)


@look()
def training_curves(history, columns, title="", synthetic=False):
    """One axes per column of a training history against its `step` column, three a row; NaN rows are skipped."""
    width = min(3, len(columns))
    height = -(-len(columns) // width)
    size = (3.2 * width, 2.6 * height)
    fig, axes = plt.subplots(height, width, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat[len(columns):]:
        ax.remove()
    for ax, column in zip(axes.flat, columns, strict=False):
        kept = history[["step", column]].dropna()
        ax.plot(kept["step"], kept[column], color=COLOURS[0], lw=1.2, marker="o" if len(kept) < 20 else "", ms=3)
        ax.set(xlabel="training step", ylabel=column)
        sns.despine(ax=ax)
    return finish(fig, title, synthetic)


@look()
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


@look()
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


@look()
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


@look()
def spectrum(frequency, ratio, cut_off, title="", synthetic=False):
    """Power of decoded images over that of real ones by frequency, log scale; the latent holds what is left of cut_off.

    Args:
        frequency: (n,) cycles a pixel; ratio: (n,); cut_off: cycles a pixel.
    """
    fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
    ax.axvspan(0, cut_off, color="0.92", lw=0)
    ax.axhline(1, color="0.5", ls="--", lw=1)
    ax.semilogy(frequency, ratio, color=COLOURS[0])
    ax.set(xlabel="frequency (cycles a pixel)", ylabel="power, decoded / real", xlim=(0, frequency[-1]))
    sns.despine(ax=ax)
    return finish(fig, title, synthetic)
