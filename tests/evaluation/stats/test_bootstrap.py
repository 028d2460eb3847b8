"""Resamples of the patients, and what each statistic is in them."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from namd.evaluation.stats import bootstrap, metrics


def cohort(n1=12, n0=30, seed=0, digits=1):
    """Labels, two correlated scores with ties, from one small random draw."""
    rng = np.random.default_rng(seed)
    label = np.array([1] * n1 + [0] * n0)[rng.permutation(n1 + n0)]
    shared = rng.normal(size=n1 + n0) + label
    return label, np.round(shared, digits), np.round(shared + rng.normal(size=n1 + n0), digits)


def test_resamples_keep_the_class_sizes_and_repeat():
    label, _, _ = cohort()
    counts = bootstrap.resample_counts(label, 20, 7)
    assert (counts[:, label == 1].sum(1) == 12).all() and (counts[:, label == 0].sum(1) == 30).all()
    assert np.array_equal(counts, bootstrap.resample_counts(label, 20, 7))
    assert not np.array_equal(counts, bootstrap.resample_counts(label, 20, 8))


def test_draws_equal_the_metric_on_repeated_patients():
    label, a, b = cohort()
    counts = bootstrap.resample_counts(label, 15, 1)
    runs = np.stack([a, b])
    for count, auc, ap in zip(counts, bootstrap.auroc_draws(label, runs, counts),
                              bootstrap.auprc_draws(label, a, counts), strict=True):
        i = np.repeat(np.arange(len(label)), count)
        assert auc == pytest.approx((metrics.auroc(label[i], a[i]) + metrics.auroc(label[i], b[i])) / 2)
        assert ap == pytest.approx(metrics.auprc(label[i], a[i]))


def test_zeros_for_labels_leave_the_prevalence_free():
    label, _, _ = cohort()
    malignant = bootstrap.resample_counts(np.zeros(42), 50, 7)[:, label == 1].sum(1)
    assert malignant.std() > 1 and (bootstrap.resample_counts(np.zeros(42), 5, 7).sum(1) == 42).all()


def test_rank_correlation_of_every_resample_is_scipys():
    label, a, b = cohort()                                                      # with ties
    counts = bootstrap.with_itself(bootstrap.resample_counts(label, 30, "ranks"))
    drawn = bootstrap.rank_correlation_draws(a, b, counts)
    assert drawn[0] == pytest.approx(spearmanr(a, b).statistic)
    assert drawn == pytest.approx([spearmanr(np.repeat(a, c), np.repeat(b, c)).statistic for c in counts])


def test_rank_correlation_needs_two_scores():
    drawn = bootstrap.rank_correlation_draws([1, 2, 2], [3, 1, 2], np.array([[1, 1, 0], [0, 1, 2]]))
    assert drawn == pytest.approx([-1, np.nan], nan_ok=True)


def test_mean_draws_weigh_patients_and_skip_missing_values():
    counts = np.array([[1, 1, 1], [2, 0, 1], [0, 0, 3]])
    draws = bootstrap.mean_draws([1.0, 3.0, np.nan], [True, True, True], counts)
    assert draws[:2].tolist() == [2.0, 1.0]
    assert np.isnan(draws[2])


def test_contrast_is_a_difference_of_means():
    counts = np.ones((5, 4), dtype=int)
    left, right = np.array([True, True, False, False]), np.array([False, False, True, True])
    assert bootstrap.contrast([2.0, 4.0, 1.0, np.nan], left, right, counts) == pytest.approx((2.0, 2.0, 2.0))
    assert np.isnan(bootstrap.contrast([1.0, 3.0, 0.0, 0.0], left, np.zeros(4, dtype=bool), counts)).all()


def test_mean_interval_spans_the_resamples():
    counts = np.array([[2, 0], [0, 2]])
    value, low, high = bootstrap.mean_interval([1.0, 3.0], counts)
    assert value == 2.0
    assert 1.0 <= low < 1.1 and 2.9 < high <= 3.0
