"""What lies beside the series of a delivery and names them: it neither stands for a series nor takes its place."""

import shutil

import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset
from small_delivery import PARAMS, tables, write_delivery

from namd.data.cohort import Cohort
from namd.data.nlst.build import build_cohort


@pytest.fixture
def delivery(tmp_path):
    return write_delivery(tmp_path / "delivery", tables(6))


def built(delivery):
    """Pairs of the cohort, and its refusals by nodule."""
    out = build_cohort(delivery, delivery.parent / "cohort", PARAMS, progress=lambda line: None)
    return len(Cohort.open(out).pairs), pd.read_csv(out / "refused.csv").set_index("source_id")


def write_segmentation(file, of):
    """A DICOM segmentation whose first SeriesInstanceUID is that of the series it is of."""
    ds = pydicom.dcmread(of)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    ds.Modality = "SEG"
    reference = Dataset()
    reference.SeriesInstanceUID = str(ds.SeriesInstanceUID)
    ds.ReferencedSeriesSequence = [reference]
    ds.SeriesInstanceUID = "1.9"
    ds.SOPInstanceUID = "1.9.1"
    file.parent.mkdir()
    ds.save_as(file)


def test_a_segmentation_in_a_folder_of_its_own_is_not_the_series_that_it_is_of(delivery):
    series = delivery / "images" / "100001_0"
    write_segmentation(delivery / "seg" / "a.dcm", series / "1.dcm")
    pairs, refused = built(delivery)
    assert pairs == 6 and refused.empty
    shutil.rmtree(series)
    pairs, refused = built(delivery)
    row = refused.loc["100001 T0 nodule 1"]
    assert pairs == 5 and row.code == "E15" and row.stage == "fetch"
    assert row.message == ("series 1.2.100001.0 is not in the delivery, though a file of another names it: seg holds "
                           "no axial CT image, but 1 x no CT image (modality SEG); fetch it into a folder of its own")


def test_a_series_that_is_there_and_no_axial_ct_is_lost_to_its_images(delivery):
    for file in (delivery / "images" / "100001_0").iterdir():
        ds = pydicom.dcmread(file)
        ds.Modality = "PT"
        ds.save_as(file)
    _, refused = built(delivery)
    assert refused.loc["100001 T0 nodule 1", "stage"] == "series"


def test_a_series_that_lies_there_twice_is_refused(delivery):
    shutil.copytree(delivery / "images" / "100001_0", delivery / "copy")
    pairs, refused = built(delivery)
    assert pairs == 5 and refused.loc["100001 T0 nodule 1", "code"] == "E16"
