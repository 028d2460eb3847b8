"""The two-level bootstrap: one training seed, equal seeds, strong seeds."""

import numpy as np
import pytest

from namd.evaluation import intervals, levels, metrics

LABEL = np.array([1] * 20 + [0] * 60)


def trained(runs, spread, seed=0, k_runs=2):
    rng = np.random.default_rng(seed)
    lift = 1 + spread * rng.normal(size=(runs, 1, 1))
    return rng.normal(size=80) + 0.3 * rng.normal(size=(runs, k_runs, 80)) + lift * LABEL


def test_one_training_seed_leaves_the_patients_alone():
    prob = trained(1, 0)
    resamples = levels.resample(LABEL, 1, 50, 7)
    assert np.array_equal(resamples.counts, intervals.resample_counts(LABEL, 50, 7))
    alone = intervals.auroc_draws(LABEL, prob[0], resamples.counts)
    assert levels.draws(intervals.auroc_draws, LABEL, prob, resamples) == pytest.approx(alone)


def test_value_is_the_mean_of_the_metric_and_a_row_minus_itself_is_zero():
    prob, resamples = trained(3, 0.5), levels.resample(LABEL, 3, 50, 7)
    for statistic, metric in ((intervals.auroc_draws, metrics.auroc), (intervals.auprc_draws, metrics.auprc)):
        value, low, high = levels.estimate(statistic, LABEL, prob, resamples)
        assert value == pytest.approx(np.mean([metric(LABEL, p) for p in prob.reshape(-1, 80)])) and low < value < high
    assert levels.estimate(intervals.auroc_draws, LABEL, prob, resamples, minus=prob) == (0, 0, 0)


def test_equal_training_seeds_add_nothing():
    prob = np.repeat(trained(1, 0), 3, axis=0)
    resamples = levels.resample(LABEL, 3, 50, 7)
    alone = intervals.auroc_draws(LABEL, prob[0], resamples.counts)
    assert levels.draws(intervals.auroc_draws, LABEL, prob, resamples) == pytest.approx(alone)


def test_weights_draw_students_t_of_the_mean():
    weights = levels.resample(LABEL, 5, 20_000, 1).weights
    values = np.array([1.0, 2, 3, 4, 10])
    drawn = weights @ (values - values.mean()) / (values.std(ddof=1) / np.sqrt(5))
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([-2.776, 2.776], abs=0.12)     # t, 4 degrees


def test_interval_covers_where_training_seeds_matter_and_patients_alone_do_not():
    two, one, n, truth = 0, 0, 60, 0.0
    for i in range(n):
        a, b = trained(3, 0.8, 2 * i), trained(3, 0.8, 2 * i + 1)
        resamples = levels.resample(LABEL, 3, 200, i)
        _, low, high = levels.estimate(intervals.auroc_draws, LABEL, a, resamples, minus=b)
        counts = levels.by_training(intervals.auroc_draws, LABEL, a, resamples.counts).mean(0)
        counts = counts - levels.by_training(intervals.auroc_draws, LABEL, b, resamples.counts).mean(0)
        narrow = intervals.percentile_interval(counts)
        two, one = two + (low <= truth <= high), one + (narrow[0] <= truth <= narrow[1])
    assert two / n >= 0.88 > one / n
