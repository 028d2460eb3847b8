"""Spectrum, peak and holes of images drawn by hand."""

import numpy as np
import pytest

from namd.evaluation.stats import bootstrap, image_quality, metrics

SIDE = 64
AXIS = np.arange(SIDE)
NOISE = np.random.default_rng(0).normal(size=(20, 1, SIDE, SIDE))


def test_the_spectrum_of_a_wave_stands_at_its_frequency():
    wave = np.sin(2 * np.pi * AXIS / 8)[None, None, None, :] * np.ones((1, 1, SIDE, 1))
    frequency, ratio = image_quality.spectrum_ratio(NOISE + wave, NOISE)
    assert frequency[0] == 1 / SIDE and frequency[-1] == 0.5 and len(frequency) == SIDE // 2
    assert frequency[ratio.argmax()] == 1 / 8 and ratio.max() > 10
    assert np.abs(ratio[np.abs(frequency - 1 / 8) > 2 / SIDE] - 1).max() < 0.1


def test_the_jump_between_opposite_borders_has_no_power():
    ramp = np.linspace(-1, 1, SIDE) * np.ones((1, 1, SIDE, 1))
    found = image_quality.power(ramp)
    assert found[0, SIDE // 2] < 1e-6 * found[0, 1]


def test_half_the_amplitude_is_a_quarter_of_the_power_at_every_frequency():
    assert image_quality.spectrum_ratio(0.5 * NOISE + 3, NOISE)[1] == pytest.approx(0.25)


def test_blur_lowers_the_power_of_high_frequencies_and_leaves_no_peak():
    blurred = sum(np.roll(NOISE, by, axis) for by, axis in ((1, 2), (-1, 2), (1, 3), (-1, 3), (0, 2))) / 5
    ratio = image_quality.spectrum_ratio(blurred, NOISE)[1]
    assert ratio[0] > 0.9 and ratio[-1] < 0.3
    assert image_quality.half_sampling_peak(NOISE, NOISE) == pytest.approx(1)


@pytest.mark.parametrize("across, down", [(1, 0), (0, 1), (1, 1)])
def test_a_pattern_of_period_two_is_a_peak_in_each_direction(across, down):
    pattern = (-1.0) ** (across * AXIS[None, :] + down * AXIS[:, None])
    with_pattern = NOISE + 0.3 * pattern
    assert image_quality.half_sampling_peak(with_pattern, NOISE) > 10
    assert image_quality.half_sampling_peak(2 * NOISE, NOISE) == pytest.approx(1)      # higher as a whole is no peak


def disc(radius, row=31.5, column=31.5):
    return np.hypot(AXIS[:, None] - row, AXIS[None, :] - column) <= radius


def test_holes_are_backgrounds_that_the_nodule_encloses():
    whole, ring, two, open_ring, diagonal = (np.where(disc(10), 1.0, -1.0) for _ in range(5))
    ring[disc(2, 31, 25)] = -1
    two[disc(2, 31, 25)] = -1
    two[disc(1, 26, 34)] = -1
    open_ring[31, :29] = -1                             # a cut from the border to the inside
    diagonal[[24, 23, 22, 21, 20], [33, 34, 35, 36, 37]] = -1       # leaves by corners alone
    nothing = np.full((SIDE, SIDE), -1.0)
    x = np.stack([whole, ring, two, open_ring, diagonal, nothing])[:, None]
    assert image_quality.holes(x).tolist() == [0, 1, 2, 0, 0, -1]


def test_decoded_rows_tell_psnr_by_hand_and_the_extremes_below_the_cut_off():
    x = np.clip(NOISE / 4, -1, 1)
    found = {row["quantity"]: row for row in image_quality.decoded_rows(x + 0.1, x)}
    psnr = found["PSNR after the VAE, dB"]
    assert [psnr["low"], psnr["value"], psnr["high"]] == pytest.approx([10 * np.log10(4 / 0.01)] * 3)
    assert psnr["n"] == 20
    low, high = (found[f"power after the VAE over real, {end} up to 1/8 a pixel"]["value"] for end in
                 ("smallest", "largest"))
    assert [low, high] == pytest.approx([1, 1])
    wave = np.cos(2 * np.pi * AXIS / 4) * np.ones((SIDE, 1))                 # 1/4 a pixel: above the cut-off
    beyond = {row["quantity"]: row["value"] for row in image_quality.decoded_rows(x + wave, x)}
    assert beyond["power after the VAE over real, largest up to 1/8 a pixel"] < 1.1


def test_decoded_rows_have_a_frechet_distance_for_each_cloud():
    features = metrics.torch.tensor([[0.0], [1.0], [2.0]])
    clouds = ({"": features + 3}, {"": features})
    found = image_quality.decoded_rows(NOISE[:3], NOISE[:3] + 1, None, *clouds)[-1]
    assert found["quantity"] == "FID after the VAE, judge's features" and found["value"] == pytest.approx(9)


def test_generated_rows_are_paired_by_nodule():
    holed = np.where(disc(10) & ~disc(2, 31, 25), 1.0, -1.0)
    whole = np.where(disc(10), 1.0, -1.0)
    blank = np.full_like(whole, -1.0)
    x2 = np.stack([whole, holed, whole, whole])[:, None]
    x2_hat = np.stack([[holed, holed, whole, whole], [holed, whole, whole, blank]])[:, :, None]
    counts = bootstrap.resample_counts([1, 1, 0, 0], 200, "holes")
    lpips = np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.2]])
    rows = image_quality.generated_rows(x2_hat, x2, lpips, {"copy": np.full((1, 4), 0.3), "oracle": lpips}, counts)
    absent, vanished, real, drawn, more, nearer, same = (row["value"] for row in rows)
    assert (absent, vanished) == (0, 1 / 8)
    assert (real, drawn, more) == (0.25, 1.5 / 4, 1.5 / 4 - 0.25)
    assert nearer == pytest.approx(np.mean([0.2, 0.2, 0.2, 0.3]) - 0.3) and same == 0
    assert rows[-1]["quantity"] == "perceptual distance, generated - oracle"
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    alike = image_quality.generated_rows(x2[None], x2, lpips, {}, counts)[4]
    assert alike["value"] == alike["low"] == alike["high"] == 0              # pairs, not two groups
