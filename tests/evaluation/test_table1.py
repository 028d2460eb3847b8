"""Columns, order and gaps of Table 1 on scores whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from namd.evaluation import curves, intervals, metrics, runs, table1
from namd.forecasters.controls import CopyBaseline
from namd.models.judge import Judge
from namd.models.losses import perceptual


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
    assert row["auroc_kmean"] == pytest.approx(metrics.auroc(label, rows["namd"].mean(0)))
    assert row["auroc_kmean"] > row["auroc_mean"]                            # averaging runs removes noise
    assert row["auroc_low"] < row["auroc_kmean"] < row["auroc_high"]
    assert row["auprc_low"] < row["auprc_kmean"] < row["auprc_high"]


def test_ordering_says_holds_fails_and_undecided():
    label, rows, counts = scores()
    rows["again"] = rows["namd"]
    order = table1.ordering([("real baseline", "namd"), ("real follow-up", "namd"), ("namd", "again")],
                            label, rows, counts)
    assert order["verdict"].tolist() == ["holds", "fails", "undecided"]
    assert order["difference"][2] == 0 and order["p_delong"][2] == 1


def test_gaps_are_zero_at_the_baseline_and_not_asked_of_the_ceiling():
    label, rows, counts = scores()
    gap = table1.gaps(label, rows, list(rows), ["real follow-up"], counts).set_index("row")
    assert gap.loc["real baseline", "value"] == 0 and "real follow-up" not in gap.index
    assert 0 < gap.loc["namd", "low"] < gap.loc["namd", "value"] < gap.loc["namd", "high"] < 1


def test_reliability_bins_by_hand():
    predicted, observed, se = curves.reliability_bins([0, 1, 0, 1], [0.1, 0.3, 0.8, 0.6], n_bins=2)
    assert predicted == pytest.approx([0.2, 0.7]) and observed == pytest.approx([0.5, 0.5])
    assert se == pytest.approx([np.sqrt(0.125)] * 2)


def test_rows_on_disk_are_scored_alike_by_one_and_by_two_processes(tmp_path):
    x1 = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x2, ehr = x1.flip(0), pd.DataFrame({"age": range(6)}, index=[f"pair{i}" for i in range(6)])
    torch.manual_seed(0)
    judge, net = Judge(64, 16, 8, 1, 1, 8, 8, 0.0), perceptual("squeeze", "random", 0)
    runs.draw_rows({"copy-baseline": CopyBaseline}, x1, ehr, {"copy-baseline": [1]}, tmp_path, 4)
    np.save(runs.row_file(tmp_path, "perfect twice"), np.stack([x2[:, 0], x2[:, 0]]))
    rows = ["copy-baseline", "perfect twice"]
    prob, columns = table1.score_rows(tmp_path, rows, x1, x2, judge, net, threads=1, workers=1)
    again, columns_two = table1.score_rows(tmp_path, rows, x1, x2, judge, net, threads=1, workers=2)
    assert columns.equals(columns_two) and all(np.array_equal(prob[row], again[row]) for row in rows)
    assert prob["perfect twice"] == pytest.approx(np.stack([judge.prob(x2)] * 2), abs=1e-6)
    perfect, copied = columns.loc["perfect twice"], columns.loc["copy-baseline"]
    assert perfect["lpips_mean"] == pytest.approx(0, abs=1e-6) and copied["lpips_mean"] > 0.01
    assert perfect["delta_rmae_mean"] == 0 and copied["delta_rmae_mean"] == pytest.approx(2, abs=1e-2)
    assert (perfect.filter(like="_sd") == 0).sum() >= 5


def test_the_paper_stands_beside_its_own_rows_only():
    table = pd.DataFrame(index=["namd", "no_align_no_pred", "direct"])
    phantom, real = (table1.beside_the_paper(table, synthetic) for synthetic in (True, False))
    assert phantom["paper_auroc"].tolist()[:2] == [0.805, 0.765] and np.isnan(phantom["paper_auroc"]["direct"])
    assert phantom["comparable"]["namd"].startswith("not comparable") and "FID" in real["comparable"]["namd"]
