"""DeLong against brute force over all pairs; the bootstrap against the metrics it replaces."""

import numpy as np
import pytest
from MLstatkit import Delong_test
from scipy.stats import binomtest

from namd.evaluation.stats import intervals, metrics
from namd.ground.errors import UserError


def cohort(n1=12, n0=30, seed=0, digits=1):
    """Labels, two correlated scores with ties, from one small random draw."""
    rng = np.random.default_rng(seed)
    label = np.array([1] * n1 + [0] * n0)[rng.permutation(n1 + n0)]
    shared = rng.normal(size=n1 + n0) + label
    return label, np.round(shared, digits), np.round(shared + rng.normal(size=n1 + n0), digits)


def brute_force(label, score):
    """AUROC and the two DeLong components, comparing every malignant with every benign nodule."""
    positive, negative = score[label == 1], score[label == 0]
    wins = (positive[:, None] > negative[None]) + 0.5 * (positive[:, None] == negative[None])
    return wins.mean(), wins.mean(1), wins.mean(0)


def test_placements_equal_the_pairwise_means():
    label, a, _ = cohort()
    auc, v1, v0 = brute_force(label, a)
    got1, got0 = intervals.placements(label, a)
    assert np.allclose(got1, v1) and np.allclose(got0, v0)
    assert got1.mean() == pytest.approx(auc) == pytest.approx(metrics.auroc(label, a))


def test_delong_equals_brute_force():
    label, a, _ = cohort()
    auc, v1, v0 = brute_force(label, a)
    se = np.sqrt(v1.var(ddof=1) / len(v1) + v0.var(ddof=1) / len(v0))
    got = intervals.delong(label, a)
    assert got[:2] == (pytest.approx(auc), pytest.approx(se))
    assert got[2:] == (pytest.approx(auc - 1.959964 * se), pytest.approx(min(1, auc + 1.959964 * se)))


def test_paired_delong_equals_brute_force_with_covariance():
    label, a, b = cohort()
    (auc_a, a1, a0), (auc_b, b1, b0) = brute_force(label, a), brute_force(label, b)
    variance = sum(np.cov(u, v)[0, 0] + np.cov(u, v)[1, 1] - 2 * np.cov(u, v)[0, 1] for u, v in [(a1, b1)]) / len(a1)
    variance += (np.cov(a0, b0)[0, 0] + np.cov(a0, b0)[1, 1] - 2 * np.cov(a0, b0)[0, 1]) / len(a0)
    diff, se, low, high, p_value = intervals.delong_paired(label, a, b)
    assert (diff, se) == (pytest.approx(auc_a - auc_b), pytest.approx(np.sqrt(variance)))
    assert low < diff < high and (p_value < 0.05) == (low > 0 or high < 0)
    assert intervals.delong_paired(label, a, a) == (0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("digits", [1, 12])                                 # with ties and without
def test_delong_and_its_paired_test_equal_another_librarys(digits):
    label, a, b = cohort(53, 397, digits=digits)
    z, p_value, ci_a, ci_b, auc_a, auc_b, info = Delong_test(label, a, b)
    assert info["method"] == "delong" and (info["tie_rate_A"] > 0) == (digits == 1)
    for score, auc, ci in ((a, auc_a, ci_a), (b, auc_b, ci_b)):
        got = intervals.delong(label, score)
        assert (got[0], got[2:]) == (pytest.approx(auc), pytest.approx(ci))
    diff, se, low, high, p = intervals.delong_paired(label, a, b)
    assert (-diff / se, se**2, p) == (pytest.approx(z), pytest.approx(info["var_diff"]), pytest.approx(p_value))
    assert 1e-12 < p < 0.9


def test_delong_of_equal_scores_is_chance_without_spread():
    assert intervals.delong([1, 1, 0, 0], [0.5] * 4) == (0.5, 0.0, 0.5, 0.5)


def test_delong_interval_covers_the_truth():
    rng, hits, truth = np.random.default_rng(3), 0, 0.7602     # Phi(1 / sqrt 2)
    label = np.array([1] * 40 + [0] * 160)
    for _ in range(200):
        _, _, low, high = intervals.delong(label, rng.normal(size=200) + label)
        hits += low <= truth <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_one_class_is_a_user_error():
    with pytest.raises(UserError, match="0 malignant"):
        intervals.delong([0, 0], [0.1, 0.2])


def test_auprc_interval_leaves_each_patient_out():
    label, a, _ = cohort()
    left = np.array([metrics.auprc(np.delete(label, i), np.delete(a, i)) for i in range(len(label))])
    square = [(n - 1) / n * ((left[label == v] - left[label == v].mean()) ** 2).sum() for v, n in ((1, 12), (0, 30))]
    value, se, low, high = intervals.auprc_interval(label, a)
    assert (value, se) == (pytest.approx(metrics.auprc(label, a)), pytest.approx(np.sqrt(sum(square))))
    odds = lambda p: p / (1 - p)                                                # noqa: E731
    assert 0 < low < value < high < 1 and odds(low) * odds(high) == pytest.approx(odds(value) ** 2)
    assert intervals.auprc_interval([1, 1, 0, 0], [0.5] * 4) == (0.5, 0.0, 0.5, 0.5)


@pytest.mark.parametrize(("k", "n"), [(0, 6), (6, 6), (17, 50), (1, 450)])
def test_wilsons_interval_is_scipys(k, n):
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert intervals.wilson(k / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_gap_closed_reproduces_the_papers_share():
    assert intervals.gap_closed(0.742, 0.805, 0.819) == pytest.approx(0.818, abs=1e-3)
    assert np.isnan(intervals.gap_closed(0.8, 0.9, 0.7))
    assert intervals.gap_closed(np.array([0.5, 0.9]), 0.7, 0.8)[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.1, 0.2, "holds"), (-0.2, -0.1, "fails"), (-0.1, 0.1, "undecided"), (np.nan, np.nan, "undecided")],
)
def test_verdict_follows_the_interval(low, high, word):
    assert intervals.verdict(low, high) == word
