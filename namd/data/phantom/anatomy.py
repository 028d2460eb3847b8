"""The subject behind both visits: vessels, chest wall, parenchyma and the nodule's own shape.

Millimetres, DICOM patient axes (x to the left, y to the back, z to the head), origin at the nodule's centre.
"""

from dataclasses import dataclass

import numpy as np

from namd.data.phantom.texture import random_field
from namd.ground.seeding import numpy_rng

REACH_MM = 52.                      # tubes outside this box are never in the field of view, in the slice
DEPTH_MM = 7.                       # and along z
GRID = 56                           # nodes of a parenchymal field along x and along y
GRID_MM = 2.0                       # between them
LAYERS = 5                          # along z
LAYER_MM = 3.0
SHARE_PERIPHERAL = .40              # of nodules that have the chest wall behind them
SHARE_FISSURE = .25
SHARE_SEEN_EMPHYSEMA = {1: .45, 0: .15}
RIGHT_LOBES = (1, 2, 3)


@dataclass(frozen=True)
class NoduleShape:
    """What stays of a nodule while it grows: directions, ratios and densities."""

    angle: float              # rad, of the longest diameter in the slice
    height: float             # through-plane diameter / longest diameter
    lobules: list             # 4 x (amplitude in [-1, 1], phase) of the outline's waves
    soft_hu: float
    glass_hu: float
    core: np.ndarray          # (3,) core diameter / nodule diameter, offset x and y as a share of the radius
    spikes: np.ndarray        # (n, 3) unit directions
    spike_length: np.ndarray  # (n,) as a share of the longest spike


@dataclass(frozen=True)
class Wall:
    """The chest wall behind a nodule. Millimetres from the nodule's centre, or along the wall."""

    normal: np.ndarray        # (3,) outward
    distance: float           # to the pleura
    curvature: float          # radius of the pleura
    slope: float              # mm of depth a mm of z
    rib: float                # place of a rib along the wall
    rib_half: float           # half its width
    rib_step: float           # to the next rib
    muscle: float             # depth at which muscle becomes fat


@dataclass(frozen=True)
class Anatomy:
    """What both visits share. Tubes are rows (x0 y0 z0 x1 y1 z1 r0 r1), mm."""

    vessels: np.ndarray
    airways: np.ndarray
    wall: Wall | None
    fissure: tuple | None     # unit normal (3,), distance mm
    lung_hu: float
    fields: np.ndarray        # (1 or 2, LAYERS, GRID, GRID) unit variance: texture, and holes where there is emphysema
    emphysema: float          # share of the worst, 0 is none seen
    shape: NoduleShape


def unit(v) -> np.ndarray:
    """Vectors (..., 3) scaled to length one."""
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def grow_trees(rng, roots, directions, radii, steps: int = 13):
    """Branching tubes from `roots`: bends every few millimetres, forks by Murray's law.

    Returns:
        (n, 8) tubes, mm, and (n,) the root each of them springs from.

    Source: ours; r^3 = r1^3 + r2^3 is Murray 1926, the smaller branch turns more.
    """
    root = np.arange(len(radii))
    made = []
    for _ in range(steps):
        alive = (radii > .3) & (np.abs(roots) < (REACH_MM, REACH_MM, 3 * DEPTH_MM)).all(1)
        start = roots[alive]
        ahead = directions[alive]
        r = radii[alive]
        root = root[alive]
        draws = rng.random((len(r), 3))
        end = start + ahead * ((4.2 + 2 * r) * (.7 + .6 * draws[:, 0]))[:, None]
        made.append(np.column_stack([start, end, r, .97 * r, root]))
        # At its end a tube forks, or goes on a little bent.
        forks = draws[:, 1] < .5
        share = np.where(forks, .5 + .43 * draws[:, 2], 1.)                 # of the blood, in the larger branch
        turn = rng.normal(size=(len(r), 3))
        turn = unit(turn - (turn * ahead).sum(1, keepdims=True) * ahead)    # sideways
        large = unit(ahead + turn * np.where(forks, .9 * (1 - share), .3 * (draws[:, 2] - .5))[:, None])
        small = unit(ahead - turn * (1.1 * share)[:, None])
        roots = np.concatenate([end, end[forks]])
        directions = np.concatenate([large, small[forks]])
        root = np.concatenate([root, root[forks]])
        radii = .97 * np.concatenate([r * share ** (1 / 3), (r * (1 - share) ** (1 / 3))[forks]])
    tubes = np.concatenate(made)
    return tubes[:, :8], tubes[:, 8]


def draw_vessels(rng, side: int, calibre: float, keep_away_mm: float):
    """Arteries and veins entering from the hilum, and the airways beside two of the arteries; two (n, 8) arrays, mm.

    Source: ours; a vessel thicker than 1.5 mm that would cross the nodule is left out, so the outline stays measurable.
    """
    n = rng.integers(17, 25)
    roots = np.column_stack([side * rng.uniform(-48, 15, n), rng.uniform(-46, 46, n), rng.normal(0, 10, n)])
    aim = unit(np.column_stack([side * rng.uniform(.2, 1, n), rng.normal(0, .55, n), rng.normal(0, .5, n)]))
    radii = calibre * rng.uniform(.5, 2.1, n) * (1 - .35 * (side * roots[:, 0] + 48) / 63)
    tubes, root = grow_trees(rng, roots, aim, radii)
    airways = tubes[(root < 2) & (tubes[:, 6] > 1.1)]
    airways[:, :6] += np.tile([0, 1, .3], 2) * (airways[:, 6:7] * 2 + .8)
    return _near_field(tubes, keep_away_mm), _near_field(airways, keep_away_mm)


def _near_field(tubes, keep_away_mm: float) -> np.ndarray:
    """Tubes that can be seen in the slices, without the thick ones that would cross the nodule."""
    lowest = np.minimum(tubes[:, 2], tubes[:, 5])
    highest = np.maximum(tubes[:, 2], tubes[:, 5])
    is_seen = (lowest < DEPTH_MM) & (highest > -DEPTH_MM)
    radius = tubes[:, 6]
    distance = np.linalg.norm((tubes[:, :3] + tubes[:, 3:6]) / 2, axis=1)
    is_clear = (distance > keep_away_mm + 3 + radius) | (radius < .75)
    return tubes[is_seen & is_clear].astype(np.float32)


def draw_wall(rng, side: int, radius_mm: float) -> Wall:
    """Chest wall behind the nodule: outward direction, distance, curvature and ribs.

    Source: ours; the lateral wall of the nodule's own lung, so the lobe decides the side of the picture.
    """
    tilt = rng.uniform(-1.3, 1.3)
    return Wall(normal=np.array([side * np.cos(tilt), np.sin(tilt), 0.]), distance=radius_mm + rng.uniform(1, 24),
                curvature=rng.uniform(75, 120), slope=rng.normal(0, .15), rib=rng.uniform(-25, 25),
                rib_half=rng.uniform(9, 18), rib_step=rng.uniform(38, 56), muscle=rng.uniform(11, 17))


def draw_shape(rng) -> NoduleShape:
    """The nodule's own shape and densities.

    Source: ours; soft tissue near 30 HU, ground glass near -600 HU, a solid core of 40 to 65 % of the diameter.
    """
    n = rng.integers(11, 18)
    around = 2 * np.pi * (np.arange(n) + rng.random(n)) / n
    spikes = np.column_stack([np.cos(around), np.sin(around), rng.normal(0, .16, n)])
    return NoduleShape(
        angle=rng.uniform(0, np.pi), height=rng.uniform(.75, 1.), soft_hu=rng.normal(30, 15),
        lobules=(rng.uniform(-1, 1, (4, 2)) * [1, np.pi]).tolist(), glass_hu=rng.normal(-600, 40),
        core=np.array([rng.uniform(.4, .65), *rng.uniform(-.18, .18, 2)]), spikes=unit(spikes),
        spike_length=rng.uniform(.3, 1., n))


def draw_anatomy(row, seed: int, subject: int) -> Anatomy:
    """The anatomy of one subject, the same at both visits.

    Args:
        row: T0 attributes of the subject (`sct_epi_loc`, `longest_mm`, `diagemph`).
        seed, subject: the key of every draw.

    Source: ours; diagnosed emphysema is seen beside the nodule in 45 %, undiagnosed in 15 %: a diagnosis and holes on
    CT agree poorly (sensitivity 19 % in Li 2011, Cancer Prev Res 4:43), and more would move the record into the image.
    """
    rng = numpy_rng(seed, "anatomy", subject)
    side = -1 if row["sct_epi_loc"] in RIGHT_LOBES else 1
    peripheral, fissured, seen = rng.random(3)
    wall = draw_wall(rng, side, row["longest_mm"] / 2) if peripheral < SHARE_PERIPHERAL else None
    vessels, airways = draw_vessels(rng, side, .75 if wall else 1., row["longest_mm"] / 2)
    fissure = (unit(rng.normal(size=3) * [.5, 1, .6]), rng.choice([-1, 1]) * rng.uniform(9, 30))
    extent = rng.uniform(.15, 1.) if row["diagemph"] else rng.uniform(.1, .5)
    emphysema = extent * (seen < SHARE_SEEN_EMPHYSEMA[int(row["diagemph"])])
    fields = [_field(rng, slope=1., scale_mm=2.)]
    if emphysema:
        fields.append(_field(rng, slope=0., scale_mm=4.))
    return Anatomy(vessels=vessels, airways=airways, wall=wall, fissure=fissure if fissured < SHARE_FISSURE else None,
                   lung_hu=rng.normal(-855, 18), fields=np.stack(fields), emphysema=emphysema, shape=draw_shape(rng))


def _field(rng, slope: float, scale_mm: float) -> np.ndarray:
    """One parenchymal field, (LAYERS, GRID, GRID)."""
    return random_field(rng, (LAYERS, GRID, GRID), (LAYER_MM, GRID_MM), slope, scale_mm)
