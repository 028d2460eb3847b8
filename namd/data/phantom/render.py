"""Slices of a subject at one visit, in HU: coverage of every structure over the slice thickness, then the kernel.

Millimetres, DICOM patient axes, origin at the nodule's centre.
"""

from dataclasses import dataclass

import numpy as np

from namd.data.phantom.anatomy import GRID_MM, LAYER_MM, Anatomy, unit
from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, POORLY_DEFINED, SPICULATED
from namd.data.phantom.texture import sample_field, scan

VESSEL_HU, AIR_HU, MUSCLE_HU, FAT_HU, BONE_HU = 35., -985., 50., -95., 420.
SUBPLANES = np.array([-1, 0, 1]) / 3      # of a slice thickness: partial volume along z


@dataclass(frozen=True)
class Visit:
    """How the body lies at a visit, against the anatomy: a small turn, shift, stretch and bend, and the breath."""

    turn: float               # rad, about z
    stretch: float            # dimensionless, near 1
    shift: np.ndarray         # (3,) mm
    bend: np.ndarray          # (4,) amplitude x, y (mm), wavelength (mm), phase
    breath_hu: float


@dataclass(frozen=True)
class Nodule:
    """The nodule at a visit: true diameters (mm) and the codes of attenuation and margin."""

    longest: float
    perpendicular: float
    attenuation: int
    margin: int


def draw_visit(rng, year: int) -> Visit:
    """The visit of a year; T0 is the reference, T1 differs a little.

    Source: ours; a few degrees and millimetres, as between two registered screens.
    """
    rest = 0. if year == 0 else 1.
    return Visit(rest * rng.normal(0, .05), 1 + rest * rng.normal(0, .015), rest * rng.normal(0, .7, 3),
                 np.array([*(rest * rng.normal(0, .8, 2)), rng.uniform(45, 80), rng.uniform(0, 6.28)]),
                 rng.normal(0, 10))


def _bend(visit: Visit, x, y):
    """Displacement along x and y, mm."""
    wave = 2 * np.pi / visit.bend[2]
    return visit.bend[0] * np.sin(wave * y + visit.bend[3]), visit.bend[1] * np.sin(wave * x + visit.bend[3])


def to_visit(visit: Visit, points) -> np.ndarray:
    """Anatomy points (..., 3) at their place in the visit, mm."""
    x, y, z = np.moveaxis(points, -1, 0)
    dx, dy = _bend(visit, x, y)
    c, s = visit.stretch * np.cos(visit.turn), visit.stretch * np.sin(visit.turn)
    return np.stack([c * x - s * y + dx, s * x + c * y + dy, z], axis=-1) + visit.shift


def to_anatomy(visit: Visit, x, y):
    """Visit points in anatomy coordinates, mm: the inverse of `to_visit` to first order in the bend."""
    x, y = x - visit.shift[0], y - visit.shift[1]
    c, s = np.cos(visit.turn) / visit.stretch, np.sin(visit.turn) / visit.stretch
    x, y = c * x + s * y, c * y - s * x
    dx, dy = _bend(visit, x, y)
    return x - dx, y - dy


def cover_tubes(tubes, x, y, z, soft_mm: float) -> np.ndarray:
    """Share of each pixel covered by tapering tubes, (len(z), len(y), len(x)) float32 in [0, 1].

    Args:
        tubes: (n, 8) rows x0 y0 z0 x1 y1 z1 r0 r1, mm; x, y, z: pixel and plane positions, mm, increasing.
        soft_mm: width of the edge, about one pixel.

    Source: ours; distance to a segment, only inside the segment's own box.
    """
    cover = np.zeros((len(z), len(y), len(x)), np.float32)
    start, along, r0, taper = tubes[:, :3], tubes[:, 3:6] - tubes[:, :3], tubes[:, 6], tubes[:, 7] - tubes[:, 6]
    reach = np.maximum(r0, tubes[:, 7])[:, None] + soft_mm / 2
    low = np.minimum(start, tubes[:, 3:6]) - reach
    high = np.maximum(start, tubes[:, 3:6]) + reach
    edges = [np.stack([np.searchsorted(axis, low[:, i]), np.searchsorted(axis, high[:, i])], 1)
             for i, axis in enumerate((x, y, z))]
    square = (along ** 2).sum(1)
    for i in np.flatnonzero(np.all([e[:, 1] > e[:, 0] for e in edges], axis=0)):
        (a, b), (c, d), (e, f) = (edge[i] for edge in edges)
        px, py, pz = x[a:b] - start[i, 0], (y[c:d] - start[i, 1])[:, None], (z[e:f] - start[i, 2])[:, None, None]
        dot = px * along[i, 0] + py * along[i, 1] + pz * along[i, 2]
        t = np.clip(dot / square[i], 0, 1)
        distance = np.sqrt(np.maximum(px * px + py * py + pz * pz + t * (t * square[i] - 2 * dot), 0))
        inside = np.clip((r0[i] + taper[i] * t - distance) / soft_mm + .5, 0, 1)
        np.maximum(cover[e:f, c:d, a:b], inside, out=cover[e:f, c:d, a:b])
    return cover


def spicules(anatomy: Anatomy, nodule: Nodule, angle: float) -> np.ndarray:
    """Spikes of a spiculated margin as tapering tubes, (n, 8) mm."""
    shape = anatomy.shape
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    axes = np.array([nodule.longest, nodule.perpendicular, shape.height * nodule.longest]) / 2
    foot = shape.spikes * axes * .8
    length = shape.spike_length * nodule.longest / 2 * .8 + 1.2
    tip = shape.spikes * axes + unit(shape.spikes) * length[:, None]
    base = np.full((len(foot), 1), .30 + .045 * nodule.longest)
    return np.hstack([foot @ turn, tip @ turn, base, .25 + 0 * base]).astype(np.float32)


def cover_nodule(anatomy: Anatomy, nodule: Nodule, angle: float, x, y, z, soft_mm: float, scale=1., offset=(0., 0.)):
    """Share of each pixel covered by the nodule's body, (len(z), len(y), len(x)) float32 in [0, 1].

    The outline crosses one half at the true diameters: its waves vanish on both axes of the ellipse.

    Args:
        angle: rad, of the longest diameter; scale, offset: a smaller body inside it (the solid core), offset in radii.

    Source: ours.
    """
    a, b = scale * nodule.longest / 2, scale * nodule.perpendicular / 2
    x, y = x - offset[0] * nodule.longest / 2, (y - offset[1] * nodule.longest / 2)[:, None]
    u, v = (x * np.cos(angle) + y * np.sin(angle)) / a, (y * np.cos(angle) - x * np.sin(angle)) / b
    theta = np.arctan2(v, u)
    amplitude, phase = anatomy.shape.lobules.T
    waves = sum(q * np.cos((k + 1) * theta + w) for k, (q, w) in enumerate(zip(amplitude, phase, strict=True)))
    depth = {SPICULATED: .07, POORLY_DEFINED: .08}.get(nodule.margin, .02)
    flat = (u * u + v * v) / (1 + depth * np.sin(2 * theta) * waves) ** 2
    height = scale * anatomy.shape.height * nodule.longest / 2
    rho = np.sqrt(flat + ((z / height) ** 2)[:, None, None])
    return np.clip((1 - rho) * np.sqrt(a * b) / soft_mm + .5, 0, 1).astype(np.float32)


def _blend(hu, cover, value):
    """HU after a share `cover` of each pixel is filled with `value`, in place."""
    hu += cover * (value - hu)


def _average(cover) -> np.ndarray:
    """Mean over the subplanes of each slice: (3 k, n, n) -> (k, n, n)."""
    return cover.reshape(-1, len(SUBPLANES), *cover.shape[1:]).mean(axis=1)


def parenchyma(anatomy: Anatomy, visit: Visit, x, y, z) -> np.ndarray:
    """Lung without vessels: texture, denser towards the back, holes of emphysema, fissure; (len(z), len(y), len(x)) HU."""
    xx, yy = to_anatomy(visit, *np.meshgrid(x, y))
    hu = np.empty((len(z), len(y), len(x)), np.float32)
    for k, height in enumerate(z - visit.shift[2]):
        texture = sample_field(anatomy.fields[0], xx, yy, height, LAYER_MM, GRID_MM)
        hu[k] = anatomy.lung_hu + visit.breath_hu + .45 * y[:, None] + 22 * texture
        if anatomy.emphysema:
            field = sample_field(anatomy.fields[1], xx, yy, height, LAYER_MM, GRID_MM)
            _blend(hu[k], np.clip(2.5 * (field - 1.7 + 1.2 * anatomy.emphysema), 0, 1), -968.)
        if anatomy.fissure:
            (nx, ny, nz), distance = anatomy.fissure
            hu[k] += 110 * np.exp(-((nx * xx + ny * yy + nz * height - distance + 1.5 * texture) / .7) ** 2)
    return hu


def draw_chest_wall(hu, wall: dict, visit: Visit, x, y, z, texture=None) -> None:
    """Pleura, ribs, muscle and fat over `hu`, in place."""
    xx, yy = to_anatomy(visit, *np.meshgrid(x, y))
    centre = wall["normal"] * (wall["distance"] - wall["curvature"])
    dx, dy = xx - centre[0], yy - centre[1]
    radius = np.hypot(dx, dy) - wall["curvature"]
    arc = (np.arctan2(dy, dx) - np.arctan2(wall["normal"][1], wall["normal"][0]) + np.pi) % (2 * np.pi) - np.pi
    along = arc * wall["curvature"] - wall["rib"]
    along -= wall["rib_step"] * np.round(along / wall["rib_step"])
    for k, height in enumerate(z):
        s = radius - wall["slope"] * height
        tissue = np.where(s < wall["muscle"] + 2 * np.sin(along / 9), MUSCLE_HU, FAT_HU)
        rib = 1 - np.hypot((along + .8 * height) / wall["rib_half"], (s - 6.2) / 4.)
        tissue = np.where(rib > 0, np.where(rib < .38, BONE_HU, 160.), np.where((s > 2.4) & (s < 3.4), FAT_HU / 2, tissue))
        _blend(hu[k], np.clip(s / .8 + .5, 0, 1), tissue)


def render(anatomy: Anatomy, visit: Visit, nodule: Nodule, protocol, x, y, z, rng) -> np.ndarray:
    """CT slices of one visit, (len(z), len(y), len(x)) float32 HU.

    Args:
        protocol: kernel, spacing, thickness and noise of the scan (`scanner.Protocol`).
        x, y: (n,) pixel positions and z: (k,) slice positions in mm from the nodule's centre, increasing.

    Source: ours; partial volume from three planes per slice, blur and noise from the kernel.
    """
    planes = (z[:, None] + SUBPLANES * protocol.thickness).ravel().astype(np.float32)
    x, y, soft, angle = x.astype(np.float32), y.astype(np.float32), protocol.spacing, anatomy.shape.angle + visit.turn
    hu = parenchyma(anatomy, visit, x, y, z)
    edge = {POORLY_DEFINED: 1.2 + .12 * nodule.longest, SPICULATED: 1.}.get(nodule.margin, .7)
    body = _average(cover_nodule(anatomy, nodule, angle, x, y, planes, edge))
    if nodule.margin == SPICULATED:
        body = np.maximum(body, .9 * _average(cover_tubes(spicules(anatomy, nodule, angle), x, y, planes, soft)))
    glass = nodule.attenuation in (GROUND_GLASS, PART_SOLID)
    _blend(hu, body, anatomy.shape.glass_hu + .25 * (hu - anatomy.lung_hu) if glass else anatomy.shape.soft_hu)
    for tubes, grow, value in ((anatomy.vessels, 0., VESSEL_HU), (anatomy.airways, .8, -250.), (anatomy.airways, 0., AIR_HU)):
        moved = np.hstack([to_visit(visit, tubes[:, :3]), to_visit(visit, tubes[:, 3:6]), tubes[:, 6:] + grow])
        _blend(hu, _average(cover_tubes(moved.astype(np.float32), x, y, planes, soft)), value)
    if nodule.attenuation == PART_SOLID:
        size, *offset = anatomy.shape.core
        _blend(hu, _average(cover_nodule(anatomy, nodule, angle, x, y, planes, 1., size, offset)), anatomy.shape.soft_hu)
    if anatomy.wall:
        draw_chest_wall(hu, anatomy.wall, visit, x, y, z)
    return scan(hu, protocol.spacing, protocol.blur, protocol.edge, protocol.noise, rng)
