"""Drawn follow-ups as DICOM files that cannot pass for a scan: secondary captures that say SYNTHETIC everywhere."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from namd.data.images import HU_HIGH, HU_LOW, MM_PER_PX

SYNTHETIC = "SYNTHETIC"
RESEARCH_ONLY = "research only, not for clinical use"


def write_secondary(folder, hu, window, entropy) -> list[Path]:
    """One file for each drawn image: draw_01.dcm, draw_02.dcm, ...

    Args:
        folder: made when it is missing.
        hu: (K, S, S) HU on pixels of 0.6 mm.
        window: (low, high) HU, the display window.
        entropy: texts that name the draws; the same texts give the same UIDs and, with the same images, the same
            bytes. The first is the SeriesInstanceUID of the scan, which alone names the (invented) patient and study.

    Returns:
        The K files. Bands with SYNTHETIC and RESEARCH ONLY stand above and below the image, so they hide none of it;
        nothing of the patient's identity is copied.

    Source: ours, because a synthetic image that leaves this program must not enter a record as a scan.
    """
    folder = Path(folder)
    files = []
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(hu, start=1):
        ds = _study(entropy, window)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*entropy, f"draw {k}"])
        ds.InstanceNumber = k
        ds.ImageComments = f"{SYNTHETIC} draw {k} of {len(hu)}; {RESEARCH_ONLY}"
        stored = np.rint(np.clip(framed(image, window), HU_LOW, HU_HIGH)).astype(np.int32) - HU_LOW
        ds.Rows, ds.Columns = stored.shape
        ds.PixelData = stored.astype("<u2").tobytes()
        file = folder / f"draw_{k:02d}.dcm"
        ds.save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def framed(image, window) -> np.ndarray:
    """(S + 2 b, S) HU: the image between two bands of b = S / 8 rows with their words, at the ends of the window."""
    side = image.shape[1]
    band = side // 8
    words = Image.new("L", (side, side + 2 * band))
    font = ImageFont.load_default(size=7 * side / 64)
    draw = ImageDraw.Draw(words)
    draw.text((side / 2, band / 2), SYNTHETIC, fill=255, font=font, anchor="mm")
    draw.text((side / 2, side + 1.5 * band), "RESEARCH ONLY", fill=255, font=font, anchor="mm")
    framed = window[0] + np.asarray(words, dtype=np.float32) / 255 * (window[1] - window[0])
    framed[band:band + side] = image
    return framed


def _study(entropy, window) -> Dataset:
    """All elements that the draws of one prediction share."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    _identify(ds, entropy)
    _describe(ds, window)
    return ds


def _identify(ds: Dataset, entropy) -> None:
    """Who and whose: an invented patient and study, named by the source series alone."""
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[*entropy[:1], "study"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[*entropy, "series"])
    ds.SeriesNumber = 1
    ds.PatientName = f"{SYNTHETIC}^RESEARCH ONLY"
    ds.PatientID = "NAMD-" + ds.StudyInstanceUID[-8:]
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "nothing copied from the source scan"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyDate = ds.StudyTime = ds.StudyID = ""
    ds.AccessionNumber = ds.ReferringPhysicianName = ds.PatientOrientation = ""
    ds.Manufacturer = "NAMD study, no scanner"


def _describe(ds: Dataset, window) -> None:
    """What it is, in words and as pixels of 16 bits that hold HU."""
    ds.SyntheticData = "YES"
    ds.ImageType = ["DERIVED", "SECONDARY", SYNTHETIC]
    ds.Modality = "OT"
    ds.ConversionType = "SYN"
    ds.SeriesDescription = f"{SYNTHETIC} follow-up, {RESEARCH_ONLY}"
    ds.DerivationDescription = f"{SYNTHETIC}: drawn by a diffusion model (NAMD), not acquired; {RESEARCH_ONLY}"
    ds.BurnedInAnnotation = "YES"
    ds.LossyImageCompression = "00"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.PixelSpacing = ds.NominalScannedPixelSpacing = [MM_PER_PX, MM_PER_PX]
    ds.RescaleSlope = 1
    ds.RescaleIntercept = HU_LOW
    ds.RescaleType = "HU"
    ds.WindowCenter = sum(window) / 2
    ds.WindowWidth = window[1] - window[0]
