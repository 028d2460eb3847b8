"""Recalibration against scikit-learn, net benefit by hand, coverage on simulated cohorts."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from namd.evaluation.stats import bootstrap, calibration


def risks(n, seed=0):
    rng = np.random.default_rng(seed)
    risk = expit(rng.normal(-2, 1.2, n))
    return (rng.random(n) < risk).astype(int), risk


@pytest.mark.parametrize("factor, shift", [(1, 0), (4, 1), (0.3, -2), (-1, 0)])
def test_slope_and_intercept_equal_scikit_learns(factor, shift):
    label, risk = risks(400)
    prob = np.clip(expit(factor * logit(risk) + shift), 1e-6, 1)
    slope, intercept = calibration.recalibrate(label, prob, np.ones((1, 400)))
    fit = LogisticRegression(C=1e10, tol=1e-10).fit(logit(prob)[:, None], label)
    assert slope == pytest.approx(fit.coef_[0], abs=1e-4)
    assert expit(intercept + logit(prob)).mean() == pytest.approx(label.mean())  # its defining equation


def test_counts_are_repeated_patients():
    label, risk = risks(200)
    counts = bootstrap.resample_counts(np.zeros(200), 3, 1)
    again = [calibration.recalibrate(np.repeat(label, c), np.repeat(risk, c), np.ones((1, 200))) for c in counts]
    assert np.stack(calibration.recalibrate(label, risk, counts)) == pytest.approx(np.array(again)[..., 0].T)


def test_no_slope_for_equal_or_separating_scores():
    for prob in ([0.5] * 4, [0.1, 0.2, 0.8, 0.9]):
        assert np.isnan(calibration.recalibrate([0, 0, 1, 1], prob, np.ones((1, 4)))[0])
    assert np.isnan(calibration.calibration([0, 0, 1, 1], [0.5] * 4, np.ones((2, 4)))["slope_high"])


def test_intervals_cover_one_and_zero_where_probabilities_are_true():
    hits, n = np.zeros(2), 60
    for i in range(n):
        label, risk = risks(300, i)
        got = calibration.calibration(label, risk, bootstrap.resample_counts(np.zeros(300), 100, i))
        hits += [got["slope_low"] <= 1 <= got["slope_high"], got["intercept_low"] <= 0 <= got["intercept_high"]]
    assert (0.87 <= hits / n).all()


def test_net_benefit_by_hand():
    label, prob = [1, 0, 1, 0], [0.9, 0.6, 0.2, 0.1]
    assert calibration.net_benefit(label, prob, [0.5, 0.75]) == pytest.approx([1 / 4 - 1 / 4, 1 / 4])
    assert calibration.net_benefit(label, np.ones(4), [0.2]) == pytest.approx([0.5 - 0.5 * 0.25])  # everybody
    counts = np.array([[2, 0, 1, 1], [1, 1, 1, 1]])
    assert calibration.net_benefit(label, prob, [0.5], counts)[:, 0] == pytest.approx([2 / 4, 0])
