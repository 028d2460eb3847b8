"""Where a nodule lies, and what radiologists see in it: the chest slice with its frames, and nodules with captions."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from namd.evaluation.figures.plots import COLOURS, finish, look, picture

LUNG_HU = (-1000, 400)


@look()
def chest_and_crop(hu, centre, crop, mm_per_px, seen_px, title="", synthetic=True):
    """A whole slice with a frame around the tile that is stored and one around what the models see; then that, large.

    Args:
        hu: (H, W) HU; centre: column and row of the nodule in it; crop: (h, w) HU, the stored tile around the nodule.
        mm_per_px: of both; seen_px: side of what the models see, in the middle of the tile.
    """
    fig, (whole, large) = plt.subplots(1, 2, figsize=(9.4, 4.1), layout="constrained", width_ratios=[1.45, 1])
    rows = slice(int(.14 * len(hu)), int(.9 * len(hu)))
    picture(whole, hu[rows], *LUNG_HU)
    whole.set_box_aspect((rows.stop - rows.start) / hu.shape[1])
    column = centre[0]
    row = centre[1] - rows.start
    for side, colour, style in ((len(crop), COLOURS[0], "--"), (seen_px, COLOURS[1], "-")):
        whole.add_patch(Rectangle((column - side / 2, row - side / 2), side, side, fill=False, ec=colour, lw=1.8,
                                  ls=style))
    whole.set_title(f"a slice of {mm_per_px * hu.shape[1] / 10:.0f} cm; the stored tile (dashed)", fontsize=10)
    for x, words in ((.02, "patient's right"), (.98, "patient's left")):
        whole.text(x, .03, words, transform=whole.transAxes, color="1", fontsize=8, ha="left" if x < .5 else "right")
    start = (len(crop) - seen_px) // 2
    part = np.asarray(crop)[start:start + seen_px, start:start + seen_px]
    picture(large, part, *LUNG_HU)
    for edge in large.spines.values():
        edge.set(visible=True, color=COLOURS[1], lw=2.5)
    large.plot([4, 4 + 10 / mm_per_px], [seen_px - 5] * 2, color="1", lw=3)
    large.text(4, seen_px - 7, "10 mm", color="1", fontsize=9)
    large.set_title(f"what the models see, {mm_per_px * seen_px:.1f} mm", fontsize=10)
    return finish(fig, title, synthetic)


@look()
def captioned(images, captions, n_cols, title="", synthetic=True):
    """Images (H, W) in [-1, 1], each with a caption of a few short lines below it, n_cols a row."""
    n_rows = -(-len(images) // n_cols)
    fig, axes = plt.subplots(n_rows, n_cols, figsize=(1.72 * n_cols, 2.3 * n_rows + .3), squeeze=False,
                             layout="constrained")
    for ax in axes.flat:
        picture(ax, None)
    for ax, image, caption in zip(axes.flat, images, captions, strict=False):
        picture(ax, image)
        ax.set_xlabel(caption, fontsize=8.5)
    return finish(fig, title, synthetic)


@look()
def readers(table, n, title="", synthetic=True):
    """AUROC of each reader with the interval of its difference to NAMD; squares read the record, dots an image.

    Args:
        table: columns row, name, value, low, high, record (whether it reads that), best first; n: test patients.
    """
    fig, ax = plt.subplots(figsize=(8.6, .36 * len(table) + 1.1), layout="constrained")
    where = np.arange(len(table))[::-1]
    for y, line in zip(where, table.itertuples(), strict=True):
        own = line.row == "namd"
        mark, colour = ("D", COLOURS[1]) if own else ("s", COLOURS[2]) if line.record else ("o", COLOURS[0])
        ax.plot([line.low, line.high], [y, y], color="0.55", lw=2)
        ax.plot(line.value, y, mark, color=colour, ms=8, ls="")
        ax.text(table["high"].max() + .006, y, f"{line.value:.3f}", va="center", fontsize=9.5,
                fontweight="bold" if own else "normal")
    own = table.loc[table["row"] == "namd", "value"]
    if len(own):
        ax.axvline(own.iloc[0], color=COLOURS[1], ls="--", lw=1)
    for mark, colour, words in (("s", COLOURS[2], "reads the record"), ("o", COLOURS[0], "reads an image alone"),
                                ("D", COLOURS[1], "reads NAMD's drawing")):
        ax.plot([], [], mark, color=colour, label=words)
    ax.legend(loc="lower right", bbox_to_anchor=(.92, 0), fontsize=8.5, frameon=False)
    ax.set(yticks=where, yticklabels=table["name"], ylim=(-.6, len(table) - .4),
           xlabel=f"AUROC, n = {n} test patients; bars: 95 % of the difference to NAMD's drawing")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return finish(fig, title, synthetic)
