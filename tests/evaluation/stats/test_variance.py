"""Spread, regimes, running variance and standard errors against hand-computed cases."""

import numpy as np
import pytest

from namd.evaluation.stats import variance


def test_spread_by_hand():
    prob = np.array([[0.1, 0.9], [0.3, 0.7]])
    table = variance.spread(prob, [0, 1])
    assert table["prob_mean"].tolist() == pytest.approx([0.2, 0.8])
    assert table["error"].tolist() == pytest.approx([0.2, 0.2])
    assert table["prob_var"].tolist() == pytest.approx([0.02, 0.02])  # (0.1^2 + 0.1^2) / (2 - 1)


def test_spread_refuses_one_run():
    with pytest.raises(ValueError, match="K >= 2"):
        variance.spread(np.array([[0.1, 0.9]]), [0, 1])


def test_variance_never_exceeds_its_ceiling():
    prob = np.random.default_rng(0).random((4, 50)).round()  # 0 or 1: the widest spread there is
    table = variance.spread(prob, np.tile([0, 1], 25))
    assert table["prob_var"].to_numpy() == pytest.approx((4 / 3 * table["error"] * (1 - table["error"])).to_numpy())


def test_regimes_at_their_borders():
    found = variance.regimes([0.49, 0.5, 0.1, 0.9], [0.02, 0.02, 0.021, 0.03], error_cut=0.5, var_cut=0.02)
    assert found.tolist() == ["confidently correct", "confidently incorrect", "unsure", "unsure"]


def test_cases_are_the_extremes_of_their_cell():
    table = variance.spread(np.array([[0.1, 0.2, 0.9, 0.0], [0.1, 0.2, 0.9, 1.0]]), [0, 0, 0, 1])
    regime = variance.regimes(table["error"], table["prob_var"], 0.5, 0.1)
    cases = variance.pick_cases(table, regime)
    assert len(cases) == 6
    assert cases["confidently correct", 0] == 0
    assert cases["confidently incorrect", 0] == 2
    assert cases["unsure", 1] == 3
    assert cases["confidently correct", 1] is None


def test_running_variance_equals_numpy_at_every_k():
    prob = np.random.default_rng(1).random((6, 3))
    running = variance.running_variance(prob)
    assert np.isnan(running[0]).all()
    for k in range(2, 7):
        assert running[k - 1] == pytest.approx(prob[:k].var(0, ddof=1))
    assert variance.running_variance(prob, ddof=0)[0] == pytest.approx(np.zeros(3))


def test_settled_looks_at_every_later_run():
    running = np.array([[np.nan, np.nan], [1.0, 1.0], [2.0, 1.0], [1.0, 1.0]])  # the first leaves and returns
    assert variance.settled(running, 0.2).tolist() == [0.0, 0.5, 0.5, 1.0]


def mean(runs):
    return runs.mean(0)


def test_split_error_of_a_mean_is_the_variance_over_k():
    prob = np.random.default_rng(2).random((6, 40))
    for k in (1, 2, 3):
        found = variance.split_error(mean, prob, k, 400, "test", k)
        assert found**2 == pytest.approx(prob.var(0, ddof=1).mean() / k, rel=0.05)  # exact over all splits


def test_split_error_divides_each_nodule_apart():
    prob = np.tile([[0.0], [1.0]], 400)  # whole runs kept together would differ by 1 in every split: 0.71
    assert variance.split_error(lambda runs: runs.mean(), prob, 1, 200, "test") == pytest.approx(0.707 / 20, rel=0.2)


def test_relative_split_error_of_a_normal_variance():
    prob = np.random.default_rng(3).normal(scale=3, size=(20, 2000))
    found = variance.split_error(lambda runs: runs.var(0, ddof=1), prob, 9, 3, "test", relative=True)
    assert found == pytest.approx(np.sqrt(2 / 8), rel=0.05)


def test_split_error_needs_twice_the_runs():
    with pytest.raises(ValueError, match="needs 4 runs, got 3"):
        variance.split_error(mean, np.zeros((3, 5)), 2, 10, "test")
