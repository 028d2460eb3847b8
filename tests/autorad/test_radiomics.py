"""Radiomics: IBSI's digital phantom, pyradiomics' own values, a disc and a square by hand, and masks of every kind.

ibsi.csv: theibsi/ibsi-doc, docs/03_Image_features.rst (CC BY 4.0), "dig. phantom", all that pyradiomics measures too;
texture "2D, averaged" or 2D, and "3D, averaged" or 3D.
nodules.npz: 12 phantom nodules at T0 (draw_subjects(60, 61), every attenuation and margin), crops of 40 px; the masks
hold pixels that the nodule's body covers by half.
pyradiomics*.csv: pyradiomics 3.0.1 of those slices, built against numpy 1.26 (SimpleITK 2.5.7, PyWavelets 1.9.0,
scikit-image 0.26.0), by RadiomicsFeatureExtractor(binWidth=25, force2D=True).execute on one slice of 0.6 x 0.6 x 1 mm;
the filtered images are those of nodule 8.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK
from flash_radiomics.featureextractor import RadiomicsFeatureExtractor
from scipy import ndimage

from namd.autorad import extraction, radiomics
from namd.ground.errors import UserError

HERE = Path(__file__).parent
NODULES = np.load(HERE / "nodules.npz")
HU = NODULES["hu"]
MASKS = np.unpackbits(NODULES["mask"], axis=-1)[..., :HU.shape[-1]].astype(bool)
PHANTOM = np.array([[[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],     # IBSI's, 0 is outside
                    [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
                    [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
                    [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]]])
MM = 0.6


def named(hu, mask, images="original", **given):
    return dict(zip(radiomics.names(images), radiomics.features(hu, mask, images, **given), strict=True))


def outline(mask):
    found = named(np.random.default_rng(0).normal(-300, 100, mask.shape), mask)
    return {name.removeprefix("original_shape2D_"): value for name, value in found.items() if "_shape2D_" in name}


def off(found, printed):
    """Names whose value is not the printed one at its three digits."""
    return {name: (found[name], value) for name, value in printed.items() if float(f"{found[name]:.3g}") != value}


def test_slices_of_the_digital_phantom_have_the_printed_texture():
    slices = [named(25 * one, one > 0) for one in PHANTOM]      # a grey level is 25 HU
    mean = {name.removeprefix("original_"): np.mean([one[name] for one in slices]) for name in slices[0]}
    printed = pd.read_csv(HERE / "ibsi.csv", index_col="name")["2D"].dropna()
    assert len(printed) == 74
    assert off(mean, printed) == {}


def test_the_library_gives_the_printed_values_of_the_digital_phantom_in_3d():
    image, mask = (SimpleITK.GetImageFromArray(np.pad(array, 1))
                   for array in (PHANTOM.astype(float), (PHANTOM > 0).astype(np.uint8)))
    asked = RadiomicsFeatureExtractor(binWidth=1, additionalInfo=False, backend="cpu", num_threads=1)
    values = asked.extract_from_preprocessed(asked.preprocess_case(image, mask))
    printed = pd.read_csv(HERE / "ibsi.csv", index_col="name")["3D"]
    assert len(printed) == 91                                   # 89, and entropy and uniformity of the histogram
    assert off({name.removeprefix("original_"): value for name, value in values.items()}, printed) == {}


def as_pyradiomics(found):
    """Kurtosis with the 3 that pyradiomics leaves in, where there is any variance."""
    return {name: value + 3 * (name.endswith("_Kurtosis") and found[name.replace("Kurtosis", "Variance")] > 0)
            for name, value in found.items()}


@pytest.mark.parametrize("k", range(12))
def test_nodules_are_as_pyradiomics_measures_them(k):
    theirs = pd.read_csv(HERE / "pyradiomics.csv", index_col="name")[str(k)]
    ours = as_pyradiomics(named(HU[k], MASKS[k]))
    assert ours.keys() == set(theirs.index)
    np.testing.assert_allclose([ours[name] for name in theirs.index], theirs, rtol=1e-4, atol=1e-7)


def test_filtered_images_are_those_of_pyradiomics():
    theirs = pd.read_csv(HERE / "pyradiomics_filtered.csv", index_col="name")
    ours = as_pyradiomics(named(HU[8], MASKS[8], "all"))
    for image in theirs:
        flat = ours[f"{image}_firstorder_Uniformity"] == 1      # one grey level, whose correlation is 0 here, 1 there
        shared = theirs[image].drop("glcm_Correlation" if flat else [])
        found = [ours[f"{image}_{name}"] for name in shared.index]
        np.testing.assert_allclose(found, shared, rtol=1e-4, atol=1e-7, err_msg=image)
    assert len(theirs.columns) == 10


def test_pyradiomics_on_request_says_the_same():
    pytest.importorskip("radiomics")
    ours = named(HU[0], MASKS[0], "all")
    theirs = named(HU[0], MASKS[0], "all", library="pyradiomics")
    shared = [name for name in ours if not name.endswith("glcm_Correlation")]
    np.testing.assert_allclose([theirs[name] for name in shared], [ours[name] for name in shared], rtol=1e-4, atol=1e-7)


def test_names_and_their_groups():
    original, every = radiomics.names(), radiomics.names("all")
    assert (len(original), len(every), len(set(every))) == (102, 1497, 1497)
    assert every[:102] == original
    groups = radiomics.groups()
    assert {name: len(columns) for name, columns in groups.items()} == {"shape": 9, "firstorder": 18, "texture": 75,
                                                                        "size": 1}
    together = np.concatenate([groups["shape"], groups["firstorder"], groups["texture"]])
    assert sorted(together) == list(range(102))
    assert original[groups["size"][0]] == "original_shape2D_PixelSurface"
    filtered = radiomics.groups("all")
    assert {name: len(columns) for name, columns in filtered.items()} == {"shape": 9, "firstorder": 16 * 18,
                                                                          "texture": 16 * 75, "size": 1}
    assert every[filtered["texture"][-1]].startswith("lbp-2D_")
    assert all("glcm" in original[i] or "gl" in original[i] or "ngtdm" in original[i] for i in groups["texture"])


def test_a_square_by_hand():
    mask = np.zeros((30, 30), bool)
    mask[4:14, 9:19] = True                                     # 10 x 10; the outline cuts half a pixel off each corner
    found = outline(mask)
    assert found["PixelSurface"] == pytest.approx(100 * MM ** 2)
    assert found["MeshSurface"] == pytest.approx(99.5 * MM ** 2)
    assert found["Perimeter"] == pytest.approx((4 * 9 + 2 * 2 ** .5) * MM)
    assert found["MaximumDiameter"] == pytest.approx((10 ** 2 + 9 ** 2) ** .5 * MM)
    assert found["MajorAxisLength"] == pytest.approx(4 * ((10 ** 2 - 1) / 12) ** .5 * MM)
    assert found["Elongation"] == pytest.approx(1)


def test_a_disc_by_hand():
    y, x = np.mgrid[:64, :64] - 31.5
    found = outline(np.hypot(x, y) < 20)
    radius = 20 * MM
    assert found["PixelSurface"] == pytest.approx(np.pi * radius ** 2, rel=.01)
    assert found["MaximumDiameter"] == pytest.approx(2 * radius, abs=MM)
    assert found["MajorAxisLength"] == pytest.approx(2 * radius, rel=.01)
    assert found["Perimeter"] == pytest.approx(2 * np.pi * radius, rel=.06)     # an outline of eight directions is long
    assert found["Sphericity"] == pytest.approx(2 * (np.pi * found["MeshSurface"]) ** .5 / found["Perimeter"])


def test_laplacian_of_a_bowl_and_of_a_stack_of_equal_slices():
    y, x = np.mgrid[:61, :61] - 30.
    assert extraction.laplacian(x ** 2 + y ** 2, 3)[30, 30] == pytest.approx(4 * 3 ** 2, rel=.01)
    stack = SimpleITK.GetImageFromArray(np.repeat(HU[0][None].astype(float), 21, axis=0))
    stack.SetSpacing((MM, MM, MM))
    theirs = SimpleITK.LaplacianRecursiveGaussian(stack, sigma=2., normalizeAcrossScale=True)
    np.testing.assert_allclose(extraction.laplacian(HU[0].astype(float), 2 / MM),
                               SimpleITK.GetArrayFromImage(theirs)[10], atol=4)     # of 300 HU; theirs is recursive


def test_local_patterns_of_a_spot_an_edge_and_a_flat_image():
    spot = np.zeros((5, 5))
    spot[2, 2] = 1
    assert extraction.local_patterns(spot)[2, 2] == 0           # all neighbours are darker
    assert extraction.local_patterns(1 - spot)[2, 2] == 8
    assert (extraction.local_patterns(np.zeros((4, 4))) == 8).all()
    step = np.repeat([0., 0., 1., 1.], 3)[:, None] * np.ones(5)
    assert extraction.local_patterns(step)[6, 2] == 5           # two beside, three below


def ragged(*parts, size=24):
    mask = np.zeros((size, size), bool)
    for part in parts:
        mask[part] = True
    return np.random.default_rng(1).normal(-300, 100, mask.shape), mask


@pytest.mark.parametrize("part", [np.s_[:6, :4], np.s_[:, :]], ids=["at the border", "the whole slice"])
def test_a_mask_may_touch_the_border(part):
    hu, mask = ragged(part)
    found = named(hu, mask)
    assert not np.isnan(list(found.values())).any()
    assert found == named(np.pad(hu, 5), np.pad(mask, 5))


def test_a_torn_mask_is_measured_as_one_region():
    hu, mask = ragged(np.s_[2:5, 2:5], np.s_[10:16, 12:20])
    found = named(hu, mask)
    assert not np.isnan(list(found.values())).any()
    assert found["original_shape2D_PixelSurface"] == pytest.approx((9 + 48) * MM ** 2)
    assert found["original_firstorder_Mean"] == pytest.approx(hu[mask].mean())
    assert found["original_shape2D_Perimeter"] == pytest.approx((4 * 2 + 2 * (5 + 7) + 2 * 2 * 2 ** .5) * MM)


@pytest.mark.parametrize("part", [np.s_[:0, :0], np.s_[3, 3], np.s_[3, 4:9], np.s_[4:9, 3]],
                         ids=["empty", "a pixel", "a row", "a column"])
def test_what_has_no_two_rows_and_columns_is_nan(part):
    assert np.isnan(radiomics.features(*ragged(part), "all")).all()


def test_two_pixels_apart_have_some_features_and_no_texture():
    found = named(*ragged(np.s_[3, 3], np.s_[9, 12]))
    assert found["original_shape2D_PixelSurface"] == pytest.approx(2 * MM ** 2)
    assert np.isnan(found["original_glcm_Contrast"])


def test_a_slice_of_nothing_is_measured_where_its_filters_are_defined():
    _, mask = ragged(np.s_[5:12, 5:12])
    found = named(np.zeros(mask.shape), mask, "all")
    assert np.isnan(found["square_firstorder_Mean"])
    assert found["original_firstorder_Mean"] == found["gradient_firstorder_Mean"] == 0
    assert found["original_firstorder_Kurtosis"] == 0


def test_the_values_are_the_same_whatever_was_measured_before():
    alone = radiomics.features(HU[8], MASKS[8], "all")
    radiomics.features(HU[0], MASKS[0], "all")
    np.testing.assert_array_equal(radiomics.features(HU[8], MASKS[8], "all"), alone)


def test_nothing_is_written_or_said(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    radiomics.features(HU[0], MASKS[0], "all")
    radiomics.features(*ragged(np.s_[3, 3], np.s_[9, 12]))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize("given, said", [
    ((HU[0], MASKS[0][:-1]), "a mask of its shape"), ((HU, MASKS), "one slice"),
    ((np.full(HU[0].shape, np.nan), MASKS[0]), "finite"),
    ((HU[0], MASKS[0], "both"), "choose one of original, all"),
    ((HU[0], MASKS[0], "original", "mirp"), "choose one of flash_radiomics, pyradiomics")])
def test_mistakes_are_one_sentence(given, said):
    with pytest.raises(UserError, match=said):
        radiomics.features(*given)


def test_a_library_that_is_missing_is_one_sentence(monkeypatch):
    for module in ("radiomics", "radiomics.featureextractor"):
        monkeypatch.setitem(sys.modules, module, None)
    extraction._extractor.cache_clear()
    with pytest.raises(UserError, match="pyradiomics is not installed"):
        radiomics.features(HU[0], MASKS[0], library="pyradiomics")
    with pytest.raises(UserError, match="pyradiomics is not installed"):
        radiomics.table(HU[:1], MASKS[:1], library="pyradiomics")


def test_a_table_is_the_same_for_any_number_of_workers_and_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(radiomics, "CHUNK", 3)
    hu, masks = HU[:7], MASKS[:7]
    one_by_one = np.array([radiomics.features(*pair) for pair in zip(hu, masks, strict=True)])
    np.testing.assert_array_equal(radiomics.table(hu, masks, workers=2, path=tmp_path / "two.npz"), one_by_one)
    np.testing.assert_array_equal(radiomics.table(hu, masks, path=tmp_path / "one.npz"), one_by_one)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    measured = watched(monkeypatch)
    order = [3, 0, 0, 6]
    again = radiomics.table(hu[order], masks[order], path=tmp_path / "one.npz")
    np.testing.assert_array_equal(again, one_by_one[order])
    assert measured == []


def watched(monkeypatch):
    """The slices that are measured from now on."""
    seen = []
    measure = extraction.measured
    monkeypatch.setattr(extraction, "measured", lambda hu, *given: seen.append(hu) or measure(hu, *given))
    return seen


def test_a_table_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(radiomics, "CHUNK", 2)
    hu, masks = HU[:6].astype(float), MASKS[:6]
    whole = radiomics.table(hu, masks, path=tmp_path / "whole.npz")
    broken = hu.copy()
    broken[5] = np.nan                                          # stops the third piece
    with pytest.raises(UserError, match="finite"):
        radiomics.table(broken, masks, path=tmp_path / "stopped.npz")
    measured = watched(monkeypatch)
    np.testing.assert_array_equal(radiomics.table(hu, masks, path=tmp_path / "stopped.npz"), whole)
    assert len(measured) == 2
    assert (tmp_path / "stopped.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_table_knows_another_slice_mask_or_set_of_images(tmp_path, monkeypatch):
    path = tmp_path / "kept.npz"
    radiomics.table(HU[:1], MASKS[:1], path=path)
    measured = watched(monkeypatch)
    wider = ndimage.binary_dilation(MASKS[0])
    radiomics.table(HU[:1], wider[None], path=path)
    radiomics.table(HU[:1] + 1, MASKS[:1], path=path)
    assert len(measured) == 2
    assert radiomics.table(HU[:1], MASKS[:1], "all", path=path).shape == (1, 1497)
    assert radiomics.table(HU[:0], MASKS[:0], path=path).shape == (0, 102)


def test_a_damaged_table_and_a_mask_too_few_are_one_sentence(tmp_path):
    path = tmp_path / "kept.npz"
    radiomics.table(HU[:1], MASKS[:1], path=path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="kept.npz is damaged"):
        radiomics.table(HU[:1], MASKS[:1], path=path)
    with pytest.raises(UserError, match="2 slices and 1 masks"):
        radiomics.table(HU[:2], MASKS[:1])
