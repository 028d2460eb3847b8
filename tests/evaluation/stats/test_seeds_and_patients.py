"""The two-level bootstrap: one training seed, equal seeds, strong seeds."""

import numpy as np
import pytest

from namd.evaluation.stats import bootstrap, metrics, seeds_and_patients

LABEL = np.array([1] * 20 + [0] * 60)


def trained(runs, spread, seed=0, k_runs=2):
    rng = np.random.default_rng(seed)
    lift = 1 + spread * rng.normal(size=(runs, 1, 1))
    return rng.normal(size=80) + 0.3 * rng.normal(size=(runs, k_runs, 80)) + lift * LABEL


def test_one_training_seed_leaves_the_patients_alone():
    prob = trained(1, 0)
    resamples = seeds_and_patients.resample(LABEL, 1, 50, 7)
    assert np.array_equal(resamples.counts, bootstrap.resample_counts(LABEL, 50, 7))
    alone = bootstrap.auroc_draws(LABEL, prob[0], resamples.counts)
    assert seeds_and_patients.draws(bootstrap.auroc_draws, LABEL, prob, resamples) == pytest.approx(alone)


def test_value_is_the_mean_of_the_metric_and_a_row_minus_itself_is_zero():
    prob, resamples = trained(3, 0.5), seeds_and_patients.resample(LABEL, 3, 50, 7)
    for statistic, metric in ((bootstrap.auroc_draws, metrics.auroc), (bootstrap.auprc_draws, metrics.auprc)):
        value, low, high = seeds_and_patients.estimate(statistic, LABEL, prob, resamples)
        assert value == pytest.approx(np.mean([metric(LABEL, p) for p in prob.reshape(-1, 80)])) and low < value < high
    assert seeds_and_patients.estimate(bootstrap.auroc_draws, LABEL, prob, resamples, minus=prob) == (0, 0, 0)


def test_equal_training_seeds_add_nothing():
    prob = np.repeat(trained(1, 0), 3, axis=0)
    resamples = seeds_and_patients.resample(LABEL, 3, 50, 7)
    alone = bootstrap.auroc_draws(LABEL, prob[0], resamples.counts)
    assert seeds_and_patients.draws(bootstrap.auroc_draws, LABEL, prob, resamples) == pytest.approx(alone)


def test_draws_stay_what_they_were():
    resamples = seeds_and_patients.resample(LABEL, 3, 50, 7)
    drawn = seeds_and_patients.draws(bootstrap.auroc_draws, LABEL, trained(3, 0.5), resamples)
    before = [0.7711589447725911, 0.6483991504643662, 0.7033092392846318, 0.7406911546451893]
    assert drawn[:4] == pytest.approx(before, rel=1e-12)


def test_combine_keeps_one_run_and_equal_runs_as_they_are():
    drawn = np.random.default_rng(0).normal(size=(1, 50))
    assert np.array_equal(seeds_and_patients.combine(np.array([0.1]), drawn, None), drawn[0])
    weights = seeds_and_patients.resample(LABEL, 3, 50, 7).weights
    assert seeds_and_patients.combine(np.full(3, 0.1), np.repeat(drawn, 3, 0), weights) == pytest.approx(drawn[0])


def test_interval_of_a_planted_spread_is_students_t():
    value, (_, weights) = np.array([1.0, 2, 6]), seeds_and_patients.resample(LABEL, 3, 20_000, 1)
    drawn = np.repeat(value[:, None], 20_000, 1)                             # patients add nothing
    mean, low, high = seeds_and_patients.interval(value, drawn, weights)
    half = 4.303 * value.std(ddof=1) / np.sqrt(3)
    assert mean == 3 and (low, high) == pytest.approx((3 - half, 3 + half), rel=0.12)


def test_patient_noise_is_taken_off_the_spread_of_the_runs():
    rng, (_, weights) = np.random.default_rng(3), seeds_and_patients.resample(LABEL, 3, 20_000, 1)
    value = np.array([0.0, 1, 2])
    found = {}
    for noise in (0.5, 2):                  # independent draws of each run: their spread adds noise^2 to the seen one
        drawn = value[:, None] + noise * rng.normal(size=(3, 20_000))
        found[noise] = seeds_and_patients.combine(value, drawn, weights) - drawn.mean(0)
    half = 4.303 / np.sqrt(3) * np.sqrt(1 - 0.5**2)
    assert np.quantile(found[0.5], [0.025, 0.975]) == pytest.approx([-half, half], rel=0.12)
    assert not found[2].any()


def test_interval_needs_a_value_of_every_run_and_skips_resamples_without_one():
    weights = seeds_and_patients.resample(LABEL, 2, 3, 7).weights
    drawn = np.array([[0.0, 1, np.nan], [0, 1, 2]])
    assert np.isnan(seeds_and_patients.interval([np.nan, 1], drawn, weights)).all()
    assert np.isnan(seeds_and_patients.interval([1, 1], np.full((2, 3), np.nan), weights)).all()
    assert np.isnan(seeds_and_patients.interval([np.nan], drawn[1:], weights)).all()
    assert seeds_and_patients.interval([1, 1], drawn, weights) == pytest.approx((1, 0.025, 0.975))
    assert np.isfinite(seeds_and_patients.interval([1, 9], drawn, weights)).all()


def test_covers_names_the_levels():
    assert seeds_and_patients.covers(1) == "patients"
    assert seeds_and_patients.covers(3, "nodules") == "nodules and training seeds"


def test_weights_draw_students_t_of_the_mean():
    weights = seeds_and_patients.resample(LABEL, 5, 20_000, 1).weights
    values = np.array([1.0, 2, 3, 4, 10])
    drawn = weights @ (values - values.mean()) / (values.std(ddof=1) / np.sqrt(5))
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([-2.776, 2.776], abs=0.12)     # t, 4 degrees


def test_interval_covers_where_training_seeds_matter_and_patients_alone_do_not():
    two, one, n, truth = 0, 0, 60, 0.0
    for i in range(n):
        a, b = trained(3, 0.8, 2 * i), trained(3, 0.8, 2 * i + 1)
        resamples = seeds_and_patients.resample(LABEL, 3, 200, i)
        _, low, high = seeds_and_patients.estimate(bootstrap.auroc_draws, LABEL, a, resamples, minus=b)
        counts = seeds_and_patients.by_training(bootstrap.auroc_draws, LABEL, a, resamples.counts).mean(0)
        counts = counts - seeds_and_patients.by_training(bootstrap.auroc_draws, LABEL, b, resamples.counts).mean(0)
        narrow = bootstrap.percentile_interval(counts)
        two, one = two + (low <= truth <= high), one + (narrow[0] <= truth <= narrow[1])
    assert two / n >= 0.88 > one / n
