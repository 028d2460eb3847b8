"""Columns, order and gaps of Table 1 on scores whose answer is known."""

import numpy as np
import pytest

from namd.evaluation import curves, intervals, metrics, table1


def scores(n1=80, n0=320):
    """Labels and three rows of K = 2 runs: weak, better, best."""
    rng = np.random.default_rng(0)
    label = np.array([1] * n1 + [0] * n0)
    rows = {name: 1 / (1 + np.exp(-(rng.normal(size=(2, n1 + n0)) + lift * label)))
            for name, lift in (("real baseline", 0.5), ("namd", 1.5), ("real follow-up", 3.0))}
    return label, rows, intervals.resample_counts(label, 300, 1)


def test_diagnosis_columns_report_both_spreads():
    label, rows, counts = scores()
    row = table1.diagnosis_columns(label, rows["namd"], counts)
    one, two = (metrics.auroc(label, p) for p in rows["namd"])
    assert row["auroc_mean"] == pytest.approx((one + two) / 2) and row["auroc_sd"] == pytest.approx(abs(one - two) / 2)
    assert row["auroc"] == pytest.approx(metrics.auroc(label, rows["namd"].mean(0)))
    assert row["auroc"] > row["auroc_mean"]                            # averaging runs removes noise
    assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
    assert row["auprc_low"] < row["auprc"] < row["auprc_high"]


def test_ordering_says_holds_fails_and_undecided():
    label, rows, counts = scores()
    rows["again"] = rows["namd"]
    order = table1.ordering([("real baseline", "namd"), ("real follow-up", "namd"), ("namd", "again")],
                            label, rows, counts)
    assert order["verdict"].tolist() == ["holds", "fails", "undecided"]
    assert order["difference"][2] == 0 and order["p_delong"][2] == 1


def test_gaps_are_zero_and_one_at_the_ends():
    label, rows, counts = scores()
    gap = table1.gaps(label, rows, list(rows), ["real follow-up"], counts).set_index("row")
    assert gap.loc["real baseline", "value"] == 0 and gap.loc["real follow-up", "value"] == 1
    assert 0 < gap.loc["namd", "low"] < gap.loc["namd", "value"] < gap.loc["namd", "high"] < 1


def test_reliability_bins_by_hand():
    predicted, observed, se = curves.reliability_bins([0, 1, 0, 1], [0.1, 0.3, 0.8, 0.6], n_bins=2)
    assert predicted == pytest.approx([0.2, 0.7]) and observed == pytest.approx([0.5, 0.5])
    assert se == pytest.approx([np.sqrt(0.125)] * 2)
