"""The two pictures of one predicted nodule: its drawn follow-ups, and their mean and spread in HU."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke

from namd.data.images import MM_PER_PX
from namd.evaluation.figures.plots import INK, finish, image_grid, look

N_SHOWN = 20
SCALE_MM = 10


@look()
def follow_up_grid(x1, x2_hat, prob, prob_x1, heading):
    """Baseline, up to 20 draws, and the mean and spread of all K; each image with its probability of malignancy.

    Args:
        x1: (S, S) and x2_hat: (K, S, S) float in [-1, 1]; prob: (K,) and prob_x1: of the draws and the baseline.
        heading: text above.
    """
    k_runs = len(x2_hat)
    cells = [x1, *x2_hat[:N_SHOWN]]
    titles = [f"baseline: p = {prob_x1:.2f}"]
    for k, p in enumerate(prob[:N_SHOWN], 1):
        titles.append(f"draw {k}: p = {p:.2f}")
    if k_runs > 1:
        cells += [x2_hat.mean(0), None]
        titles += [f"mean of {k_runs}", "spread"]
    n_cols = min((6, 7, 5, 4), key=lambda n: -len(cells) % n)      # the fewest empty cells
    fig = image_grid([cells[i:i + n_cols] for i in range(0, len(cells), n_cols)])
    fig.set_size_inches(1.55 * max(4, min(n_cols, len(cells))), 1.75 * math.ceil(len(cells) / n_cols) + 0.8)
    for ax, text in zip(fig.axes, titles, strict=False):
        ax.set_title(text, fontsize=9)
    if k_runs > 1:
        fig.axes[len(cells) - 1].imshow(x2_hat.std(0, ddof=1), cmap="magma", vmin=0)
    _scale_bar(fig.axes[0], x1.shape[0])
    return finish(fig, f"{heading}\np: the judge's probability of malignancy")


@look()
def spread_maps(crop, x1_hu, x2_hu, window, heading):
    """Where the nodule lies, the baseline, the mean follow-up, its change and the spread of the draws, all in HU.

    Args:
        crop: (128, 128) HU around the nodule; x1_hu: (S, S) and x2_hu: (K, S, S) HU, as the models see and draw them.
        window: (low, high) HU of the grey scale; heading: text above.
    """
    k_runs = len(x2_hu)
    side = x1_hu.shape[0]
    mean = x2_hu.mean(0)
    reach = np.percentile(np.abs(mean - x1_hu), 99.5)
    grey = dict(cmap="gray", vmin=window[0], vmax=window[1])
    panels = [
        (crop, f"scan, {len(crop) * MM_PER_PX:.0f} mm", grey), (x1_hu, f"baseline, {side * MM_PER_PX:.0f} mm", grey),
        (mean, f"mean of {k_runs} follow-up{'s' * (k_runs > 1)}", grey),
        (mean - x1_hu, "mean - baseline", dict(cmap="RdBu_r", vmin=-reach, vmax=reach)),
    ]
    if k_runs > 1:
        panels.append((x2_hu.std(0, ddof=1), "spread: SD, root of the variance", dict(cmap="magma", vmin=0)))
    fig, axes = plt.subplots(1, len(panels), figsize=(2.7 * len(panels), 4.1), layout="constrained")
    for ax, (image, title, scale) in zip(axes, panels, strict=True):
        shown = ax.imshow(image, **scale)
        ax.set(title=title, xticks=[], yticks=[])
        fig.colorbar(shown, ax=ax, orientation="horizontal", shrink=0.85, label="HU")
    corner = (len(crop) - side) / 2 - 0.5
    axes[0].add_patch(plt.Rectangle((corner, corner), side, side, fill=False, ec="gold", lw=1.2))
    for ax in axes[:2]:
        _scale_bar(ax, ax.images[0].get_array().shape[0])
    return finish(fig, heading)


def to_hu(x, window):
    """Images in [-1, 1] as HU, for a window (low, high)."""
    return (np.asarray(x, dtype=np.float32) + 1) / 2 * (window[1] - window[0]) + window[0]


def _scale_bar(ax, side):
    """A bar of 10 mm in the lower left corner."""
    start = 0.06 * side
    level = 0.93 * side
    edge = [withStroke(linewidth=2, foreground=INK)]
    ax.plot([start, start + SCALE_MM / MM_PER_PX], [level, level], color="gold", lw=2, path_effects=edge)
    ax.text(start, level - 0.03 * side, f"{SCALE_MM} mm", color="gold", fontsize=8, va="bottom", path_effects=edge)
