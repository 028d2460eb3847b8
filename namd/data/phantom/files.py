"""DICOM files of one series, byte for byte the same whenever the keys are."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

STUDY_DATE = {0: "19990102", 1: "20000102"}


def uid(*keys) -> str:
    """Unique identifier fixed by its keys."""
    return str(generate_uid(entropy_srcs=["namd phantom", *map(str, keys)]))


@lru_cache
def _constants() -> Dataset:
    """Elements that are the same in every series."""
    ds = Dataset()
    ds.SpecificCharacterSet, ds.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID, ds.Modality, ds.PatientPosition = CTImageStorage, "CT", "HFS"
    ds.StudyTime, ds.AccessionNumber, ds.ReferringPhysicianName, ds.StudyID = "", "", "", ""
    ds.PatientName, ds.PatientBirthDate, ds.PatientSex = "PHANTOM", "", ""
    ds.KVP, ds.SeriesNumber, ds.PositionReferenceIndicator = 120, 2, ""
    ds.ImageOrientationPatient, ds.SamplesPerPixel, ds.PhotometricInterpretation = [1, 0, 0, 0, 1, 0], 1, "MONOCHROME2"
    ds.BitsAllocated, ds.RescaleSlope, ds.RescaleType = 16, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = -600, 1500
    return ds


def _series_header(p, matrix: int, patient_id: str, year: int, keys) -> Dataset:
    """Elements that all slices of a series share, the constants included."""
    ds = Dataset()
    ds.update(_constants())
    ds.StudyDate = ds.SeriesDate = STUDY_DATE[year]
    ds.Manufacturer, ds.ManufacturerModelName, ds.ConvolutionKernel = p.manufacturer, p.model, p.kernel
    ds.SeriesDescription = (f"{year},OPA,{p.vendor},{p.model},{p.kernel},{p.diameter},{p.thickness},120,{2 * p.mas},"
                            f"{p.mas},1.5")
    ds.PatientID, ds.ClinicalTrialTimePointID = patient_id, f"T{year}"
    ds.SliceThickness, ds.ReconstructionDiameter = p.thickness, p.diameter
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (
        uid(*keys, kind) for kind in ("study", "series", "frame"))
    ds.Rows = ds.Columns = matrix
    ds.PixelSpacing = [p.spacing, p.spacing]
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = (16, 15, 1) if p.signed else (12, 11, 0)
    ds.RescaleIntercept = p.intercept
    return ds


def encode(ds: Dataset) -> bytes:
    """Elements of `ds` as explicit little endian bytes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return buffer.getvalue()


@lru_cache
def _named(n_characters: int) -> tuple[str, bytes, bytes]:
    """A UID of that length, and what names a slice by it: preamble with meta, and SOPInstanceUID."""
    some_uid, meta, name, buffer = "1" * n_characters, FileMetaDataset(), Dataset(), DicomBytesIO()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, some_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta, enforce_standard=True)
    name.SOPInstanceUID = some_uid
    return some_uid, buffer.getvalue(), encode(name)


def _slice_bytes(shared: tuple, sop_uid: str, number: int, position, pixels) -> bytes:
    """One DICOM file: preamble, meta, and the slice's own elements between the encoded `shared` ones (tag order)."""
    some_uid, *named = _named(len(sop_uid))
    meta, name = (part.replace(some_uid.encode(), sop_uid.encode()) for part in named)
    place = Dataset()
    place.InstanceNumber, place.ImagePositionPatient = number, [f"{v:.4f}" for v in position]
    pixel_data = b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels
    return b"".join([meta, shared[0], name, shared[1], encode(place), shared[2], pixel_data])


def write_series(folder: Path, scan, protocol, patient_id: str, year: int, keys) -> str:
    """Write an `Acquisition` as DICOM files, one a slice; returns the SeriesInstanceUID.

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
        number = scan.place.number + (k - len(stored) // 2) * (-1 if scan.place.head_first else 1)
        position = *corner, scan.place.centre_mm[2] + scan.z[k]
        (folder / f"1-{number:03d}.dcm").write_bytes(
            _slice_bytes(shared, uid(*keys, k), number, position, pixels.tobytes()))
    return ds.SeriesInstanceUID
