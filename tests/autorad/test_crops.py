"""The square of twice the diameter: where it lies, how large it is, what it shows at the border."""

import numpy as np
import pytest
import torch

from namd.autorad import crops
from namd.ground.errors import UserError

AIR = -1000


def disc(radius, centre=(63.5, 63.5), value=400):
    y, x = np.mgrid[:128, :128]
    mask = np.hypot(x - centre[0], y - centre[1]) <= radius
    return np.where(mask, value, AIR).astype(np.int16), mask


def test_the_diameter_is_that_of_a_disc_of_the_same_area():
    assert crops.equivalent_diameter(disc(10)[1]) == pytest.approx(20, rel=.02)
    square = np.zeros((9, 9), bool)
    square[2:6, 2:6] = True
    assert crops.equivalent_diameter(square) == pytest.approx(2 * (16 / np.pi) ** .5)


@pytest.mark.parametrize("radius", [6, 20, 30])
def test_every_disc_takes_the_same_share_of_its_square(radius):
    for size in (64, 128):
        seen = crops.crop(*disc(radius), size)
        assert seen.shape == (size, size) and seen.dtype == np.float32
        assert ((seen + 1) / 2).mean() == pytest.approx(np.pi / 16, rel=.03)    # half the side across
        half = seen[size // 2] > 0
        assert np.flatnonzero(half)[[0, -1]] == pytest.approx([size / 4, 3 * size / 4 - 1], abs=size / 40)


def test_it_follows_the_centroid_and_turns_with_the_image():
    aside = crops.crop(*disc(8, (50.5, 71.5)), 64)
    assert np.abs(aside - crops.crop(*disc(8), 64)).max() < 1e-4
    hu, mask = disc(8, (50, 70))
    hu[70:, :] -= 100
    turned = crops.symmetries(crops.crops(hu[None], mask[None], 64))
    assert torch.equal(turned[0, 0, 0], torch.from_numpy(crops.crop(hu, mask, 64))) and len(turned) == 8
    assert torch.equal(crops.symmetries(turned[0], 2), turned[:2])
    for k, move in ((1, np.rot90), (4, np.fliplr)):
        assert np.abs(turned[k, 0, 0].numpy() - crops.crop(move(hu), move(mask), 64)).max() < 1e-4


def test_the_middle_is_that_of_the_pixels_not_of_the_box_around_them():
    hu = np.random.default_rng(4).integers(-900, 300, (128, 128)).astype(np.int16)
    mask = np.zeros((128, 128), bool)
    mask[50:62, 40:44] = True
    mask[58:62, 44:70] = True                                                   # a corner of two bars
    middle = np.argwhere(mask).mean(0)[::-1]
    expected = crops.cut(hu, middle, 2 * crops.equivalent_diameter(mask), 64)
    assert np.abs(crops.crop(hu, mask, 64) - expected).max() < 1e-6


def test_a_pixel_of_its_own_size_stays_as_it_is():
    hu = np.random.default_rng(0).integers(-1200, 600, (16, 16)).astype(np.int16)
    seen = crops.cut(hu, (7.5, 7.5), 8, 8)
    assert np.abs(seen - np.clip((hu[4:12, 4:12] + 300) / 700, -1, 1)).max() < 1e-5


@pytest.mark.parametrize("centre", [(2, 40), (61, 40), (30, 2), (30, 77)])
def test_beyond_each_border_the_image_goes_on_as_at_it(centre):
    hu = np.random.default_rng(2).integers(-900, 300, (80, 64)).astype(np.int16)
    around = np.pad(hu, 30, "edge")
    expected = crops.cut(around, (centre[0] + 30, centre[1] + 30), 24, 48)
    assert np.abs(crops.cut(hu, centre, 24, 48) - expected).max() < 1e-6


def test_bicubic_overshoot_stays_within_what_a_model_sees():
    hu, _ = disc(10)
    assert np.abs(crops.cut(hu, (63.5, 63.5), 32, 128)).max() == 1


def test_a_large_nodule_is_smoothed_before_it_is_sampled():
    grid = np.where(np.indices((128, 128)).sum(0) % 2, 400, AIR).astype(np.int16)
    assert np.abs(crops.cut(grid, (63.5, 63.5), 128, 32)).max() < .1


def test_masks_at_the_border_torn_ones_and_a_single_pixel_are_cut():
    hu, mask = disc(20, (3, 120), 0)
    assert np.isfinite(crops.crop(hu, mask, 64)).all()
    hu, mask = disc(60)
    mask[:, 40:60] = False
    assert crops.crop(hu, mask, 64).shape == (64, 64)
    hu, mask = disc(0, (30, 40))
    assert mask.sum() == 1 and crops.crop(hu, mask, 64).max() > .9


def test_an_empty_mask_is_refused_in_a_sentence():
    with pytest.raises(UserError, match="^A nodule's mask is empty.*leave this nodule out"):
        crops.crop(np.zeros((128, 128)), np.zeros((128, 128), bool), 64)
