"""Doubling times, CRPS and coverage against cases worked by hand."""

import numpy as np
import pytest

from namd.evaluation.stats import bootstrap, growth


def test_a_volume_that_doubles_once_takes_the_interval():
    assert growth.doubling_days(8.0, 8 * 2 ** (1 / 3), 365) == pytest.approx(365)
    assert growth.doubling_days(5.0, 10.0, 360) == pytest.approx(120)       # eight times the volume: three doublings


def test_what_does_not_grow_gets_the_cap_and_what_was_not_measured_is_nan():
    d1, d2 = [8.0, 8.0, 8.0, 8.0, 0.0], [8.0, 6.0, 8.1, 0.0, 8.0]               # equal, shrunk, slow, vanished, unseen
    assert np.array_equal(growth.doubling_days(d1, d2, 365), [600, 600, 600, 600, np.nan], equal_nan=True)


def test_crps_equals_the_double_sum():
    d2, d2_hat = np.array([3.0, 10.0]), np.random.default_rng(0).normal(5, 2, (5, 2))
    pairs = np.abs(d2_hat[:, None] - d2_hat[None]).sum((0, 1)) / (2 * 5 * 4)
    assert growth.crps(d2, d2_hat) == pytest.approx(np.abs(d2_hat - d2).mean(0) - pairs)
    assert growth.crps(2.0, np.array([[1.0], [3.0]])) == pytest.approx(0.0)      # 1 - 2 / 2
    assert growth.crps(d2, d2_hat[:1]) == pytest.approx(np.abs(d2_hat[0] - d2))


@pytest.mark.parametrize("k_runs", [2, 8])
def test_crps_is_fair_to_small_k(k_runs):
    rng, n = np.random.default_rng(1), 20_000
    scores = growth.crps(rng.normal(size=n), rng.normal(size=(k_runs, n)))
    assert scores.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=0.025)         # E|x - y| / 2 of two N(0, 1)


def test_covered_inside_outside_and_tied():
    d2_hat = np.array([[1.0, 1, 1, 1, 2], [3, 3, 3, 3, 2]])
    assert growth.covered([2, 0, 4, 1, 2], d2_hat) == pytest.approx([1, 0, 0, 1 / 2, 1 / 3])


@pytest.mark.parametrize("step", [1e-9, 1.0])
def test_calibrated_forecasts_reach_the_nominal_coverage(step):
    rng, n, k_runs = np.random.default_rng(2), 20_000, 4
    d2, d2_hat = (np.round(rng.normal(size=shape) / step) for shape in (n, (k_runs, n)))
    assert growth.covered(d2, d2_hat).mean() == pytest.approx(3 / 5, abs=0.015)


def test_columns_by_hand():
    d1, d2 = np.full(3, 8.0), np.array([8 * 2 ** (1 / 3), 8.0, 8 * 2 ** (1 / 3)])
    d2_hat = np.stack([d2, d2 + [0, 0, 1]])
    got = growth.growth_columns(d1, d2, d2_hat, np.full(3, 365), np.ones((5, 3), dtype=int))
    late = 365 - growth.doubling_days(8.0, d2[2] + 1, 365)
    assert got["diameter_error"] == pytest.approx(1 / 6) and got["vdt_error"] == pytest.approx(late / 6)
    assert got["vdt_error_growing"] == pytest.approx(late / 4) and got["growing"] == pytest.approx(2 / 3)
    assert got["coverage_nominal"] == pytest.approx(1 / 3) and got["diameter_error_low"] == got["diameter_error"]
    single = growth.growth_columns(d1, d2, d2_hat[1:], np.full(3, 365), np.ones((5, 3), dtype=int))
    assert np.isnan(single["coverage"]) and single["crps"] == pytest.approx(1 / 3)


def test_intervals_of_the_columns_cover_the_truth():
    rng, label, hits, n = np.random.default_rng(3), np.array([1] * 20 + [0] * 80), np.zeros(2), 100
    for i in range(n):
        d2, d2_hat = rng.normal(20, 1, 100), rng.normal(20, 1, (4, 100))
        got = growth.growth_columns(np.full(100, 10.0), d2, d2_hat, 365, bootstrap.resample_counts(label, 200, i))
        truth = {"crps": 1 / np.sqrt(np.pi), "diameter_error": 2 / np.sqrt(np.pi)}
        hits += [got[f"{name}_low"] <= value <= got[f"{name}_high"] for name, value in truth.items()]
    assert (0.87 <= hits / n).all() and (hits / n <= 1).all()
