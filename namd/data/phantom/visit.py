"""What one visit finds: how the body lies, against the anatomy that both visits share, and how the nodule is by then.

Millimetres, DICOM patient axes, origin at the nodule's centre.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Visit:
    """How the body lies at a visit, against the anatomy: a small turn, shift, stretch and bend, and the breath."""

    turn: float               # rad, about z
    stretch: float            # dimensionless, near 1
    shift: tuple              # (3,) mm
    bend: tuple               # amplitude x, y (mm), wavelength (mm), phase
    breath_hu: float


@dataclass(frozen=True)
class TrueNodule:
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
    turn, stretch, *shift = (rest * rng.normal(0, [.05, .015, .7, .7, .7])).tolist()
    bend_x, bend_y = (rest * rng.normal(0, .8, 2)).tolist()
    bend = (bend_x, bend_y, rng.uniform(45, 80), rng.uniform(0, 2 * math.pi))
    return Visit(turn=turn, stretch=1 + stretch, shift=tuple(shift), bend=bend, breath_hu=rng.normal(0, 10))


def _bend(visit: Visit, x, y):
    """Displacement along x and y, mm."""
    along_x, along_y, wavelength, phase = visit.bend
    wave = 2 * math.pi / wavelength
    return along_x * np.sin(wave * y + phase), along_y * np.sin(wave * x + phase)


def to_visit(visit: Visit, points) -> np.ndarray:
    """Anatomy points (n, 3) at their place in the visit, mm."""
    x, y, z = points.T
    dx, dy = _bend(visit, x, y)
    c = visit.stretch * math.cos(visit.turn)
    s = visit.stretch * math.sin(visit.turn)
    return np.stack([c * x - s * y + dx, s * x + c * y + dy, z], axis=-1) + visit.shift


def to_anatomy(visit: Visit, x, y):
    """Visit points in anatomy coordinates, mm: the inverse of `to_visit` to first order in the bend."""
    x = x - visit.shift[0]
    y = y - visit.shift[1]
    c = math.cos(visit.turn) / visit.stretch
    s = math.sin(visit.turn) / visit.stretch
    x, y = c * x + s * y, c * y - s * x
    dx, dy = _bend(visit, x, y)
    return x - dx, y - dy
