"""What lies within a contour in LIDC's form."""

import numpy as np
from matplotlib.path import Path


def filled(ring, shape):
    """Pixels strictly inside a ring (n, 2) of pixels x, y."""
    low, high = ring.min(axis=0), ring.max(axis=0) + 1
    columns, rows = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    inside = np.zeros(shape, bool)
    inside[rows, columns] = Path(ring, closed=True).contains_points(np.c_[columns.flat, rows.flat]).reshape(rows.shape)
    inside[ring[:, 1], ring[:, 0]] = False
    return inside
