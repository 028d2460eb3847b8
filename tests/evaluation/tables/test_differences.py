"""Differences to NAMD and closed gaps on scores whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from namd.evaluation.stats import bootstrap, metrics
from namd.evaluation.tables import differences


def scores(n1=80, n0=320):
    """Labels, three rows of K = 2 runs (weak, better, best) and bootstrap counts."""
    rng, label = np.random.default_rng(0), np.array([1] * n1 + [0] * n0)
    rows = {name: 1 / (1 + np.exp(-(rng.normal(size=(2, n1 + n0)) + lift * label)))
            for name, lift in (("real baseline", 0.5), ("namd", 1.5), ("real follow-up", 3.0))}
    return label, rows, bootstrap.resample_counts(label, 300, 1)


def line(table, row, metric, statistic="mean over runs"):
    return table.set_index(["row", "metric", "statistic"]).loc[(row, metric, statistic)]


def test_rows_are_better_worse_or_undecided():
    label, rows, counts = scores()
    rows["again"] = rows["namd"]
    table = differences.differences(label, rows, {}, counts, None, "namd")
    assert set(table["metric"]) == {"auroc", "auprc"}                        # no images, no image metrics
    verdicts = table.groupby("row")["verdict"].agg(set)
    assert verdicts.to_dict() == {"real baseline": {"worse"}, "real follow-up": {"better"}, "again": {"undecided"}}
    assert (table.loc[table["row"] == "again", "difference"] == 0).all()
    assert line(table, "again", "auroc", "K-mean")["p"] == 1


def test_each_statistic_is_the_one_it_says():
    label, rows, counts = scores()
    rows["one run"] = rows["real baseline"][:1]
    table = differences.differences(label, rows, {}, counts, None, "namd")
    auroc = {row: metrics.over_runs(metrics.auroc, label, prob)[0] for row, prob in rows.items()}
    mean = line(table, "one run", "auroc")
    assert mean["difference"] == pytest.approx(auroc["one run"] - auroc["namd"]) and mean["k"] == 1
    k_mean = line(table, "real baseline", "auroc", "K-mean")
    assert k_mean["difference"] == pytest.approx(np.subtract(*(
        metrics.auroc(label, rows[row].mean(0)) for row in ("real baseline", "namd"))))
    low, high = bootstrap.percentile_interval(bootstrap.auroc_draws(label, rows["one run"], counts)
                                              - bootstrap.auroc_draws(label, rows["namd"], counts))
    assert (mean["low"], mean["high"]) == pytest.approx((low, high))


def test_image_differences_are_paired_by_patient_and_point_the_right_way():
    label, rows, counts = scores()
    own = np.random.default_rng(1).normal(5, 1, size=(2, 400))               # patients differ far more than rows do
    values = {"namd": dict(lpips=own, delta_rmae=own), "real baseline": dict(lpips=own - 0.01, delta_rmae=own + 0.01)}
    table = differences.differences(label, rows, values, counts, None, "namd")
    lpips, rmae = (line(table, "real baseline", metric) for metric in ("lpips", "delta_rmae"))
    assert lpips[["difference", "low", "high"]].to_numpy(float) == pytest.approx(-0.01)
    assert (lpips["verdict"], rmae["verdict"]) == ("better", "worse")        # lower is better
    assert "lpips" not in set(table.loc[table["row"] == "real follow-up", "metric"])


def test_a_difference_of_images_says_what_its_interval_covers():
    rows = ["namd", "namd-seed24", "other", "other-seed24"]
    table1 = pd.DataFrame(dict(lpips_mean=[0.5, 0.6, 0.4, 0.3], lpips_sd=0.1, fid_mean=[1.0, 1.0, 3.0, 2.0],
                               fid_sd=[0.3, 0.0, 0.4, 0.0], k=4), rows)
    paired = pd.DataFrame([dict(row="other", metric="lpips", low=-0.3, high=0.1),
                           dict(row="other", metric="auroc", low=0.0, high=1.0)])
    patients = differences.of_images(table1, paired, "lpips", rows[:1], rows[2:3])
    assert (patients["over"], patients["training_seeds"]) == ("patients", 1)
    assert [patients[name] for name in ("value", "low", "high")] == pytest.approx([0.1, -0.1, 0.3])
    runs = differences.of_images(table1, paired, "fid", rows[:1], rows[2:3])
    assert runs["over"] == "runs" and runs["value"] == -2.0
    assert runs["high"] - runs["value"] == pytest.approx(t.ppf(0.975, 3) * 0.5 / np.sqrt(3))
    seeds = differences.of_images(table1, paired, "lpips", rows[:2], rows[2:])
    assert (seeds["over"], seeds["training_seeds"]) == ("training seeds", 2)
    assert seeds["high"] - seeds["value"] == pytest.approx(t.ppf(0.975, 1) * 0.1)      # of .1 and .3


def test_gaps_are_zero_at_the_baseline_and_not_asked_of_the_ceiling():
    label, rows, counts = scores()
    gap = differences.gaps(label, rows, list(rows), ["real follow-up"], counts).set_index("row")
    assert gap.loc["real baseline", "value"] == 0 and "real follow-up" not in gap.index
    assert 0 < gap.loc["namd", "low"] < gap.loc["namd", "value"] < gap.loc["namd", "high"] < 1
    assert gap["resamples_without_gap"].eq(0).all()


def test_resamples_without_a_gap_are_counted():
    label, rows, counts = scores()
    rows["hardly better"] = rows["real baseline"] + 0.01 * np.random.default_rng(1).normal(size=(2, 400))
    before, after = (bootstrap.auroc_draws(label, rows[row], counts) for row in ("real baseline", "hardly better"))
    gap = differences.gaps(label, rows, ["namd"], ["hardly better"], counts).iloc[0]
    assert 0 < gap["resamples_without_gap"] == (after <= before).sum() < len(counts)
