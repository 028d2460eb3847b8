"""DICOM files of one series, byte for byte the same whenever the keys are."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from namd.data.codes import FIRST_STUDY_YEAR
from namd.data.phantom.scanner import KVP, Acquisition, Protocol

STUDY_DATE = {year: f"{FIRST_STUDY_YEAR + year}0102" for year in (0, 1)}


def uid(*keys) -> str:
    """Unique identifier fixed by its keys."""
    return str(generate_uid(entropy_srcs=["namd phantom", *map(str, keys)]))


@lru_cache
def _constants() -> Dataset:
    """Elements that are the same in every series."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.PatientPosition = "HFS"
    ds.PatientName = "PHANTOM"
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ds.StudyID = ""
    ds.KVP = KVP
    ds.SeriesNumber = 2
    ds.PositionReferenceIndicator = ""
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = 16
    ds.RescaleSlope = 1
    ds.RescaleType = "HU"
    ds.WindowCenter = -600
    ds.WindowWidth = 1500
    return ds


def _series_header(protocol: Protocol, matrix: int, patient_id: str, year: int, keys) -> Dataset:
    """Elements that all slices of a series share, the constants included."""
    ds = Dataset()
    ds.update(_constants())
    ds.StudyDate = ds.SeriesDate = STUDY_DATE[year]
    ds.Manufacturer = protocol.manufacturer
    ds.ManufacturerModelName = protocol.model
    ds.ConvolutionKernel = protocol.kernel
    ds.SeriesDescription = _description(protocol, year)
    ds.PatientID = patient_id
    ds.ClinicalTrialTimePointID = f"T{year}"
    ds.SliceThickness = protocol.thickness
    ds.ReconstructionDiameter = protocol.diameter
    ds.StudyInstanceUID = uid(*keys, "study")
    ds.SeriesInstanceUID = uid(*keys, "series")
    ds.FrameOfReferenceUID = uid(*keys, "frame")
    ds.Rows = ds.Columns = matrix
    ds.PixelSpacing = [protocol.spacing, protocol.spacing]
    ds.BitsStored = 16 if protocol.signed else 12
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = protocol.signed
    ds.RescaleIntercept = protocol.intercept
    return ds


def _description(protocol: Protocol, year: int) -> str:
    """SeriesDescription as NLST writes it: eleven fields, of which the second is the view."""
    return (f"{year},OPA,{protocol.vendor},{protocol.model},{protocol.kernel},{protocol.diameter},"
            f"{protocol.thickness},{KVP},{2 * protocol.mas},{protocol.mas},1.5")


def encode(ds: Dataset) -> bytes:
    """Elements of `ds` as explicit little endian bytes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    write_dataset(buffer, ds)
    return buffer.getvalue()


@lru_cache
def _named(n_characters: int) -> tuple[str, bytes, bytes]:
    """A UID of that length, and what names a slice by it: preamble with meta, and SOPInstanceUID."""
    some_uid = "1" * n_characters
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = some_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta, enforce_standard=True)
    name = Dataset()
    name.SOPInstanceUID = some_uid
    return some_uid, buffer.getvalue(), encode(name)


def _slice_bytes(shared: tuple, sop_uid: str, number: int, position, pixels) -> bytes:
    """One DICOM file: preamble, meta, and the slice's own elements between the encoded `shared` ones (tag order)."""
    some_uid, meta, name = _named(len(sop_uid))
    meta = meta.replace(some_uid.encode(), sop_uid.encode())
    name = name.replace(some_uid.encode(), sop_uid.encode())
    place = Dataset()
    place.InstanceNumber = number
    place.ImagePositionPatient = [f"{v:.4f}" for v in position]
    pixel_data = b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels
    return b"".join([meta, shared[0], name, shared[1], encode(place), shared[2], pixel_data])


def write_series(folder: Path, scan: Acquisition, protocol: Protocol, patient_id: str, year: int, keys) -> str:
    """Write a scan as DICOM files, one a slice; returns the SeriesInstanceUID.

    What the slices share is encoded once: pydicom spends more time on a header than this phantom on a picture.

    Source: DICOM PS3.3 C.8.2 (CT image), PS3.5 7 (tags ascend); HU = stored value + RescaleIntercept.
    """
    folder.mkdir(parents=True)
    ds = _series_header(protocol, scan.hu.shape[1], patient_id, year, keys)
    cuts = (0x00080000, 0x00080018), (0x00080018, 0x00200013), (0x00200032, 0x7FE00010)
    shared = tuple(encode(ds[low:high]) for low, high in cuts)
    low, high = (-32768, 32767) if protocol.signed else (0, 4095)
    stored = np.clip(np.rint(scan.hu) - protocol.intercept, low, high).astype("<i2" if protocol.signed else "<u2")
    corner = [mm - px * protocol.spacing for mm, px in zip(scan.place.centre_mm, scan.centre_px, strict=False)]
    for k, pixels in enumerate(stored):
        step = -1 if scan.place.head_first else 1
        number = scan.place.number + (k - len(stored) // 2) * step
        position = (*corner, scan.place.centre_mm[2] + scan.z[k])
        content = _slice_bytes(shared, uid(*keys, k), number, position, pixels.tobytes())
        (folder / f"1-{number:03d}.dcm").write_bytes(content)
    return ds.SeriesInstanceUID
