"""A phantom as open NLST lists it: every other participant by GM-AE alone, a year longer, some without their rows."""

from pathlib import Path

import pandas as pd
import pydicom
from stand_in import write_phantom

from namd.data.phantom.dicom_writer import uid

UNNAMED = 7                                 # of so many of GM-AE's, one has no row where the list points


def write_listed(folder, n_subjects):
    """A delivery that does not call itself synthetic; GM-AE's have a third year, their second again."""
    write_phantom(folder, n_subjects)
    tables = {file.stem: pd.read_csv(file, dtype=str) for file in Path(folder).glob("*.csv")}
    centres = tables["nodule_centres"]
    usable = centres.groupby("PID").filter(lambda rows: len(rows) == 2 and (rows["Slice number"] != "999").all())
    moved = [pid for pid in usable.PID.unique()[::2] if (folder / "dicom" / pid / "1").is_dir()]
    listed = [row for pid in moved for row in _three_years(folder, centres[centres.PID == pid])]
    tables["gmae"] = pd.DataFrame(listed)
    tables["nodule_centres"] = centres[~centres.PID.isin(moved)]
    rows = tables["sct_abnormalities"]
    rows.loc[rows.pid.isin(moved[::UNNAMED]) & rows.sct_slice_num.notna(), "sct_slice_num"] = "500"
    for name, table in tables.items():
        table.drop(columns="dataset_version", errors="ignore").to_csv(folder / f"{name}.csv", index=False)
    return folder


def _three_years(folder, rows):
    """GM-AE's rows of one participant, and the series of the third year."""
    found = [_point(folder, row) for row in rows.to_dict("records")]
    last = found[-1]
    return [*found, last | dict(seriesId=_copy(folder, rows.PID.iloc[0]), study_year=2, id=last["id"][:-1] + "2")]


def _point(folder, row):
    """A row of GM-AE at the middle of a box of NLSTx."""
    pid, year = row["PID"], int(row["study_yr"])
    number = int(row["Slice number"])
    file = next(file for file in (folder / "dicom" / pid / str(year)).iterdir() if file.stem.endswith(f"-{number:03d}"))
    ds = pydicom.dcmread(file, stop_before_pixels=True)
    x, y, width, height = (float(row[f"Bounding box {what} (pixels)"]) for what in ("x", "y", "width", "height"))
    corner = [float(value) for value in ds.ImagePositionPatient]
    return dict(pId=pid, seriesId=row["seriesinstanceuids"], study_year=year, nodId=f"{pid}_0", id=f"{pid}_0_t{year}",
                cx_world=corner[0] + (x + (width - 1) / 2) * ds.PixelSpacing[1],
                cy_world=corner[1] + (y + (height - 1) / 2) * ds.PixelSpacing[0], cz_world=corner[2])


def _copy(folder, pid):
    """The series of the second year as one of the third; its SeriesInstanceUID."""
    (folder / "dicom" / pid / "2").mkdir()
    for file in (folder / "dicom" / pid / "1").iterdir():
        ds = pydicom.dcmread(file)
        for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            ds[name].value = uid(ds[name].value, "a year later")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.StudyDate = ds.SeriesDate = ds.StudyDate.replace("2000", "2001")
        ds.ClinicalTrialTimePointID = "T2"
        ds.SeriesDescription = "2" + ds.SeriesDescription[1:]
        ds.save_as(folder / "dicom" / pid / "2" / file.name)
    return ds.SeriesInstanceUID
