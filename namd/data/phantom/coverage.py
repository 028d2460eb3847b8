"""How much of each pixel a structure covers: tubes (vessels, airways, spicules) and the body of the nodule.

Millimetres, DICOM patient axes, origin at the nodule's centre.
"""

import math

import numpy as np

from namd.data.phantom.anatomy import NoduleShape
from namd.data.phantom.law import POORLY_DEFINED, SMOOTH, SPICULATED
from namd.data.phantom.visit import TrueNodule

LOBULATION = {SPICULATED: .10, SMOOTH: .055, POORLY_DEFINED: .13}      # height of the outline's waves


def cover_tubes(tubes, x, y, z, soft_mm: float) -> np.ndarray:
    """Share of each pixel covered by tapering tubes, (len(z), len(y), len(x)) float32 in [0, 1].

    Args:
        tubes: (n, 8) rows x0 y0 z0 x1 y1 z1 r0 r1, mm; x, y, z: pixel and plane positions, mm, increasing.
        soft_mm: width of the edge, about one pixel.

    Source: ours; distance to a segment, only inside the segment's own box.
    """
    cover = np.zeros((len(z), len(y), len(x)), np.float32)
    for tube, (a, b, c, d, e, f) in _tubes_and_boxes(tubes, x, y, z, soft_mm):
        seen = _cover_tube(tube, x[a:b], y[c:d][:, None], z[e:f][:, None, None], soft_mm)
        np.maximum(cover[e:f, c:d, a:b], seen, out=cover[e:f, c:d, a:b])
    return cover


def _tubes_and_boxes(tubes, x, y, z, soft_mm: float):
    """The tubes that meet the grid as (x0, y0, z0, dx, dy, dz, r0, r1), and the range each covers of x, of y, of z."""
    start = tubes[:, :3]
    end = tubes[:, 3:6]
    radius = tubes[:, 6:]
    reach = radius.max(1, keepdims=True) + soft_mm / 2
    low = np.minimum(start, end) - reach
    high = np.maximum(start, end) + reach
    edges = []
    for i, axis in enumerate((x, y, z)):
        edges.append(np.searchsorted(axis, low[:, i]))
        edges.append(np.searchsorted(axis, high[:, i]))
    box = np.stack(edges, 1)                                # (n, 6)
    meets = (box[:, 1::2] > box[:, ::2]).all(1)
    rows = np.hstack([start, end - start, radius])
    return zip(rows[meets].tolist(), box[meets].tolist(), strict=True)


def _cover_tube(tube, x, y, z, soft_mm: float) -> np.ndarray:
    """Share covered by one tube of the pixels x (n,), y (n, 1), z (n, 1, 1); below 0 outside it."""
    x0, y0, z0, dx, dy, dz, r0, r1 = tube
    px = x - x0
    py = y - y0
    pz = z - z0
    square = dx * dx + dy * dy + dz * dz
    dot = (px * dx + py * dy) + pz * dz
    t = dot / square                                        # place along the segment, 0 at its start, 1 at its end
    np.minimum(np.maximum(t, 0, out=t), 1, out=t)
    distance = t * square                                   # squared, by |p - t d|^2 = t (t d.d - 2 p.d) + p.p
    distance -= 2 * dot
    distance *= t
    distance += (px * px + py * py) + pz * pz
    np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
    inside = (t * (r1 - r0) - distance) / soft_mm
    inside += r0 / soft_mm + .5
    return np.minimum(inside, 1, out=inside)


def spicules(shape: NoduleShape, nodule: TrueNodule, angle: float) -> np.ndarray:
    """Spikes of a spiculated margin as tapering tubes, (n, 8) mm."""
    turn = np.array([[np.cos(angle), np.sin(angle), 0],
                     [-np.sin(angle), np.cos(angle), 0],
                     [0, 0, 1]])
    body = shape.spikes * np.array([nodule.longest, nodule.perpendicular, shape.height * nodule.longest]) / 2
    tip = body + shape.spikes * (shape.spike_length * (1.6 + .3 * nodule.longest))[:, None]
    base = np.full((len(body), 1), .4 + .025 * nodule.longest)
    return np.hstack([.8 * body @ turn, tip @ turn, base, .25 + 0 * base]).astype(np.float32)


def cover_nodule(shape: NoduleShape, nodule: TrueNodule, angle: float, x, y, z, soft_mm: float, scale=1.,
                 offset=(0., 0.)) -> np.ndarray:
    """Share of each pixel covered by the nodule's body, (len(z), len(y), len(x)) float32 in [0, 1].

    The outline crosses one half at the true diameters: its waves vanish on both axes of the ellipse.

    Args:
        angle: rad, of the longest diameter; scale, offset: a smaller body inside it (the solid core), offset in radii.

    Source: ours.
    """
    reach = .65 * nodule.longest + soft_mm
    a, b = np.searchsorted(x, (-reach, reach))
    c, d = np.searchsorted(y, (-reach, reach))
    long = scale * nodule.longest / 2
    short = scale * nodule.perpendicular / 2
    px = x[a:b] - offset[0] * nodule.longest / 2
    py = (y[c:d] - offset[1] * nodule.longest / 2)[:, None]
    u = px * math.cos(angle) + py * math.sin(angle)         # along the longest diameter
    v = py * math.cos(angle) - px * math.sin(angle)         # across it
    theta = np.arctan2(v / short, u / long)
    waves = sum(q * np.cos((k + 1) * theta + w) for k, (q, w) in enumerate(shape.lobules))
    outline = 1 + LOBULATION[nodule.margin] * np.sin(2 * theta) * waves
    flat = ((u / long) ** 2 + (v / short) ** 2) / outline ** 2
    rho = np.sqrt(flat + ((z / (scale * shape.height * nodule.longest / 2)) ** 2)[:, None, None])
    cover = np.zeros((len(z), len(y), len(x)), np.float32)
    cover[:, c:d, a:b] = np.clip((1 - rho) * math.sqrt(long * short) / soft_mm + .5, 0, 1)
    return cover
