"""The scan of a visit: protocol, where the slices lie, and the DICOM files of one series."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.fft import next_fast_len

N_SLICES, MATRIX_OF_SCANNER, FIELD_MM = 3, 512, 82.
STUDY_DATE = {0: "19990102", 1: "20000102"}
# vendor, model, thickness, gap, PixelRepresentation, RescaleIntercept, {kernel: (share, blur mm, edge, noise HU, form code)}
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

    @property
    def matrix(self) -> int:
        """Rows and columns of the stored piece, enough for a crop of 76.8 mm anywhere near its middle."""
        return next_fast_len(int(np.ceil(FIELD_MM / self.spacing)), real=True)


def _scanner(rng, which, diameter: float) -> Protocol:
    """Protocol on scanner `which` with a kernel, a dose and a reconstruction diameter."""
    _, manufacturer, vendor, model, thickness, gap, signed, intercept, kernels = SCANNERS[which]
    kernel = rng.choice(list(kernels), p=[k[0] for k in kernels.values()])
    _, blur, edge, noise, code = kernels[kernel]
    mas = int(rng.choice([40, 50, 60]))
    return Protocol(manufacturer, vendor, model, thickness, gap, signed, intercept, str(kernel), blur, edge,
                    noise * float(np.sqrt(50 / mas) * rng.uniform(.85, 1.15)), code, int(np.clip(diameter, 256, 435)), mas)


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
    quiet = before.noise * rng.uniform(.85, 1.18)
    return Protocol(**{**before.__dict__, "diameter": int(np.clip(diameter, 256, 435)), "noise": float(quiet)})


@dataclass(frozen=True)
class Placement:
    """Where a series lies: the nodule in the matrix (px), the body on the table (mm) and the numbers of its slices."""

    centre_px: np.ndarray     # (2,) x, y of the nodule
    centre_mm: np.ndarray     # (3,) of the nodule, patient axes
    number: int               # InstanceNumber of the nodule's slice
    head_first: bool          # numbers run from the head down


def draw_placement(rng, protocol: Protocol, side: int) -> Placement:
    """Nodule up to 1.5 mm off the middle of the matrix; the slice number as in a whole series of the chest.

    Source: ours; most NLST series are numbered from the head down, some from the feet up.
    """
    middle = (protocol.matrix - 1) / 2 + rng.uniform(-1.5, 1.5, 2) / protocol.spacing
    place = np.array([side * rng.uniform(45, 110), rng.uniform(-60, 70), -rng.uniform(80, 260)])
    return Placement(middle, np.round(place, 3), int(rng.integers(24, 110)), bool(rng.random() < .8))


def offsets(protocol: Protocol, uneven: bool = False) -> np.ndarray:
    """z of the slices from the nodule's slice, mm, increasing; `uneven` moves the last one 3 mm further."""
    z = protocol.gap * (np.arange(N_SLICES) - N_SLICES // 2)
    return z + 3. * uneven * (z > 0)


def pixel_axes(protocol: Protocol, placement: Placement):
    """x and y of the pixels from the nodule, mm, two (matrix,) arrays."""
    return tuple((np.arange(protocol.matrix) - c) * protocol.spacing for c in placement.centre_px)


def uid(*keys) -> str:
    """Unique identifier fixed by its keys."""
    return str(generate_uid(entropy_srcs=["namd phantom", *map(str, keys)]))


def _series_header(p: Protocol, patient_id: str, year: int, keys) -> Dataset:
    """Elements that all slices of a series share."""
    ds = Dataset()
    ds.SpecificCharacterSet, ds.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.Modality, ds.PatientPosition = CTImageStorage, "CT", "HFS"
    ds.StudyDate = ds.SeriesDate = STUDY_DATE[year]
    ds.StudyTime, ds.AccessionNumber, ds.ReferringPhysicianName, ds.StudyID = "", "", "", ""
    ds.Manufacturer, ds.ManufacturerModelName, ds.ConvolutionKernel = p.manufacturer, p.model, p.kernel
    ds.SeriesDescription = (f"{year},OPA,{p.vendor},{p.model},{p.kernel},{p.diameter},{p.thickness},120,{2 * p.mas},"
                            f"{p.mas},1.5")
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "PHANTOM", patient_id, "", ""
    ds.ClinicalTrialTimePointID = f"T{year}"
    ds.SliceThickness, ds.KVP, ds.ReconstructionDiameter = p.thickness, 120, p.diameter
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(*keys, "study"), uid(*keys, "series")
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid(*keys, "frame"), ""
    ds.SeriesNumber, ds.ImageOrientationPatient = 2, [1, 0, 0, 0, 1, 0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = p.matrix
    ds.PixelSpacing = [p.spacing, p.spacing]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16 if p.signed else 12, 15 if p.signed else 11
    ds.PixelRepresentation, ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = p.signed, p.intercept, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = -600, 1500
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    return ds


def write_series(folder: Path, hu, z, protocol: Protocol, placement: Placement, patient_id: str, year: int, keys) -> str:
    """Write the slices `hu` (k, matrix, matrix) at `z` mm as DICOM files; returns the SeriesInstanceUID.

    Source: DICOM PS3.3 C.8.2 (CT image); HU = stored value + RescaleIntercept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ds = _series_header(protocol, patient_id, year, keys)
    low, high = (-32768, 32767) if protocol.signed else (0, 4095)
    stored = np.clip(np.rint(hu) - protocol.intercept, low, high).astype("<i2" if protocol.signed else "<u2")
    corner = placement.centre_mm[:2] - placement.centre_px * protocol.spacing
    for k, pixels in enumerate(stored):
        step = (k - N_SLICES // 2) * (-1 if placement.head_first else 1)
        ds.InstanceNumber = placement.number + step
        ds.ImagePositionPatient = [f"{v:.4f}" for v in (*corner, placement.centre_mm[2] + z[k])]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid(*keys, k)
        ds.PixelData = pixels.tobytes()
        dcmwrite(folder / f"1-{ds.InstanceNumber:03d}.dcm", ds, enforce_file_format=True)
    return ds.SeriesInstanceUID
