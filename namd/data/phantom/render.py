"""Slices of a subject at one visit, in HU: coverage of every structure over the slice thickness, then the kernel.

Millimetres, DICOM patient axes, origin at the nodule's centre.
"""

import math
from dataclasses import dataclass

import numpy as np

from namd.data.phantom.anatomy import GRID_MM, LAYER_MM, Anatomy
from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, POORLY_DEFINED, SMOOTH, SPICULATED
from namd.data.phantom.texture import sample_fields, scan

VESSEL_HU, AIR_HU, WALL_HU, MUSCLE_HU, FAT_HU, BONE_HU, MARROW_HU = 35., -985., -250., 50., -95., 420., 170.
SUBPLANES = np.array([-1, 0, 1], np.float32) / 3    # of a slice thickness: partial volume along z
LOBULATION = {SPICULATED: .10, SMOOTH: .055, POORLY_DEFINED: .13}


@dataclass(frozen=True)
class Visit:
    """How the body lies at a visit, against the anatomy: a small turn, shift, stretch and bend, and the breath."""

    turn: float               # rad, about z
    stretch: float            # dimensionless, near 1
    shift: tuple              # (3,) mm
    bend: tuple               # amplitude x, y (mm), wavelength (mm), phase
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
    turn, stretch, *shift = rest * rng.normal(0, [.05, .015, .7, .7, .7])
    bend = *(rest * rng.normal(0, .8, 2)).tolist(), rng.uniform(45, 80), rng.uniform(0, 2 * math.pi)
    return Visit(float(turn), 1 + float(stretch), tuple(map(float, shift)), bend, rng.normal(0, 10))


def _bend(visit: Visit, x, y):
    """Displacement along x and y, mm."""
    along_x, along_y, wavelength, phase = visit.bend
    wave = 2 * math.pi / wavelength
    return along_x * np.sin(wave * y + phase), along_y * np.sin(wave * x + phase)


def to_visit(visit: Visit, points) -> np.ndarray:
    """Anatomy points (n, 3) at their place in the visit, mm."""
    x, y, z = points.T
    dx, dy = _bend(visit, x, y)
    c, s = visit.stretch * math.cos(visit.turn), visit.stretch * math.sin(visit.turn)
    return np.stack([c * x - s * y + dx, s * x + c * y + dy, z], axis=-1) + visit.shift


def to_anatomy(visit: Visit, x, y):
    """Visit points in anatomy coordinates, mm: the inverse of `to_visit` to first order in the bend."""
    x, y = x - visit.shift[0], y - visit.shift[1]
    c, s = math.cos(visit.turn) / visit.stretch, math.sin(visit.turn) / visit.stretch
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
    start, end, radius = tubes[:, :3], tubes[:, 3:6], tubes[:, 6:]
    reach = radius.max(1, keepdims=True) + soft_mm / 2
    low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
    box = np.stack([np.searchsorted(axis, side[:, i]) for i, axis in enumerate((x, y, z)) for side in (low, high)], 1)
    seen = (box[:, 1::2] > box[:, ::2]).all(1)
    rows = np.hstack([start, end - start, radius])[seen].tolist()
    for (x0, y0, z0, dx, dy, dz, r0, r1), (a, b, c, d, e, f) in zip(rows, box[seen].tolist(), strict=True):
        px, py, pz = x[a:b] - x0, (y[c:d] - y0)[:, None], (z[e:f] - z0)[:, None, None]
        square = dx * dx + dy * dy + dz * dz
        dot = (px * dx + py * dy) + pz * dz
        t = dot / square                                    # place along the segment, 0 at its start, 1 at its end
        np.minimum(np.maximum(t, 0, out=t), 1, out=t)
        distance = t * square
        distance -= 2 * dot
        distance *= t
        distance += (px * px + py * py) + pz * pz
        np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
        inside = (t * (r1 - r0) - distance) / soft_mm
        inside += r0 / soft_mm + .5
        np.maximum(cover[e:f, c:d, a:b], np.minimum(inside, 1, out=inside), out=cover[e:f, c:d, a:b])
    return cover


def spicules(shape, nodule: Nodule, angle: float) -> np.ndarray:
    """Spikes of a spiculated margin as tapering tubes, (n, 8) mm."""
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    body = shape.spikes * np.array([nodule.longest, nodule.perpendicular, shape.height * nodule.longest]) / 2
    tip = body + shape.spikes * (shape.spike_length * (1.6 + .3 * nodule.longest))[:, None]
    base = np.full((len(body), 1), .4 + .025 * nodule.longest)
    return np.hstack([.8 * body @ turn, tip @ turn, base, .25 + 0 * base]).astype(np.float32)


def cover_nodule(shape, nodule: Nodule, angle: float, x, y, z, soft_mm: float, scale=1., offset=(0., 0.)) -> np.ndarray:
    """Share of each pixel covered by the nodule's body, (len(z), len(y), len(x)) float32 in [0, 1].

    The outline crosses one half at the true diameters: its waves vanish on both axes of the ellipse.

    Args:
        angle: rad, of the longest diameter; scale, offset: a smaller body inside it (the solid core), offset in radii.

    Source: ours.
    """
    cover, reach = np.zeros((len(z), len(y), len(x)), np.float32), .65 * nodule.longest + soft_mm
    (c, d), (a, b) = (np.searchsorted(axis, (-reach, reach)) for axis in (y, x))
    long, short = scale * nodule.longest / 2, scale * nodule.perpendicular / 2
    px, py = x[a:b] - offset[0] * nodule.longest / 2, (y[c:d] - offset[1] * nodule.longest / 2)[:, None]
    u, v = px * math.cos(angle) + py * math.sin(angle), py * math.cos(angle) - px * math.sin(angle)
    theta = np.arctan2(v / short, u / long)
    waves = sum(q * np.cos((k + 1) * theta + w) for k, (q, w) in enumerate(shape.lobules))
    outline = 1 + LOBULATION[nodule.margin] * np.sin(2 * theta) * waves
    flat = ((u / long) ** 2 + (v / short) ** 2) / outline ** 2
    rho = np.sqrt(flat + ((z / (scale * shape.height * nodule.longest / 2)) ** 2)[:, None, None])
    cover[:, c:d, a:b] = np.clip((1 - rho) * math.sqrt(long * short) / soft_mm + .5, 0, 1)
    return cover


def _blend(hu, cover, value):
    """HU after a share `cover` of each pixel is filled with `value`, in place."""
    hu += cover * (value - hu)


def _average(cover) -> np.ndarray:
    """Mean over the subplanes of each slice: (3 k, n, n) -> (k, n, n)."""
    return cover.reshape(-1, len(SUBPLANES), *cover.shape[1:]).mean(axis=1)


def parenchyma(anatomy: Anatomy, visit: Visit, x, y, z) -> np.ndarray:
    """Lung without vessels: texture, denser to the back, holes of emphysema, fissure; (len(z), len(y), len(x)) HU."""
    xx, yy = to_anatomy(visit, *np.meshgrid(x, y))
    heights = z - visit.shift[2]
    fields = sample_fields(anatomy.fields, xx, yy, heights, LAYER_MM, GRID_MM)
    hu = 22 * fields[0] + (.45 * y[:, None] + (anatomy.lung_hu + visit.breath_hu))
    if anatomy.emphysema:
        _blend(hu, np.clip(2.5 * (fields[1] - 1.7 + 1.2 * anatomy.emphysema), 0, 1), -968.)
    if anatomy.fissure:
        (nx, ny, nz), distance = anatomy.fissure
        for k, height in enumerate(heights):
            hu[k] += 110 * np.exp(-((nx * xx + ny * yy + (nz * float(height) - distance) + fields[0, k]) / .7) ** 2)
    return hu


def draw_chest_wall(hu, wall: dict, visit: Visit, x, y, z) -> None:
    """Pleura, ribs, muscle and fat over `hu`, in place."""
    xx, yy = to_anatomy(visit, *np.meshgrid(x, y))
    normal, centre = wall["normal"], [v * (wall["distance"] - wall["curvature"]) for v in wall["normal"]]
    dx, dy = xx - centre[0], yy - centre[1]
    radius = np.hypot(dx, dy) - wall["curvature"]
    arc = np.arctan2(dy * normal[0] - dx * normal[1], dx * normal[0] + dy * normal[1])
    along = arc * wall["curvature"] - wall["rib"]
    along -= wall["rib_step"] * np.round(along / wall["rib_step"])
    edge = wall["muscle"] + 2 * np.sin(along / 7)
    for k, height in enumerate(z.tolist()):
        s = radius - wall["slope"] * height
        tissue = np.where((s > 2.2) & (s < 3.2), -20., np.where(s < edge, MUSCLE_HU, FAT_HU)).astype(np.float32)
        rib = 1 - np.hypot((along + height) / wall["rib_half"], (s - 6.6) / (3.6 + .02 * along))
        _blend(tissue, np.clip(6 * rib, 0, 1), BONE_HU)
        _blend(tissue, np.clip(5 * rib - 1.2, 0, 1), MARROW_HU)
        _blend(hu[k], np.clip(s / .8 + .5, 0, 1), tissue)


def draw_nodule(hu, anatomy: Anatomy, nodule: Nodule, angle: float, x, y, planes, soft_mm: float) -> None:
    """Body and spicules over `hu`, in place."""
    shape, pure_glass = anatomy.shape, nodule.attenuation == GROUND_GLASS
    edge = {POORLY_DEFINED: 1.5 + .18 * nodule.longest, SPICULATED: 1.}.get(nodule.margin, .7)
    body = _average(cover_nodule(shape, nodule, angle, x, y, planes, edge))
    solid = nodule.attenuation not in (GROUND_GLASS, PART_SOLID)
    _blend(hu, body, shape.soft_hu if solid else shape.glass_hu + .3 * (hu - anatomy.lung_hu))
    if nodule.margin == SPICULATED:
        spikes = cover_tubes(spicules(shape, nodule, angle), x, y, planes, soft_mm)
        _blend(hu, _average(spikes), -400. if pure_glass else shape.soft_hu)


def render(anatomy: Anatomy, visit: Visit, nodule: Nodule, protocol, x, y, z, rng) -> np.ndarray:
    """CT slices of one visit, (len(z), len(y), len(x)) float32 HU.

    Args:
        protocol: kernel, spacing, thickness and noise of the scan (`scanner.Protocol`).
        x, y: (n,) pixel positions and z: (k,) slice positions in mm from the nodule's centre, increasing.

    Source: ours; partial volume from three planes per slice, blur and noise from the kernel.
    """
    z = z.astype(np.float32)
    planes = (z[:, None] + SUBPLANES * np.float32(protocol.thickness)).ravel()
    x, y, soft, angle = x.astype(np.float32), y.astype(np.float32), protocol.spacing, anatomy.shape.angle + visit.turn
    hu = parenchyma(anatomy, visit, x, y, z)
    draw_nodule(hu, anatomy, nodule, angle, x, y, planes, soft)
    airways, vessels = anatomy.airways, anatomy.vessels
    for tubes, thicker, value in ((airways, .8, WALL_HU), (airways, 0., AIR_HU), (vessels, 0., VESSEL_HU)):
        if len(tubes):
            moved = np.hstack([to_visit(visit, tubes[:, :3]), to_visit(visit, tubes[:, 3:6]), tubes[:, 6:] + thicker])
            _blend(hu, _average(cover_tubes(moved.astype(np.float32), x, y, planes, soft)), value)
    if nodule.attenuation == PART_SOLID:
        size, *offset = anatomy.shape.core.tolist()
        core = cover_nodule(anatomy.shape, nodule, angle, x, y, planes, 1., size, offset)
        _blend(hu, _average(core), anatomy.shape.soft_hu)
    if anatomy.wall:
        draw_chest_wall(hu, anatomy.wall, visit, x, y, z)
    return scan(hu, protocol.spacing, protocol.blur, protocol.edge, protocol.noise, rng)
