"""Names that are no readable file, and DICOM objects that are no slice: passed over."""

import gzip
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from small_delivery import PARAMS, tables, write_delivery, write_series, write_slice
from two_participants import POINT, read

from namd.data.dicom.nodule import read_nodule_at
from namd.data.dicom.series import find_series, read_series
from namd.data.nlst.build import build_cohort
from namd.data.refused import RefusedError
from namd.ground.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore")


def junk(folder):
    """Names that are no readable DICOM file, before and behind the slices in the order of names."""
    os.symlink("nowhere", folder / "!gone.dcm")
    os.symlink("!loop", folder / "!loop")
    os.mkfifo(folder / "!pipe.dcm")
    os.symlink("!pipe.dcm", folder / "!to_pipe")
    here = socket.socket(socket.AF_UNIX)
    place = Path.cwd()
    os.chdir(folder)                                          # a socket's name may have 107 characters
    here.bind("!socket")
    os.chdir(place)
    here.close()
    (folder / "!x.dcm").mkdir()
    (folder / "!empty").touch()
    (folder / "._1.dcm").write_bytes(b"\0\5\x16\7" + b"\0" * 124 + b"DICM")
    (folder / ".1.dcm.partial").write_bytes((folder / "1.dcm").read_bytes()[:900])
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 100)
    (folder / "!locked").touch(mode=0)
    with open(os.fsencode(folder) + b"/!caf\xe9.txt", "w") as file:
        file.write("words")
    with open(folder / "!huge.raw", "wb") as file:
        file.truncate(1 << 33)


def test_names_that_are_no_readable_file_are_passed_over(tmp_path):
    folder = write_delivery(tmp_path / "nlst", tables(n=4))
    junk(folder / "images" / "100001_0")
    junk(folder / "images" / "100002_1")
    for name in ("pipe.csv", "._file0.csv"):
        os.mkfifo(folder / name)
    os.symlink("nowhere.csv", folder / "gone.csv")
    os.symlink("..", folder / "images" / "loop")
    (folder / "folder.csv").mkdir()
    lines = []
    out = build_cohort(folder, tmp_path / "cohort", PARAMS, progress=lines.append)
    assert len(np.load(out / "crops.npy")) == 8 and any("8 series found" in line for line in lines)


def test_a_slice_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    write_series(tmp_path, 100001, 0, 5)
    monkeypatch.setattr("namd.data.dicom.series.is_dicom", lambda path: open(path + ".vanished"))
    with pytest.raises(RefusedError, match=r"E23.*0.dcm.vanished cannot be opened \(No such file"):
        read_series(tmp_path)


def other_object(path, sop_class, modality, **elements):
    """A DICOM file that is no slice: a media index, a report, a mark, a capture."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    if modality:
        ds.SOPClassUID = sop_class
        ds.SOPInstanceUID = "1.2.3.4"
        ds.SeriesInstanceUID = "1.2.3"
        ds.Modality = modality
    for name, value in elements.items():
        setattr(ds, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


CLASSES = "1.2.840.10008.5.1.4.1.1."
OBJECTS = {
    "DICOMDIR": ("1.2.840.10008.1.3.10", None), "index.dcm": ("1.2.840.10008.1.3.10", None),
    "SR": (CLASSES + "88.22", "SR"), "RTSTRUCT": (CLASSES + "481.3", "RTSTRUCT"), "SEG": (CLASSES + "66.4", "SEG"),
    "PR": (CLASSES + "11.1", "PR"), "KO": (CLASSES + "88.59", "KO"), "PDF": (CLASSES + "104.1", "DOC"),
    "capture": (CLASSES + "7", "CT"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_that_is_no_slice_is_passed_over(two, name):
    other_object(two / "100001_0" / f"!{name}", *OBJECTS[name])
    write_slice(two / "100001_0" / "!localizer", np.zeros((8, 8), np.uint16), uid="1.2.9",
                ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert read(two) == [None, None]
    assert read_nodule_at(two / "100001_0", POINT).crop[64, 64] == 40


def test_original_secondary_axial_slices_are_read_and_computed_ones_named(tmp_path):
    write_series(tmp_path / "a", 100001, 0, 5, ImageType=["ORIGINAL", "SECONDARY", "AXIAL"])
    assert len(read_series(tmp_path / "a").slices) == 3
    write_series(tmp_path / "b", 100001, 0, 5, ImageType=["DERIVED", "SECONDARY", "MPR"])
    other_object(tmp_path / "b" / "report", *OBJECTS["SR"])
    with pytest.raises(RefusedError, match=r"E15.*but 3 x computed from other images, 1 x no CT image \(modality SR\)"):
        read_series(tmp_path / "b")


def test_an_enhanced_ct_is_called_so(tmp_path):
    write_slice(tmp_path / "a.dcm", np.zeros((8, 8), np.uint16), SOPClassUID=CLASSES + "2.1", NumberOfFrames=3,
                ImageOrientationPatient=None, ImagePositionPatient=None, PixelSpacing=None)
    with pytest.raises(RefusedError, match="E23.*a.dcm is an enhanced CT, several slices in one file; export the"):
        read_series(tmp_path)


def packed(folder):
    shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)


def packed_one_by_one(folder):
    for file in list(folder.iterdir()):
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()


def behind_links(folder):
    for file in list(folder.iterdir()):
        file.unlink()
        os.symlink("/not/mounted/" + file.name, file)


def behind_a_link(folder):
    shutil.rmtree(folder)
    os.symlink("/not/mounted", folder)


@pytest.mark.parametrize("hide, words", [
    (shutil.rmtree, "series 1.2.100001.0 is not in the delivery; fetch"),
    (packed, "unless it is images/100001_0.zip (packed); fetch"),
    (packed_one_by_one, "unless it is images/100001_0/0.dcm.gz (packed, one of 3 there); fetch"),
    (behind_links, "unless it is images/100001_0/0.dcm (behind a link that leads nowhere, one of 3 there); fetch"),
    (behind_a_link, "unless it is images/100001_0 (behind a link that leads nowhere); fetch")])
def test_an_absent_series_is_told_from_one_that_cannot_be_reached(tmp_path, hide, words):
    folder = write_delivery(tmp_path / "nlst", tables(n=4))
    hide(folder / "images" / "100001_0")
    out = build_cohort(folder, tmp_path / "cohort", PARAMS, progress=lambda line: None)
    row, = pd.read_csv(out / "refused.csv").itertuples()
    assert row.code == "E15" and words in row.message


def test_the_root_of_a_cd_names_the_folders_below(two):
    other_object(two / "DICOMDIR", *OBJECTS["DICOMDIR"])
    assert len(find_series(two)) == 4 and read(two) == [None, None]
    with pytest.raises(UserError, match="name one folder below it: 100001_0, 100001_1, 100002_0, 100002_1"):
        read_nodule_at(two, POINT)
    shutil.rmtree(two / "100001_0")
    other_object(two / "100001_0" / "DICOMDIR", *OBJECTS["DICOMDIR"])
    with pytest.raises(RefusedError, match="^E15"):
        read_nodule_at(two / "100001_0", POINT)
