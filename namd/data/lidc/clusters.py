"""Outlines of several readers to physical nodules, for the files do not say which of them are the same one."""

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

READERS = 4             # of a scan, at most
SHRINK = 0.9            # of the tolerance, while a group has more outlines than a scan has readers
LEAST_MM = 0.1          # below which it shrinks no further


def group(outlines, tolerance_mm: float) -> list[list[int]]:
    """Which outlines are one nodule, in the order of the groups' centres along z, then y, then x.

    Two outlines are neighbours where their points come within the tolerance, and a nodule is what neighbours hold
    together. A group of more than four outlines is divided again with 0.9 of the tolerance, until no group is as large
    or the tolerance is below 0.1 mm; only that group, so that a crowded place changes nothing elsewhere in the scan.

    Args:
        outlines: N arrays (n, 3), mm, x y z of the points of one reader's outline in all its slices.
        tolerance_mm: > 0; the slice thickness, for one slice more or less is no other nodule.

    Returns:
        Lists of indices into `outlines`; each index is in one.

    Source: the rule of pylidc's Scan.cluster_annotations, which gave the 2,651 nodules of Fedorov 2020 (Med Phys
    47:5953); it shrinks the tolerance of the whole scan, which gives the same groups on all of LIDC-IDRI.
    """
    if not outlines:
        return []
    apart = _distances(outlines, tolerance_mm)
    groups = _divided(apart, list(range(len(outlines))), tolerance_mm)
    return sorted(groups, key=lambda members: tuple(_centre(outlines, members)))


def _distances(outlines, reach: float) -> np.ndarray:
    """(N, N) smallest distances in mm between the points of two outlines; infinite where they exceed `reach`."""
    trees = [cKDTree(points) for points in outlines]
    apart = np.full((len(outlines), len(outlines)), np.inf)
    np.fill_diagonal(apart, 0)
    for i, tree in enumerate(trees):
        for j in range(i):
            gap = np.maximum(tree.mins - trees[j].maxes, trees[j].mins - tree.maxes).max()
            if gap <= reach:
                nearest, _ = tree.query(trees[j].data, distance_upper_bound=reach * 1.001)
                apart[i, j] = apart[j, i] = nearest.min()
    return apart


def _divided(apart, members, tolerance: float) -> list[list[int]]:
    """The groups among `members`, crowded ones divided with a smaller tolerance."""
    count, label = connected_components(apart[np.ix_(members, members)] <= tolerance, directed=False)
    groups = []
    for number in range(count):
        found = [members[i] for i in np.flatnonzero(label == number)]
        if len(found) > READERS and tolerance * SHRINK >= LEAST_MM:
            groups += _divided(apart, found, tolerance * SHRINK)
        else:
            groups.append(found)
    return groups


def _centre(outlines, members) -> np.ndarray:
    """(3,) z, y, x of the middle of a group, in mm."""
    centres = [outlines[i].mean(axis=0) for i in members]
    return np.mean(centres, axis=0)[::-1]
