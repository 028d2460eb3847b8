"""Distances, profiles and shares of variance against hand-computed cases."""

import numpy as np
import pytest

from namd.evaluation.stats import boundary


def test_signed_distance_is_negative_inside_and_zero_on_the_boundary():
    distance = boundary.signed_distance([6.0, np.nan], size=21, mm_per_px=0.6)
    assert distance.shape == (2, 21, 21)
    assert distance[0, 10, 10] == pytest.approx(-3)
    assert distance[0, 10, 15] == pytest.approx(0, abs=1e-6)  # 5 pixels of 0.6 mm = 3 mm
    assert distance[0, 20, 10] == pytest.approx(3)
    assert np.isnan(distance[1]).all()


def test_signed_distance_centres_an_even_crop_between_its_pixels():
    distance = boundary.signed_distance([2.0], size=4, mm_per_px=1.0)[0]
    assert distance == pytest.approx(distance[::-1]) and distance == pytest.approx(distance.T)
    assert distance[1, 1] == pytest.approx(np.sqrt(0.5) - 1)


def test_profile_averages_the_pixels_of_each_bin():
    maps, distance = np.array([[[1.0, 3.0, 5.0]]]), np.array([[[-0.5, 0.6, 1.0]]])
    found = boundary.profile(maps, distance, (-np.inf, 0.6, 2.0, np.inf))
    assert found[0, :2].tolist() == [1.0, 4.0]  # 0.6 belongs to the second bin
    assert np.isnan(found[0, 2])


ROWS = np.array([[[1.0, 2, 1]], [[6.0, 0, 3]], [[9.0, 9, 9]]])
DISTANCE = np.array([[[0.5, 2, 0.5]], [[-0.5, -2, 3]], [[np.nan] * 3]])  # the third nodule has no diameter


def test_share_within_pools_the_nodules_it_knows():
    row = boundary.share_within(ROWS, DISTANCE, [0.5], np.ones((4, 3))).iloc[0]
    assert row["share"] == pytest.approx((2 + 6) / (4 + 9))
    assert row["flat"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert row["lead"] == pytest.approx(8 / 13 - 1 / 2)
    assert (row["low"], row["high"]) == pytest.approx((8 / 13, 8 / 13))


def test_share_within_resamples_patients_and_pairs_the_lead():
    counts = np.array([[2, 0, 1], [0, 2, 1]])
    row = boundary.share_within(ROWS, DISTANCE, [0.5], counts).iloc[0]
    low, high = np.percentile([2 / 4, 6 / 9], [2.5, 97.5])
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    lead = np.percentile([2 / 4 - 2 / 3, 6 / 9 - 1 / 3], [2.5, 97.5])
    assert (row["lead_low"], row["lead_high"]) == pytest.approx(tuple(lead))


def test_a_flat_map_has_no_lead_at_any_width():
    distance = boundary.signed_distance([4.0, 7.0, 12.0], 33)
    found = boundary.share_within(np.ones((3, 33, 33)), distance, [0.6, 1.8, 5.0], np.ones((2, 3)))
    assert found["lead"].to_numpy() == pytest.approx(np.zeros(3))
    assert found["share"].is_monotonic_increasing
