"""A hand-made NLST delivery of a few participants: real CSV and DICOM files, values chosen to be checked by hand."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

REPO = Path(__file__).parents[2]
REAL = Path(os.environ.get("NAMD_REAL_DATA", REPO.parent / "shared" / "real"))
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data: {REAL} is absent (set NAMD_REAL_DATA)")
PARAMS = SimpleNamespace(data_workers=1, data_label_days=2555, data_second_year=True, data_val_share=0.25,
                         data_test_share=0.4, data_split_seed=23)
SPACING = 0.75                            # mm, of a pixel
SIDE = 120                                # pixels
GAP = 2.5                                 # mm between slices
CENTRE = (60.0, 58.0)                     # pixel (column, row) of every nodule
POINT = (-40 + CENTRE[0] * SPACING, -30 + CENTRE[1] * SPACING, 0.0)     # mm, where it lies in the middle slice


def write_slice(path, stored, z=0.0, instance=1, uid="1.2.3", sop=None, **overrides):
    """One CT file; `overrides` replace header elements, None deletes one."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Modality = "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = sop or f"{uid}.{instance}"
    ds.SeriesInstanceUID = uid
    ds.StudyInstanceUID = f"{uid}.9"
    ds.PatientID = "100001"
    ds.StudyDate = "19990102"
    ds.InstanceNumber = instance
    ds.ImagePositionPatient = [-40.0, -30.0, z]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [SPACING, SPACING]
    ds.SliceThickness = 2.5
    ds.ConvolutionKernel = "STANDARD"
    ds.Manufacturer = "ACME"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.RescaleSlope = 1
    ds.RescaleIntercept = -1024
    ds.PixelData = stored.tobytes()
    for name, value in overrides.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def nodule_hu(radius_mm, side=SIDE):
    """(side, side) HU: lung at -850, a disc of 40 at CENTRE."""
    rows, columns = np.mgrid[:side, :side]
    inside = np.hypot(columns - CENTRE[0], rows - CENTRE[1]) * SPACING <= radius_mm
    return np.where(inside, 40, -850)


def write_series(folder, pid, year, radius_mm, number=20, head_first=True, **overrides):
    """Three slices; the middle one, with InstanceNumber `number`, shows the nodule. Returns the series UID.

    No two participants have the same image: one pixel in the corner of the crop is their own.
    """
    uid = f"1.2.{pid}.{year}"
    for k in (-1, 0, 1):
        hu = nodule_hu(radius_mm if k == 0 else 0.0)
        hu[15, 100] += 15 * (pid % 60)
        write_slice(Path(folder, f"{k + 1}.dcm"), (hu + 1024).astype(np.uint16), z=GAP * k, uid=uid,
                    instance=number - k if head_first else number + k, PatientID=str(pid),
                    StudyDate=f"{1999 + year}0102", **overrides)
    return uid


def tables(n=5):
    """Tables of n participants with one nodule of 10 mm (12 mm at T1) each; the odd ones get cancer on day 500."""
    pids = [100001 + i for i in range(n)]
    people = pd.DataFrame(dict(pid=pids, age=60, gender=[1 + i % 2 for i in range(n)], rndgroup=1, scr_days0=10,
                               scr_days1=375, diagemph=1, famfather=0, fammother=0, fambrother=0, famsister=0,
                               famchild=[".M", *[0] * (n - 1)], locrup=[i % 2 for i in range(n)]))
    rows = [dict(pid=pid, study_yr=year, sct_ab_num=1, sct_ab_desc=51, sct_epi_loc=1, sct_pre_att=1, sct_margins=2,
                 sct_long_dia=10 + 2 * year, sct_perp_dia=8, sct_slice_num=20) for pid in pids for year in (0, 1)]
    cancer = pd.DataFrame(dict(pid=pids[1::2], lc_order=1, first_lc=1, candx_days=500))
    centres = pd.DataFrame([dict(
        fold=0, PID=pid, study_yr=year, malignancy="M" if i % 2 else "B", seriesinstanceuids=f"1.2.{pid}.{year}",
        **{"Abnormality UID": 1.0, "Slice number": 20.0, "Bounding box x (pixels)": CENTRE[0] - 7,
           "Bounding box y (pixels)": CENTRE[1] - 5, "Bounding box width (pixels)": 15.0,
           "Bounding box height (pixels)": 11.0}) for i, pid in enumerate(pids) for year in (0, 1)])
    comparison = pd.DataFrame([dict(pid=pid, study_yr=1, sct_ab_num=1, sct_ab_preexist=2) for pid in pids])
    return dict(people=people, abnormalities=pd.DataFrame(rows), comparison=comparison, cancer=cancer, centres=centres)


def write_delivery(folder, made):
    """Write the tables, under names that say nothing, and the series of every centre."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i, table in enumerate(made.values()):
        table.to_csv(folder / f"file{i}.csv", index=False)
    for pid in made["people"].pid:
        for year in (0, 1):
            write_series(folder / "images" / f"{pid}_{year}", pid, year, 5 + year)
    return folder
