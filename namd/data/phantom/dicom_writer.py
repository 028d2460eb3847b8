"""DICOM files of one series, byte for byte the same whenever the keys are."""

from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from namd.data.codes import FIRST_STUDY_YEAR
from namd.data.phantom.scanner import KVP, Acquisition, Protocol

STUDY_DATE = {year: f"{FIRST_STUDY_YEAR + year}0102" for year in (0, 1)}
NAME = 0x00080018       # tag of SOPInstanceUID: a slice's own stands between what slices share
WHERE = 0x00200013      # of InstanceNumber, which ImagePositionPatient follows
PIXELS = 0x7FE00010     # of PixelData, the last


def uid(*keys) -> str:
    """Unique identifier fixed by its keys."""
    return str(generate_uid(entropy_srcs=["namd phantom", *map(str, keys)]))


CONSTANT = dict(
    SpecificCharacterSet="ISO_IR 100", ImageType=("ORIGINAL", "PRIMARY", "AXIAL"), SOPClassUID=CTImageStorage,
    Modality="CT", PatientPosition="HFS", PatientName="PHANTOM", PatientBirthDate="", PatientSex="", StudyTime="",
    AccessionNumber="", ReferringPhysicianName="", StudyID="", KVP=KVP, SeriesNumber=2, PositionReferenceIndicator="",
    ImageOrientationPatient=(1, 0, 0, 0, 1, 0), SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2",
    BitsAllocated=16, RescaleSlope=1, RescaleType="HU", WindowCenter=-600, WindowWidth=1500,
)


def _series_header(protocol: Protocol, matrix: int, patient_id: str, study: dict, keys) -> dict:
    """Attributes that all slices of a series share, by keyword."""
    bits = 16 if protocol.signed else 12
    return CONSTANT | study | dict(
        Manufacturer=protocol.manufacturer, ManufacturerModelName=protocol.model, ConvolutionKernel=protocol.kernel,
        PatientID=patient_id, SliceThickness=protocol.thickness, ReconstructionDiameter=protocol.diameter,
        StudyInstanceUID=uid(*keys, "study"), SeriesInstanceUID=uid(*keys, "series"),
        FrameOfReferenceUID=uid(*keys, "frame"), Rows=matrix, Columns=matrix,
        PixelSpacing=(protocol.spacing, protocol.spacing), BitsStored=bits, HighBit=bits - 1,
        PixelRepresentation=protocol.signed, RescaleIntercept=protocol.intercept,
    )


def screen(protocol: Protocol, year: int) -> dict:
    """What names a series as one of a screen of NLST, by keyword."""
    return dict(StudyDate=STUDY_DATE[year], SeriesDate=STUDY_DATE[year], ClinicalTrialTimePointID=f"T{year}",
                SeriesDescription=_description(protocol, year))


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


@lru_cache(maxsize=2048, typed=True)
def _element(keyword: str, value) -> tuple[int, bytes]:
    """Tag and bytes of one attribute; several values are a tuple."""
    ds = Dataset()
    setattr(ds, keyword, list(value) if isinstance(value, tuple) else value)
    tag, = ds.keys()
    return tag, encode(ds)


def _encoded(header: dict, *cuts) -> list[bytes]:
    """The attributes of `header` in the order of tags, in pieces: from one tag of `cuts` to below the next."""
    elements = sorted(_element(keyword, value) for keyword, value in header.items())
    tags = [tag for tag, _ in elements]
    edges = [bisect_left(tags, cut) for cut in cuts]
    return [b"".join(content for _, content in elements[start:end]) for start, end in pairwise(edges)]


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
    _, name = _element("SOPInstanceUID", some_uid)
    return some_uid, buffer.getvalue(), name


def _slice_bytes(shared: list, sop_uid: str, number: int, position, pixels) -> bytes:
    """One DICOM file: preamble, meta, and the slice's own elements between the encoded `shared` ones (tag order)."""
    some_uid, meta, name = _named(len(sop_uid))
    meta = meta.replace(some_uid.encode(), sop_uid.encode())
    name = name.replace(some_uid.encode(), sop_uid.encode())
    place, = _encoded(dict(InstanceNumber=number, ImagePositionPatient=tuple(f"{v:.4f}" for v in position)), 0, PIXELS)
    pixel_data = b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels
    return b"".join([meta, shared[0], name, shared[1], place, shared[2], pixel_data])


def write_series(folder: Path, scan: Acquisition, protocol: Protocol, patient_id: str, study: dict, keys) -> str:
    """Write a scan as DICOM files, one a slice; returns the SeriesInstanceUID.

    What slices share is encoded once, and what series share is remembered: pydicom spends more time on a header than
    this phantom on a picture.

    Args:
        study: attributes that say which study it is, by keyword, as of `screen`.
        keys: of the UIDs, which are uid(*keys, "study"), uid(*keys, "series") and, of slice k, uid(*keys, k).

    Source: DICOM PS3.3 C.8.2 (CT image), PS3.5 7 (tags ascend); HU = stored value + RescaleIntercept.
    """
    folder.mkdir(parents=True)
    header = _series_header(protocol, scan.hu.shape[1], patient_id, study, keys)
    shared = _encoded(header, 0, NAME, WHERE, PIXELS)
    low, high = (-32768, 32767) if protocol.signed else (0, 4095)
    stored = np.clip(np.rint(scan.hu) - protocol.intercept, low, high).astype("<i2" if protocol.signed else "<u2")
    corner = [mm - px * protocol.spacing for mm, px in zip(scan.place.centre_mm, scan.centre_px, strict=False)]
    for k, pixels in enumerate(stored):
        step = -1 if scan.place.head_first else 1
        number = scan.place.number + (k - len(stored) // 2) * step
        position = (*corner, scan.place.centre_mm[2] + scan.z[k])
        content = _slice_bytes(shared, uid(*keys, k), number, position, pixels.tobytes())
        (folder / f"1-{number:03d}.dcm").write_bytes(content)
    return header["SeriesInstanceUID"]
