"""A whole chest slice around a phantom subject's own tile: a sketch to scale, drawn with the phantom's tissues.

Millimetres, DICOM patient axes (x to the left, y to the back), origin in the middle of the chest.
"""

import numpy as np

from namd.data.images import MM_PER_PX
from namd.data.phantom.anatomy import grow_trees, unit
from namd.data.phantom.coverage import cover_tubes
from namd.data.phantom.render import AIR_HU, BONE_HU, FAT_HU, MARROW_HU, MUSCLE_HU, VESSEL_HU
from namd.data.phantom.sitter import Sitter
from namd.data.phantom.texture import random_field, scan
from namd.ground.seeding import numpy_rng

SIDE_MM = 360.
LUNG_X = 78.                        # of the middle of a lung
LUNG = (62., 92.)                   # half its width and depth
TILE_Y = 12.
FEATHER_PX = 9                      # over which the tile fades into the sketch
N_RIBS = 17
STRETCH = np.array([1.45, 1.75, 1.])        # of vessels that are grown for a tile, to fill a lung


def oval(xx, yy, x, y, a, b, soft=1.2) -> np.ndarray:
    """Share of each pixel inside an ellipse with its middle at (x, y) and half axes a, b; mm."""
    return np.clip((1 - np.hypot((xx - x) / a, (yy - y) / b)) * min(a, b) / soft + .5, 0, 1)


def side_of(sitter: Sitter) -> int:
    """1 where the nodule lies in the left lung, which a radiologist sees on the right, else -1."""
    return 1 if sitter.row["sct_epi_loc"] in (4, 5, 6) else -1


def chest(sitter: Sitter, crop) -> tuple[np.ndarray, tuple[float, float]]:
    """The slice (600, 600) HU with `crop` in its place, and the column and row of the nodule in it.

    Args:
        crop: (128, 128) HU, of `sitter.crop`.

    Source: ours; proportions of an adult chest at the height of the heart. Only the tile is what the study reads.
    """
    rng = numpy_rng(sitter.seed, "chest", sitter.subject)
    axis = (np.arange(round(SIDE_MM / MM_PER_PX)) - round(SIDE_MM / MM_PER_PX) / 2 + .5) * MM_PER_PX
    xx, yy = np.meshgrid(axis, axis)
    hu = _body(xx, yy)
    _lungs(hu, xx, yy, axis, sitter.body.lung_hu, rng)
    _middle(hu, xx, yy)
    hu = scan(hu[None].astype(np.float32), MM_PER_PX, .5, 0., 26., rng)[0]
    x = side_of(sitter) * LUNG_X
    column, row = (round(float(np.argmin(np.abs(axis - at)))) for at in (x, TILE_Y))
    _paste(hu, np.asarray(crop, dtype=np.float32), column, row)
    return hu, (column, row)


def _fill(hu, cover, value):
    hu += cover * (value - hu)


def _body(xx, yy) -> np.ndarray:
    """Air around the body, fat below the skin, muscle, ribs, shoulder blades and the table."""
    hu = np.full(xx.shape, AIR_HU)
    _fill(hu, oval(xx, yy, 0, 128, 210, 9) * (yy > 118), -600.)
    _fill(hu, oval(xx, yy, 0, 4, 172, 122), MUSCLE_HU)
    _fill(hu, oval(xx, yy, 0, 4, 170, 120), FAT_HU)
    _fill(hu, oval(xx, yy, 0, 4, 156, 109), MUSCLE_HU)
    for angle in np.linspace(0, 2 * np.pi, N_RIBS, endpoint=False) + .2:
        x = 148 * np.cos(angle)
        y = 102 * np.sin(angle) + 4
        along = xx * -np.sin(angle) + yy * np.cos(angle) - (x * -np.sin(angle) + y * np.cos(angle))
        across = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
        rib = 1 - np.hypot(along / 17, across / 4.2)
        _fill(hu, np.clip(5 * rib, 0, 1), BONE_HU)
        _fill(hu, np.clip(5 * rib - 1.4, 0, 1), MARROW_HU)
    return hu


def _lungs(hu, xx, yy, axis, lung_hu, rng):
    """Both lungs with their texture and vessels, in place."""
    field = random_field(rng, (1, 184, 184), (3., 2.), 1., 2.)[0]
    texture = np.kron(field, np.ones((4, 4)))[:len(axis), :len(axis)]
    for side in (-1, 1):
        lung = oval(xx, yy, side * LUNG_X, 2, *LUNG) * (1 - oval(xx, yy, 0, -30, 30, 90))
        _fill(hu, lung, lung_hu + .45 * yy + 14 * texture)
        n = 34
        roots = np.column_stack([np.full(n, -side * 32.), rng.uniform(-16, 16, n), rng.normal(0, 4, n)])
        aim = unit(np.column_stack([side * rng.uniform(.1, 1, n), rng.normal(0, .9, n), rng.normal(0, .25, n)]))
        tubes, _ = grow_trees(rng, roots, aim, rng.uniform(.9, 2.6, n), steps=16)
        middle = np.array([side * LUNG_X, 2, 0])
        tubes = np.hstack([tubes[:, :3] * STRETCH + middle, tubes[:, 3:6] * STRETCH + middle, tubes[:, 6:]])
        cover = cover_tubes(tubes.astype(np.float32), axis, axis, np.zeros(1), MM_PER_PX)[0]
        _fill(hu, cover * lung, VESSEL_HU)


def _middle(hu, xx, yy):
    """Heart, great vessels, airways, spine and breastbone, in place."""
    for x, y, a, b in ((14, -28, 52, 42), (0, 10, 34, 34), (22, 52, 14, 14), (0, 60, 34, 26)):
        _fill(hu, oval(xx, yy, x, y, a, b), MUSCLE_HU - 8)
    for x in (-15, 15):
        _fill(hu, oval(xx, yy, x, 12, 9, 8), -100.)
        _fill(hu, oval(xx, yy, x, 12, 7.5, 6.5), AIR_HU)
    for y, a, b in ((68, 20, 17), (100, 6, 16), (-96, 20, 6)):
        _fill(hu, oval(xx, yy, 0, y, a, b), BONE_HU)
        _fill(hu, oval(xx, yy, 0, y, a - 2.5, b - 2.5), MARROW_HU + 20)
    _fill(hu, oval(xx, yy, 0, 90, 8, 7), MUSCLE_HU - 20)


def _paste(hu, crop, column, row):
    """`crop` over `hu` with its middle at (column, row) and soft edges, in place."""
    half = len(crop) // 2
    ramp = np.clip((np.minimum(np.arange(2 * half), np.arange(2 * half)[::-1]) + .5) / FEATHER_PX, 0, 1)
    part = hu[row - half:row + half, column - half:column + half]
    part += np.outer(ramp, ramp) * (crop - part)
