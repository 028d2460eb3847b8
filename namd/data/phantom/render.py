"""Slices of a subject at one visit, in HU: coverage of every structure over the slice thickness, then the kernel.

Millimetres, DICOM patient axes, origin at the nodule's centre.
"""

import numpy as np

from namd.data.phantom.anatomy import GRID_MM, LAYER_MM, Anatomy, Wall
from namd.data.phantom.coverage import cover_nodule, cover_tubes, spicules
from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, POORLY_DEFINED, SPICULATED
from namd.data.phantom.texture import sample_fields, scan
from namd.data.phantom.visit import TrueNodule, Visit, to_anatomy, to_visit

VESSEL_HU = 35.
AIR_HU = -985.
AIRWAY_WALL_HU = -250.
MUSCLE_HU = 50.
FAT_HU = -95.
FAT_OUTSIDE_PLEURA_HU = -20.
BONE_HU = 420.
MARROW_HU = 170.
EMPHYSEMA_HU = -968.
SPIKE_OF_GLASS_HU = -400.
SUBPLANES = np.array([-1, 0, 1], np.float32) / 3    # of a slice thickness: partial volume along z


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
        _blend(hu, np.clip(2.5 * (fields[1] - 1.7 + 1.2 * anatomy.emphysema), 0, 1), EMPHYSEMA_HU)
    if anatomy.fissure:
        (nx, ny, nz), distance = anatomy.fissure
        for k, height in enumerate(heights):
            away = nx * xx + ny * yy + (nz * float(height) - distance) + fields[0, k]   # mm; the sheet is a little wavy
            hu[k] += 110 * np.exp(-(away / .7) ** 2)
    return hu


def draw_chest_wall(hu, wall: Wall, visit: Visit, x, y, z) -> None:
    """Pleura, ribs, muscle and fat over `hu`, in place."""
    xx, yy = to_anatomy(visit, *np.meshgrid(x, y))
    nx, ny, _ = wall.normal
    dx = xx - nx * (wall.distance - wall.curvature)                     # from the centre of curvature
    dy = yy - ny * (wall.distance - wall.curvature)
    beyond = np.hypot(dx, dy) - wall.curvature                          # mm outside the pleura
    arc = np.arctan2(dy * nx - dx * ny, dx * nx + dy * ny)
    along = arc * wall.curvature - wall.rib
    along -= wall.rib_step * np.round(along / wall.rib_step)            # mm from the next rib
    edge = wall.muscle + 2 * np.sin(along / 7)
    for k, height in enumerate(z.tolist()):
        depth = beyond - wall.slope * height
        tissue = np.where(depth < edge, MUSCLE_HU, FAT_HU)
        tissue = np.where((depth > 2.2) & (depth < 3.2), FAT_OUTSIDE_PLEURA_HU, tissue).astype(np.float32)
        rib = 1 - np.hypot((along + height) / wall.rib_half, (depth - 6.6) / (3.6 + .02 * along))
        _blend(tissue, np.clip(6 * rib, 0, 1), BONE_HU)
        _blend(tissue, np.clip(5 * rib - 1.2, 0, 1), MARROW_HU)
        _blend(hu[k], np.clip(depth / .8 + .5, 0, 1), tissue)


def draw_nodule(hu, anatomy: Anatomy, nodule: TrueNodule, angle: float, x, y, planes, soft_mm: float) -> None:
    """Body and spicules over `hu`, in place."""
    shape = anatomy.shape
    edge = {POORLY_DEFINED: 1.5 + .18 * nodule.longest, SPICULATED: 1.}.get(nodule.margin, .7)
    body = _average(cover_nodule(shape, nodule, angle, x, y, planes, edge))
    if nodule.attenuation in (GROUND_GLASS, PART_SOLID):
        _blend(hu, body, shape.glass_hu + .3 * (hu - anatomy.lung_hu))
    else:
        _blend(hu, body, shape.soft_hu)
    if nodule.margin == SPICULATED:
        spikes = cover_tubes(spicules(shape, nodule, angle), x, y, planes, soft_mm)
        _blend(hu, _average(spikes), SPIKE_OF_GLASS_HU if nodule.attenuation == GROUND_GLASS else shape.soft_hu)


def draw_core(hu, anatomy: Anatomy, nodule: TrueNodule, angle: float, x, y, planes) -> None:
    """The solid core of a part-solid nodule over `hu`, in place."""
    size, *offset = anatomy.shape.core.tolist()
    core = cover_nodule(anatomy.shape, nodule, angle, x, y, planes, 1., size, offset)
    _blend(hu, _average(core), anatomy.shape.soft_hu)


def draw_tubes(hu, tubes, value: float, visit: Visit, x, y, planes, soft_mm: float) -> None:
    """Vessels or airways over `hu`, in place."""
    if not len(tubes):
        return
    moved = np.hstack([to_visit(visit, tubes[:, :3]), to_visit(visit, tubes[:, 3:6]), tubes[:, 6:]])
    _blend(hu, _average(cover_tubes(moved.astype(np.float32), x, y, planes, soft_mm)), value)


def _thicker(tubes, mm: float) -> np.ndarray:
    """Tubes with radii larger by `mm`."""
    return np.hstack([tubes[:, :6], tubes[:, 6:] + mm])


def render(anatomy: Anatomy, visit: Visit, nodule: TrueNodule, protocol, x, y, z, rng) -> np.ndarray:
    """CT slices of one visit, (len(z), len(y), len(x)) float32 HU.

    Args:
        protocol: kernel, spacing, thickness and noise of the scan (`scanner.Protocol`).
        x, y: (n,) pixel positions and z: (k,) slice positions in mm from the nodule's centre, increasing.

    Source: ours; partial volume from three planes per slice, blur and noise from the kernel.
    """
    x = x.astype(np.float32)
    y = y.astype(np.float32)
    z = z.astype(np.float32)
    planes = (z[:, None] + SUBPLANES * np.float32(protocol.thickness)).ravel()
    soft = protocol.spacing
    angle = anatomy.shape.angle + visit.turn
    hu = parenchyma(anatomy, visit, x, y, z)
    draw_nodule(hu, anatomy, nodule, angle, x, y, planes, soft)
    draw_tubes(hu, _thicker(anatomy.airways, .8), AIRWAY_WALL_HU, visit, x, y, planes, soft)
    draw_tubes(hu, anatomy.airways, AIR_HU, visit, x, y, planes, soft)
    draw_tubes(hu, anatomy.vessels, VESSEL_HU, visit, x, y, planes, soft)
    if nodule.attenuation == PART_SOLID:
        draw_core(hu, anatomy, nodule, angle, x, y, planes)
    if anatomy.wall:
        draw_chest_wall(hu, anatomy.wall, visit, x, y, z)
    return scan(hu, protocol.spacing, protocol.blur, protocol.edge, protocol.noise, rng)
