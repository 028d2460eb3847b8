import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pydicom
import pytest
from small_delivery import CENTRE, GAP, REAL, SPACING, needs_real, nodule_hu, write_series, write_slice

from namd.data.dicom.geometry import find_instance, find_position, slice_gap
from namd.data.dicom.pixels import read_crop, read_hu, resample_crop
from namd.data.dicom.series import find_series, read_series, series_uid
from namd.data.refused import RefusedError


def refusal(code):
    return pytest.raises(RefusedError, match=f"^{code} ")


def small(folder, instances=(3, 2, 1), **overrides):
    """Slices 2.5 mm apart whose HU is 100 times their place from the feet up."""
    for k, instance in enumerate(instances):
        stored = np.full((64, 64), 1024 + 100 * k, np.int16)
        write_slice(folder / f"{instance}.dcm", stored, z=GAP * k, instance=instance, **overrides)
    return folder


def test_crop_of_a_ramp_is_the_ramp_in_millimetres():
    columns = np.tile(np.arange(400.0), (300, 1))                 # HU = column, pixels of 1.2 mm
    crop = resample_crop(columns, 1.2, (200.0, 150.0))
    # The crop's centre lies between its pixels 63 and 64, which are 0.3 mm = 0.25 native pixels from it.
    assert crop.dtype == np.int16 and crop.shape == (128, 128)
    assert crop[0, 63] == round(200 - 0.25) and crop[0, 64] == round(200 + 0.25)
    np.testing.assert_array_equal(crop[5], np.rint(200 + (np.arange(128) - 63.5) * 0.5))
    rows = resample_crop(columns.T, 1.2, (150.0, 200.0))
    np.testing.assert_array_equal(rows, crop.T)


def test_crop_in_pixels_of_its_own_size_is_a_copy():
    hu = np.random.default_rng(0).integers(-1000, 400, (200, 210))
    np.testing.assert_array_equal(resample_crop(hu, 0.6, (100.5, 90.5)), hu[27:155, 37:165])


def test_padding_never_bleeds_into_the_lung():
    hu = np.full((200, 200), -850.0)
    hu[:, :100] = -3024.0
    crop = resample_crop(hu, 0.6, (100.0, 100.0))
    assert set(np.unique(crop)) == {-1024, -937, -850}            # -937 = halfway from -1024, not from -3024


def test_a_quarter_of_padding_is_allowed_and_no_more():
    hu = np.full((256, 256), 40.0)
    crop = resample_crop(hu, 0.6, (31.5, 128.0))                  # 32 of 128 columns lie outside
    assert (crop[:, :32] == -1024).all() and (crop[:, 32:] == 40).all()
    with refusal("E24"):
        resample_crop(hu, 0.6, (30.0, 128.0))


def test_hu_by_the_files_own_rescale_and_sign(tmp_path):
    write_slice(tmp_path / "a", np.full((4, 4), 24, np.uint16), RescaleSlope=2, RescaleIntercept=-1000)
    write_slice(tmp_path / "b", np.full((4, 4), -2000, np.int16), RescaleIntercept=-1024)
    assert read_hu(tmp_path / "a").max() == -952 and read_hu(tmp_path / "b").min() == -3024


@pytest.mark.parametrize("change, code", [
    (dict(RescaleSlope=None), "E21"), (dict(RescaleSlope=0), "E21"), (dict(RescaleIntercept=40000), "E21"),
    (dict(PixelData=None), "E23"), (dict(PixelData=b"12"), "E23")])
def test_unusable_pixels(tmp_path, change, code):
    write_slice(tmp_path / "a", np.zeros((4, 4), np.int16), **change)
    with refusal(code):
        read_hu(tmp_path / "a")


def test_slices_are_ordered_by_position_and_found_by_number(tmp_path):
    series = read_series(small(tmp_path, instances=(30, 20, 10)))
    assert [item.instance for item in series.slices] == [30, 20, 10]        # 30 is the lowest
    assert [item.along for item in series.slices] == [0.0, 2.5, 5.0]
    assert find_instance(series, 10) == 2 and slice_gap(series, 1) == 2.5
    assert read_hu(series.slices[2].path).max() == 200
    with refusal("E24"):
        find_instance(series, 2)


def test_a_point_in_mm_finds_its_slice_and_pixel(tmp_path):
    series = read_series(small(tmp_path))
    i, pixel = find_position(series, (-40 + 3 * SPACING, -30 + 7 * SPACING, 3.0))
    assert i == 1 and np.allclose(pixel, (3, 7))
    assert find_position(series, (0, 0, 6.2))[0] == 2                       # half a gap of 2.5 mm above the last one
    with refusal("E24"):
        find_position(series, (0, 0, 6.3))


def test_stored_direction_does_not_turn_the_crop(tmp_path):
    """The same patient, stored head first supine and with rows and columns reversed."""
    hu = (nodule_hu(6) + np.arange(120) * 2 + 1024).astype(np.uint16)      # brighter to the patient's left
    write_slice(tmp_path / "a" / "1", hu)
    far = [-40 + 119 * SPACING, -30 + 119 * SPACING, 0.0]
    write_slice(tmp_path / "b" / "1", np.ascontiguousarray(hu[::-1, ::-1]), ImagePositionPatient=far,
                ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    straight, point = read_crop(read_series(tmp_path / "a"), 0, CENTRE)
    turned, same_point = read_crop(read_series(tmp_path / "b"), 0, (119 - CENTRE[0], 119 - CENTRE[1]))
    np.testing.assert_allclose(point, [-40 + 60 * SPACING, -30 + 58 * SPACING, 0])
    np.testing.assert_allclose(point, same_point)
    np.testing.assert_array_equal(straight, turned)
    assert straight[64, 100] > straight[64, 30]


@pytest.mark.parametrize("change, code", [
    (dict(Modality="MR"), "E15"), (dict(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "E15"),
    (dict(ImageType=["DERIVED", "SECONDARY", "MPR"]), "E15"),
    (dict(SeriesDescription="0,OPL,GE,LS,STANDARD,360,2.5,120,40,40,1.5"), "E15"),
    (dict(SeriesInstanceUID=""), "E16"), (dict(SOPInstanceUID="1.2.3"), "E18"),
    (dict(ImagePositionPatient=[-40, -30, 5]), "E18"), (dict(ImageOrientationPatient=None), "E20"),
    (dict(ImageOrientationPatient=[1, 0, 0, 0, 0.96593, 0.25882]), "E20"),
    (dict(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "E20"),
    (dict(PixelSpacing=None), "E22"), (dict(PixelSpacing=[0.7, 0.8]), "E22"), (dict(PixelSpacing=[0, 0]), "E22")])
def test_series_that_cannot_be_used(tmp_path, change, code):
    with refusal(code):
        read_series(small(tmp_path, **change))


def test_mixed_folder_changing_pixels_and_gaps(tmp_path):
    small(tmp_path / "two")
    write_slice(tmp_path / "two" / "x.dcm", np.zeros((64, 64), np.int16), z=9, uid="1.2.4")
    with refusal("E16"):
        read_series(tmp_path / "two")
    small(tmp_path / "spacing")
    write_slice(tmp_path / "spacing" / "x", np.zeros((64, 64), np.int16), z=7.5, instance=4, PixelSpacing=[0.5, 0.5])
    with refusal("E22"):
        read_series(tmp_path / "spacing")
    small(tmp_path / "gap")
    write_slice(tmp_path / "gap" / "x", np.zeros((64, 64), np.int16), z=10.0, instance=4)
    series = read_series(tmp_path / "gap")
    with pytest.raises(RefusedError, match="E19.*2.50, 2.50, 5.00 mm"):
        slice_gap(series, 2)


def test_folders_are_found_below_any_name(tmp_path):
    write_series(tmp_path / "a b" / "c", 100001, 0, 5)
    (tmp_path / "a b" / "c" / "LICENSE.txt").write_text("words")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "x.csv").write_text("pid")
    folder, = find_series(tmp_path)
    assert series_uid(folder) == "1.2.100001.0" and len(read_series(folder).slices) == 3


def test_folders_behind_links_are_found_once(tmp_path):
    root = tmp_path / "delivery"
    write_series(tmp_path / "disk" / "b" / "c", 100001, 0, 5)
    write_series(root / "a", 100002, 0, 5)
    for name, target in (("images", tmp_path / "disk"), ("again", tmp_path / "disk" / "b"), ("loop", root), ("x", "x"),
                         ("gone", "nowhere")):
        os.symlink(target, root / name)
    assert [series_uid(folder) for folder in find_series(root)] == ["1.2.100002.0", "1.2.100001.0"]


def boxes():
    """SOPInstanceUID -> centre (column, row) of the tumour box, PASCAL-VOC."""
    found = {}
    for file in sorted((REAL / "chest_ct_boxes").glob("*.xml")):
        box = ElementTree.parse(file).find("object/bndbox")
        x0, y0, x1, y1 = (float(box.find(name).text) for name in ("xmin", "ymin", "xmax", "ymax"))
        found[file.stem] = ((x0 + x1) / 2, (y0 + y1) / 2)
    return found


@needs_real
def test_real_tumour_has_the_hu_of_soft_tissue_and_lung_beside_it():
    series = read_series(REAL / "chest_ct_philips")
    assert len(series.slices) == 64 and [item.instance for item in series.slices] == list(range(64, 0, -1))
    centres, lung, tumour = boxes(), [], []
    for i, item in enumerate(series.slices):
        if item.sop_uid in centres:
            crop, point = read_crop(series, i, centres[item.sop_uid])
            tumour.append(np.median(crop[56:72, 56:72]))          # 9.6 mm in the middle
            lung.append(crop[(crop > -990) & (crop < -700)])
            assert slice_gap(series, i) == pytest.approx(5.0) and item.spacing == pytest.approx(0.841797, abs=1e-5)
            assert point[0] > 0                                   # the patient's left
    assert len(tumour) == 11 and np.median(tumour) == pytest.approx(40, abs=30)
    assert sorted(tumour)[1] > 0                                  # only its top slice is half lung
    assert np.median(np.concatenate(lung)) == pytest.approx(-850, abs=40)


@needs_real
def test_real_crop_agrees_with_pydicom_and_simpleitk():
    sitk = pytest.importorskip("SimpleITK")
    series = read_series(REAL / "chest_ct_philips")
    centres = boxes()
    i = next(k for k, item in enumerate(series.slices) if item.sop_uid in centres)
    item = series.slices[i]
    crop, point = read_crop(series, i, centres[item.sop_uid])
    ds = pydicom.dcmread(item.path)
    hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    np.testing.assert_array_equal(read_hu(item.path), hu)
    volume = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(REAL / "chest_ct_philips")))
    assert volume.TransformIndexToPhysicalPoint((0, 0, i)) == pytest.approx(tuple(item.origin), abs=1e-3)
    corner = point - [63.5 * 0.6, 63.5 * 0.6, 0]
    clipped = sitk.Clamp(volume, sitk.sitkFloat32, -1024, 3071)
    grid = sitk.Resample(clipped, [128, 128, 1], sitk.Transform(), sitk.sitkLinear, corner.tolist(), [0.6, 0.6, 1.0],
                         volume.GetDirection(), -1024.0)
    np.testing.assert_allclose(crop, sitk.GetArrayFromImage(grid)[0], atol=0.6)


@needs_real
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"])
def test_real_transfer_syntaxes_give_the_same_slice(syntax):
    if syntax.endswith(".80"):
        pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed (extra: dicom)")
    files = {file.stem.split("_")[-1]: file for file in (REAL / "transfer_syntaxes").glob("CT*.dcm")}
    hu = read_hu(files[syntax])
    np.testing.assert_array_equal(hu, read_hu(files["1.2.840.10008.1.2.1"]))
    assert hu.shape == (512, 512) and hu.min() == -3024          # padding of -2000, left to the crop to clip


@needs_real
@pytest.mark.parametrize("pattern, words", [
    ("*JPEGProcess10*", "JPEG Full Progression.*no package decodes it"), ("no-pixel-data*", "holds no PixelData")])
def test_real_file_that_cannot_be_decoded_says_so(pattern, words):
    file, = (REAL / "transfer_syntaxes").glob(pattern)
    with pytest.raises(RefusedError, match="^E23.*" + words):
        read_hu(file)


def test_undecodable_file_names_the_package(tmp_path):
    write_slice(tmp_path / "a.dcm", np.zeros((4, 4), np.int16))
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"     # JPEG 2000, with bytes that are none
    ds.PixelData = pydicom.encaps.encapsulate([b"none"])
    ds["PixelData"].VR = "OB"
    ds.save_as(Path(tmp_path, "b.dcm"))
    with pytest.raises(RefusedError, match="JPEG 2000.*pip install pylibjpeg pylibjpeg-openjpeg"):
        read_hu(tmp_path / "b.dcm")
