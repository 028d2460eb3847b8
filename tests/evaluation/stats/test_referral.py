"""Abstention against cases worked by hand, and against metrics on the nodules that are kept."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.stats import bootstrap, metrics, referral, variance


def test_kept_counts_by_hand():
    counts = np.array([[1, 1, 1, 1, 1], [0, 3, 0, 2, 0]])
    kept = referral.kept_counts(counts, [0.1, 0.5, 0.2, 0.4, 0.3], 0.4)  # two of five go, the most uncertain
    assert kept.tolist() == [[1, 0, 1, 0, 1], [0, 1, 0, 2, 0]]  # a nodule drawn three times may be kept once


def test_nothing_is_referred_at_share_zero_and_shares_round_down():
    counts = np.array([[1, 2, 0, 4]])
    assert (referral.kept_counts(counts, [1.0, 2, 3, 4], 0) == counts).all()
    assert referral.kept_counts(np.ones((1, 10), int), np.arange(10), 0.35).sum() == 7
    assert referral.kept_counts(np.ones((1, 100), int), np.arange(100), 0.29).sum() == 71  # 0.29 * 100 is 28.99...96


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], [60, 20])
    return variance.spread(np.clip(rng.normal(0.4 + 0.15 * label, 0.3, (4, 80)), 0.01, 0.99), label)


def test_curve_scores_the_nodules_that_are_kept(table):
    order = table["prob_var"].to_numpy()
    curve = referral.referral_curve(table, order, 0.5, [0, 0.25], np.ones((2, 80), int))
    kept = table.iloc[np.argsort(order, kind="stable")[:60]]
    assert curve["auroc"].tolist() == pytest.approx(
        [metrics.auroc(t["label"], t["prob_mean"]) for t in (table, kept)])
    assert curve["error"].tolist() == pytest.approx([(t["error"] >= 0.5).mean() for t in (table, kept)])
    assert curve["malignant"].tolist() == pytest.approx([0.25, kept["label"].mean()])
    assert curve["gain"].tolist() == pytest.approx([0, curve["auroc"][1] - curve["auroc"][0]])


def test_gain_is_paired_with_the_same_resample(table):
    counts = bootstrap.resample_counts(table["label"], 200, "referral test")
    first, later = referral.referral_curve(table, table["prob_var"], 0.5, [0, 0.05], counts).to_dict("records")
    assert first["gain_low"] == first["gain_high"] == 0
    assert later["gain_high"] - later["gain_low"] < 0.5 * (later["auroc_high"] - later["auroc_low"])


def test_referring_the_wrong_answers_raises_auroc_and_empties_the_errors(table):
    curve = referral.referral_curve(table, table["error"], 0.5, [0, 0.3], np.ones((2, 80), int))
    assert curve["gain"][1] > 0.05 and curve["error"][1] == 0


def test_a_class_that_is_all_referred_has_no_auroc():
    table = pd.DataFrame({"label": [0, 0, 1], "prob_mean": [0.1, 0.2, 0.9], "error": [0.1, 0.2, 0.1]})
    curve = referral.referral_curve(table, [0, 1, 2], 0.5, [0, 0.34], np.array([[1, 1, 1], [2, 0, 1]]))
    assert curve["auroc"][0] == 1 and np.isnan(curve["auroc"][1])
    assert curve["malignant"][1] == 0
