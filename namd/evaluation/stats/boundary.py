"""Where K follow-ups disagree: distance from the nodule's boundary in mm (Section 4.3)."""

import numpy as np
import pandas as pd

from namd.data.images import MM_PER_PX
from namd.evaluation.stats.bootstrap import mean_draws, percentile_interval, with_itself

RING_MM = 1.8  # half the width of the boundary's ring: three pixels, about the thickness of a CT slice


def signed_distance(diameter_mm, size: int, mm_per_px: float = MM_PER_PX) -> np.ndarray:
    """Distance of each pixel from the nodule's boundary, negative inside: (N, size, size) float32, mm.

    Args:
        diameter_mm: (N,) float, mm, the square root of longest times perpendicular diameter; NaN gives NaN.
        size: pixels of the crop's side.

    Source: ours; the nodule is read as a disc around the crop's centre, on phantom data and NLST alike, because a
    record holds two diameters and neither an outline nor the direction of the longer one.
    """
    axis = np.arange(size) - (size - 1) / 2
    from_centre = mm_per_px * np.hypot(axis[:, None], axis[None, :])
    return (from_centre[None] - np.asarray(diameter_mm, dtype=float)[:, None, None] / 2).astype(np.float32)


def profile(maps, distance, edges) -> np.ndarray:
    """Mean of each map between consecutive distances from the boundary: (N, len(edges) - 1).

    Args:
        maps: (N, H, W) float, e.g. the pixel-wise variance over runs.
        distance: (N, H, W) float, mm (`signed_distance`).
        edges: increasing, mm; they may begin and end with infinity.

    Returns:
        In the unit of `maps`; NaN where a nodule has no pixel in a bin.

    Source: Section 4.3 says that variance sits along the boundary rather than in the interior.
    """
    maps = np.asarray(maps, dtype=float)
    distance = np.asarray(distance)
    out = np.full((len(maps), len(edges) - 1), np.nan)
    for i, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        inside = (distance >= low) & (distance < high)  # (N, H, W)
        count = inside.sum((1, 2))
        np.divide((maps * inside).sum((1, 2)), count, out=out[:, i], where=count > 0)
    return out


def share_within(maps, distance, widths, counts) -> pd.DataFrame:
    """Share of all variance that lies within some distance of the boundary, beside what a flat map would give.

    Args:
        maps: (N, H, W) float; distance: (N, H, W) float, mm; nodules with NaN distance are left out.
        widths: mm, on both sides of the boundary.
        counts: (n_boot, N) of `bootstrap.resample_counts`.

    Returns:
        One row a width: width (mm), share (summed over nodules, then divided), low, high, flat (share of the area),
        lead (share - flat), lead_low, lead_high; 95 % patient intervals.

    Source: Section 4.3, "predominantly concentrated along the boundary"; the paper gives no number.
    """
    maps = np.asarray(maps, dtype=float)
    counts = with_itself(counts)
    rows = []
    for width in widths:
        share, flat = share_draws(maps, distance, width, counts)
        low, high = percentile_interval(share[1:])
        lead = share - flat
        lead_low, lead_high = percentile_interval(lead[1:])
        rows.append(dict(width=width, share=share[0], low=low, high=high, flat=flat[0], lead=lead[0],
                         lead_low=lead_low, lead_high=lead_high))
    return pd.DataFrame(rows)


def share_draws(maps, distance, width, counts):
    """Share of all variance within `width` mm of the boundary, and of the area, in every resample: two (n_boot,).

    Args: as `share_within`, with one width.
    """
    maps = np.asarray(maps, dtype=float)
    distance = np.asarray(distance)
    known = np.isfinite(distance).all((1, 2))
    ring = np.abs(distance) <= width
    part = mean_draws((maps * ring).sum((1, 2)), known, counts)
    whole = mean_draws(maps.sum((1, 2)), known, counts)
    area = mean_draws(ring.mean((1, 2)), known, counts)
    return part / whole, area
