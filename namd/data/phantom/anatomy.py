"""The subject behind both visits: vessels, chest wall, parenchyma and the nodule's own shape.

Millimetres, DICOM patient axes (x to the left, y to the back, z to the head), origin at the nodule's centre.
"""

from dataclasses import dataclass

import numpy as np

from namd.data.phantom.texture import random_field
from namd.training.seeding import numpy_rng

REACH_MM, DEPTH_MM = 60., 14.       # tubes outside this box are never in the field of view
GRID, GRID_MM = 56, 2.0             # parenchymal fields: GRID x GRID nodes, 2 mm apart
LAYERS, LAYER_MM = 7, 3.0           # along z
SHARE_PERIPHERAL, SHARE_FISSURE = .40, .25
SHARE_SEEN_EMPHYSEMA = {1: .65, 0: .15}
RIGHT_LOBES = (1, 2, 3)


@dataclass(frozen=True)
class Shape:
    """What stays of a nodule while it grows: directions, ratios and densities."""

    angle: float              # rad, of the longest diameter in the slice
    height: float             # through-plane diameter / longest diameter
    lobules: np.ndarray       # (4, 2) amplitude in [-1, 1] and phase of the outline's waves
    soft_hu: float
    glass_hu: float
    core: np.ndarray          # (3,) core diameter / nodule diameter, offset x and y as a share of the radius
    spikes: np.ndarray        # (n, 3) unit directions
    spike_length: np.ndarray  # (n,) as a share of the radius


@dataclass(frozen=True)
class Anatomy:
    """What both visits share. Tubes are rows (x0 y0 z0 x1 y1 z1 r0 r1), mm."""

    vessels: np.ndarray
    airways: np.ndarray
    wall: dict | None
    fissure: tuple | None     # unit normal (3,), distance mm
    lung_hu: float
    fields: np.ndarray        # (2, LAYERS, GRID, GRID) unit variance: texture, holes
    emphysema: float          # share of the worst, 0 is none
    shape: Shape


def unit(v) -> np.ndarray:
    """Vectors (..., 3) scaled to length one."""
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def grow_trees(rng, roots, directions, radii, steps: int = 16) -> np.ndarray:
    """Branching tubes from `roots`: bends every few millimetres, forks by Murray's law; (n, 8) mm.

    Source: ours; r^3 = r1^3 + r2^3 is Murray 1926, the smaller branch turns more.
    """
    p, d, r, made = roots, directions, radii, []
    for _ in range(steps):
        alive = (r > .28) & (np.abs(p[:, :2]) < REACH_MM).all(1) & (np.abs(p[:, 2]) < 3 * DEPTH_MM)
        p, d, r = p[alive], d[alive], r[alive]
        q = p + d * ((3.5 + 2 * r) * rng.uniform(.7, 1.3, len(r)))[:, None]
        made.append(np.hstack([p, q, r[:, None], .97 * r[:, None]]))
        forks = rng.random(len(r)) < .45
        share = np.where(forks, rng.uniform(.5, .93, len(r)), 1.)
        turn = unit(np.cross(d, rng.normal(size=d.shape)))
        big = unit(d + turn * np.where(forks, .9 * (1 - share), rng.normal(0, .14, len(r)))[:, None])
        small = unit(d - turn * (1.1 * share)[:, None])[forks]
        p = np.vstack([q, q[forks]])
        d, r = np.vstack([big, small]), .97 * np.concatenate([r * share ** (1 / 3), (r * (1 - share) ** (1 / 3))[forks]])
    return np.vstack(made)


def draw_vessels(rng, side: int, calibre: float, keep_away_mm: float):
    """Arteries and veins entering from the hilum, and the airways beside the larger ones; two (n, 8) arrays, mm.

    Source: ours; a vessel thicker than 1 mm that would cross the nodule is left out, so the outline stays measurable.
    """
    n = rng.integers(11, 16)
    roots = np.column_stack([-side * rng.uniform(5, 48, n), rng.uniform(-46, 46, n), rng.normal(0, 13, n)])
    aim = np.column_stack([side * rng.uniform(.2, 1, n), rng.normal(0, .55, n), rng.normal(0, .55, n)])
    tubes = grow_trees(rng, roots, unit(aim), calibre * rng.uniform(.7, 2.1, n))
    middle, thick = (tubes[:, :3] + tubes[:, 3:6]) / 2, tubes[:, 6]
    near = np.linalg.norm(middle, axis=1) < keep_away_mm + 3 + thick
    inside = (np.minimum(tubes[:, 2], tubes[:, 5]) < DEPTH_MM) & (np.maximum(tubes[:, 2], tubes[:, 5]) > -DEPTH_MM)
    tubes = tubes[inside & ~(near & (thick > .75))]
    airways = tubes[tubes[:, 6] > 1.25].copy()
    airways[:, :6] += np.tile([0, 1, .3], 2) * (airways[:, 6:7] * 2 + .8)
    return tubes.astype(np.float32), airways.astype(np.float32)


def draw_wall(rng, side: int, radius_mm: float) -> dict:
    """Chest wall behind the nodule: outward direction, distance, curvature and ribs.

    Source: ours; the lateral wall of the nodule's own lung, so the lobe decides the side of the picture.
    """
    tilt = rng.uniform(-1.3, 1.3)
    return {"normal": np.array([side * np.cos(tilt), np.sin(tilt), 0.]), "distance": radius_mm + rng.uniform(1, 24),
            "curvature": rng.uniform(75, 120), "slope": rng.normal(0, .15), "rib": rng.uniform(-25, 25),
            "rib_half": rng.uniform(9, 16), "rib_step": rng.uniform(34, 48), "muscle": rng.uniform(10, 16)}


def draw_shape(rng) -> Shape:
    """The nodule's own shape and densities.

    Source: ours; soft tissue near 30 HU, ground glass near -600 HU, a solid core of 40 to 65 % of the diameter.
    """
    n = rng.integers(11, 18)
    spikes = rng.normal(size=(n, 3)) * [1, 1, .35]
    return Shape(angle=rng.uniform(0, np.pi), height=rng.uniform(.75, 1.), soft_hu=rng.normal(30, 15),
                 lobules=np.column_stack([rng.uniform(-1, 1, 4), rng.uniform(0, 2 * np.pi, 4)]),
                 glass_hu=rng.normal(-600, 40), core=np.array([rng.uniform(.4, .65), *rng.uniform(-.18, .18, 2)]),
                 spikes=unit(spikes), spike_length=rng.uniform(.35, 1., n))


def draw_anatomy(row, seed: int, subject: int) -> Anatomy:
    """The anatomy of one subject, the same at both visits.

    Args:
        row: T0 attributes of the subject (`sct_epi_loc`, `longest_mm`, `diagemph`).
        seed, subject: the key of every draw.

    Source: ours; diagnosed emphysema is seen in 65 % of the crops, undiagnosed in 15 %, since a diagnosis in the
    record and holes beside one nodule are not the same thing (sensitivity 19 % in Li 2011, Cancer Prev Res 4:43).
    """
    rng = numpy_rng(seed, "anatomy", subject)
    side = -1 if row["sct_epi_loc"] in RIGHT_LOBES else 1
    peripheral, fissured, seen = rng.random(3)
    wall = draw_wall(rng, side, row["longest_mm"] / 2) if peripheral < SHARE_PERIPHERAL else None
    vessels, airways = draw_vessels(rng, side, .75 if wall else 1., row["longest_mm"] / 2)
    fissure = (unit(rng.normal(size=3) * [.5, 1, .6]), rng.choice([-1, 1]) * rng.uniform(9, 30) - 0.)
    extent = rng.uniform(.15, 1.) if row["diagemph"] else rng.uniform(.1, .5)
    return Anatomy(vessels, airways, wall, fissure if fissured < SHARE_FISSURE else None, rng.normal(-855, 18),
                   np.stack([random_field(rng, (LAYERS, GRID, GRID), (LAYER_MM, GRID_MM), slope=1., scale_mm=2.),
                             random_field(rng, (LAYERS, GRID, GRID), (LAYER_MM, GRID_MM), slope=0., scale_mm=4.)]),
                   extent * (seen < SHARE_SEEN_EMPHYSEMA[int(row["diagemph"])]), draw_shape(rng))
