"""The scan of a visit: the scanner's protocol, where the nodule lies in it, the slices and the nodule's box."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import next_fast_len

from namd.data.phantom.anatomy import RIGHT_LOBES, Anatomy
from namd.data.phantom.render import Nodule, draw_visit, render

N_SLICES, MATRIX_OF_SCANNER = 3, 512
FIELD_MM = 80.5                     # side of the stored piece: a crop of 76.8 mm and the nodule's place in it
# share, manufacturer, vendor, model, thickness, gap, PixelRepresentation, RescaleIntercept,
# {kernel: (share, blur mm, edge enhancement, noise HU at 50 mAs, code of the screening form)}
SCANNERS = (
    (.55, "GE MEDICAL SYSTEMS", "GE", "LightSpeed QX/i", 2.5, 2.5, 1, -1024,
     {"STANDARD": (.9, .50, 0., 26., 2), "LUNG": (.1, .38, .9, 55., 3)}),
    (.25, "SIEMENS", "SIEMENS", "Volume Zoom", 2.0, 2.0, 0, -1024,
     {"B30f": (.3, .55, 0., 24., 8), "B50f": (.7, .40, .5, 42., 7)}),
    (.12, "Philips", "PHILIPS", "Mx8000", 2.5, 2.0, 0, -1000,
     {"C": (.8, .52, 0., 26., 5), "D": (.2, .38, .7, 48., 4)}),
    (.08, "TOSHIBA", "TOSHIBA", "Aquilion", 2.0, 2.0, 1, 0,
     {"FC10": (.6, .52, 0., 28., 10), "FC51": (.4, .40, .7, 50., 11)}),
)


@dataclass(frozen=True)
class Protocol:
    """How a series was made. Millimetres, HU."""

    manufacturer: str
    vendor: str               # as in the series description
    model: str
    thickness: float
    gap: float
    signed: int
    intercept: int
    kernel: str
    blur: float
    edge: float
    noise: float
    filter_code: int          # ct_recon_filter1 of the screening form
    diameter: int             # of the reconstruction
    mas: int

    @property
    def spacing(self) -> float:
        """Pixel spacing, mm."""
        return self.diameter / MATRIX_OF_SCANNER


def _scanner(rng, which, diameter: float) -> Protocol:
    """Protocol on scanner `which` with a kernel, a dose and a reconstruction diameter."""
    _, manufacturer, vendor, model, thickness, gap, signed, intercept, kernels = SCANNERS[which]
    kernel = rng.choice(list(kernels), p=[k[0] for k in kernels.values()])
    _, blur, edge, noise, code = kernels[kernel]
    mas = int(rng.choice([40, 50, 60]))
    noise *= math.sqrt(50 / mas) * rng.uniform(.85, 1.15)
    return Protocol(manufacturer, vendor, model, thickness, gap, signed, intercept, str(kernel), blur, edge, noise,
                    code, int(np.clip(diameter, 256, 435)), mas)


def draw_protocol(rng) -> Protocol:
    """Protocol of a first screen; pixels of 0.50 to 0.85 mm.

    Source: ours; the vendors' shares and kernels are near those of the NLST series in the public nodule list.
    """
    return _scanner(rng, rng.choice(len(SCANNERS), p=[s[0] for s in SCANNERS]), rng.normal(350, 32))


def next_protocol(rng, before: Protocol) -> Protocol:
    """Protocol a year later: in nine of ten the same scanner and kernel, another dose and a slightly other diameter.

    Source: ours; in the public nodule list 99 % keep the vendor and 95 % the kernel.
    """
    diameter = before.diameter + rng.normal(0, 8)
    if rng.random() >= .9:
        return _scanner(rng, rng.choice(len(SCANNERS), p=[s[0] for s in SCANNERS]), diameter)
    noise = before.noise * rng.uniform(.85, 1.18)
    return replace(before, diameter=int(np.clip(diameter, 256, 435)), noise=noise)


@dataclass(frozen=True)
class Place:
    """Where the nodule lies in the body (mm, patient axes) and which number its slice bears in the whole series."""

    centre_mm: tuple
    number: int
    head_first: bool          # numbers run from the head down


def draw_place(rng, lobe: int) -> Place:
    """The nodule's place at T0.

    Source: ours; most NLST series are numbered from the head down, some from the feet up.
    """
    side = -1 if lobe in RIGHT_LOBES else 1
    centre = side * rng.uniform(45, 110), rng.uniform(-60, 70), -rng.uniform(80, 260)
    return Place(centre, int(rng.integers(30, 110)), bool(rng.random() < .8))


def next_place(rng, before: Place) -> Place:
    """The place a year later: some millimetres and slices away.

    Source: ours; in the public nodule list the slice numbers of T0 and T1 differ by 4 in the median.
    """
    centre = tuple(float(c) for c in np.add(before.centre_mm, rng.normal(0, 6, 3)))
    return replace(before, centre_mm=centre, number=max(before.number + round(rng.normal(0, 6)), 2))


@dataclass(frozen=True)
class Acquisition:
    """What a scan of one visit leaves: slices, their place, and where a reader would draw the nodule's box."""

    hu: np.ndarray            # (k, matrix, matrix) float32
    z: np.ndarray             # (k,) mm from the nodule's slice, increasing
    centre_px: tuple          # (x, y) of the nodule
    box: tuple                # (x, y, width, height) whole pixels
    place: Place

    @property
    def box_centre(self) -> tuple:
        """Centre of the box in pixels, 0 is the centre of the first pixel."""
        x, y, width, height = self.box
        return x + (width - 1) / 2, y + (height - 1) / 2


def slice_offsets(protocol: Protocol, uneven: bool = False) -> np.ndarray:
    """z of the slices from the nodule's slice, mm, increasing; `uneven` moves the last one 3 mm further."""
    z = protocol.gap * (np.arange(N_SLICES) - N_SLICES // 2)
    return z + 3. * uneven * (z > 0)


def nodule_box(nodule: Nodule, angle: float, spacing: float, centre_px) -> tuple:
    """Box of the ellipse and one pixel around it: x, y of the upper left pixel, width, height, whole pixels."""
    a, b = nodule.longest / 2, nodule.perpendicular / 2
    half = (math.hypot(a * math.cos(angle), b * math.sin(angle)), math.hypot(a * math.sin(angle), b * math.cos(angle)))
    width, height = (math.ceil(2 * h / spacing) + 2 for h in half)
    return *(round(float(c) - (n - 1) / 2) for c, n in zip(centre_px, (width, height), strict=True)), width, height


def acquire(anatomy: Anatomy, nodule: Nodule, year: int, protocol: Protocol, place: Place, z, rng, field_mm=FIELD_MM):
    """Scan one visit: the nodule up to 1.2 mm off the middle of a square of `field_mm`; an `Acquisition`.

    Source: ours; the stored piece is as small as a crop allows, so that a whole cohort stays below 600 MB.
    """
    visit = draw_visit(rng, year)
    n = next_fast_len(math.ceil(field_mm / protocol.spacing), real=True)
    centre = (n - 1) / 2 + rng.uniform(-1.2, 1.2, 2) / protocol.spacing
    x, y = ((np.arange(n) - c) * protocol.spacing for c in centre)
    return Acquisition(render(anatomy, visit, nodule, protocol, x, y, z, rng), z, tuple(centre.tolist()),
                       nodule_box(nodule, anatomy.shape.angle + visit.turn, protocol.spacing, centre), place)
