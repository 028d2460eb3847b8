"""The scan of a visit: the scanner's protocol, where the nodule lies in it, the slices and the nodule's box."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import next_fast_len

from namd.data.phantom.anatomy import RIGHT_LOBES, Anatomy
from namd.data.phantom.render import render
from namd.data.phantom.visit import TrueNodule, draw_visit

N_SLICES = 3
MATRIX_OF_SCANNER = 512
FIELD_MM = 80.5                     # side of the stored piece: a crop of 76.8 mm and the nodule's place in it
KVP = 120


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel."""

    share: float                    # of the scans on its scanner
    blur: float                     # mm
    edge: float                     # enhancement, dimensionless
    noise: float                    # HU at 50 mAs
    filter_code: int                # ct_recon_filter1 of the screening form


@dataclass(frozen=True)
class Scanner:
    """A model of scanner and how its series are made. Millimetres, HU."""

    share: float                    # of all participants
    manufacturer: str
    vendor: str                     # as in the series description
    model: str
    thickness: float
    gap: float
    signed: int                     # PixelRepresentation
    intercept: int                  # RescaleIntercept
    kernels: dict[str, Kernel]


SCANNERS = (
    Scanner(.55, "GE MEDICAL SYSTEMS", "GE", "LightSpeed QX/i", 2.5, 2.5, 1, -1024,
            {"STANDARD": Kernel(.9, .50, 0., 26., 2), "LUNG": Kernel(.1, .38, .9, 55., 3)}),
    Scanner(.25, "SIEMENS", "SIEMENS", "Volume Zoom", 2.0, 2.0, 0, -1024,
            {"B30f": Kernel(.3, .55, 0., 24., 8), "B50f": Kernel(.7, .40, .5, 42., 7)}),
    Scanner(.12, "Philips", "PHILIPS", "Mx8000", 2.5, 2.0, 0, -1000,
            {"C": Kernel(.8, .52, 0., 26., 5), "D": Kernel(.2, .38, .7, 48., 4)}),
    Scanner(.08, "TOSHIBA", "TOSHIBA", "Aquilion", 2.0, 2.0, 1, 0,
            {"FC10": Kernel(.6, .52, 0., 28., 10), "FC51": Kernel(.4, .40, .7, 50., 11)}),
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


NLST_SHARES = tuple(scanner.share for scanner in SCANNERS)


def _any_protocol(rng, diameter: float | None = None, shares=NLST_SHARES) -> Protocol:
    """Protocol on any scanner, with a kernel, a dose and a reconstruction diameter (mm), drawn too where None."""
    scanner = SCANNERS[rng.choice(len(SCANNERS), p=shares)]
    if diameter is None:
        diameter = rng.normal(350, 32)
    shares = [kernel.share for kernel in scanner.kernels.values()]
    name = str(rng.choice(list(scanner.kernels), p=shares))
    kernel = scanner.kernels[name]
    mas = int(rng.choice([40, 50, 60]))
    noise = kernel.noise * (math.sqrt(50 / mas) * rng.uniform(.85, 1.15))
    return Protocol(manufacturer=scanner.manufacturer, vendor=scanner.vendor, model=scanner.model,
                    thickness=scanner.thickness, gap=scanner.gap, signed=scanner.signed, intercept=scanner.intercept,
                    kernel=name, blur=kernel.blur, edge=kernel.edge, noise=noise, filter_code=kernel.filter_code,
                    diameter=_whole_diameter(diameter), mas=mas)


def _whole_diameter(diameter: float) -> int:
    """A reconstruction diameter as scanners offer it, mm."""
    return int(np.clip(diameter, 256, 435))


def draw_protocol(rng, shares=NLST_SHARES) -> Protocol:
    """Protocol of a first screen; pixels of 0.50 to 0.85 mm; `shares` of the participants on each of SCANNERS.

    Source: ours; NLST_SHARES and the kernels are near those of the NLST series in the public nodule list.
    """
    return _any_protocol(rng, shares=shares)


def next_protocol(rng, before: Protocol) -> Protocol:
    """Protocol a year later: in nine of ten the same scanner and kernel, another dose and a slightly other diameter.

    Source: ours; in the public nodule list 99 % keep the vendor and 95 % the kernel.
    """
    diameter = before.diameter + rng.normal(0, 8)
    if rng.random() >= .9:
        return _any_protocol(rng, diameter)
    noise = before.noise * rng.uniform(.85, 1.18)
    return replace(before, diameter=_whole_diameter(diameter), noise=noise)


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
    centre = (side * rng.uniform(45, 110), rng.uniform(-60, 70), -rng.uniform(80, 260))
    return Place(centre_mm=centre, number=int(rng.integers(30, 110)), head_first=bool(rng.random() < .8))


def next_place(rng, before: Place) -> Place:
    """The place a year later: some millimetres and slices away.

    Source: ours; in the public nodule list the slice numbers of T0 and T1 differ by 4 in the median.
    """
    centre = tuple(np.add(before.centre_mm, rng.normal(0, 6, 3)).tolist())
    number = max(before.number + round(rng.normal(0, 6)), 2)
    return replace(before, centre_mm=centre, number=number)


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


def nodule_box(nodule: TrueNodule, angle: float, spacing: float, centre_px) -> tuple:
    """Box of the ellipse and one pixel around it: x, y of the upper left pixel, width, height, whole pixels."""
    a = nodule.longest / 2
    b = nodule.perpendicular / 2
    half_x = math.hypot(a * math.cos(angle), b * math.sin(angle))                   # mm
    half_y = math.hypot(a * math.sin(angle), b * math.cos(angle))
    width = math.ceil(2 * half_x / spacing) + 2
    height = math.ceil(2 * half_y / spacing) + 2
    x = round(float(centre_px[0]) - (width - 1) / 2)
    y = round(float(centre_px[1]) - (height - 1) / 2)
    return x, y, width, height


def acquire(anatomy: Anatomy, nodule: TrueNodule, year: int, protocol: Protocol, place: Place, z, rng,
            field_mm=FIELD_MM) -> Acquisition:
    """Scan one visit: the nodule up to 1.2 mm off the middle of a square of `field_mm`.

    Source: ours; the stored piece is as small as a crop allows, so that a whole cohort stays below 600 MB.
    """
    visit = draw_visit(rng, year)
    n = next_fast_len(math.ceil(field_mm / protocol.spacing), real=True)
    centre = (n - 1) / 2 + rng.uniform(-1.2, 1.2, 2) / protocol.spacing
    x = (np.arange(n) - centre[0]) * protocol.spacing
    y = (np.arange(n) - centre[1]) * protocol.spacing
    hu = render(anatomy, visit, nodule, protocol, x, y, z, rng)
    box = nodule_box(nodule, anatomy.shape.angle + visit.turn, protocol.spacing, centre)
    return Acquisition(hu=hu, z=z, centre_px=tuple(centre.tolist()), box=box, place=place)
