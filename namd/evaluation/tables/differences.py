"""Every row of Table 1 against one of them on the same patients, and the share of each gap that a row closes."""

import numpy as np
import pandas as pd
from scipy.stats import t

from namd.evaluation.stats import bootstrap, intervals, metrics
from namd.evaluation.stats.columns import BETTER

WORDS = {"holds": "better", "fails": "worse", "undecided": "undecided"}


def differences(label, prob, values, counts, patient, against):
    """Each row minus one row, on the same patients: diagnosis for every row, images for every generated one.

    Args:
        label: (N,); prob: {row: (K, N)}, K may differ from row to row; counts: (n_boot, N) of
            bootstrap.resample_counts; values: {row: {metric: (K, N)}} with lpips and delta_rmae, only of the rows that
            have images; patient: (N,), whose nodule each is; against: the row that is subtracted.

    Returns:
        DataFrame row, metric, statistic, difference (row - against), low, high (95 %), p (paired DeLong; else NaN),
        verdict (row is better, worse or undecided, whichever way the metric points), n, k. The statistic is "mean over
        runs" with a paired patient bootstrap, which compares rows of any K, or "K-mean": AUROC of the K-mean
        probability with a paired DeLong interval. Intervals are not adjusted for their number.

    Source: ours, because the paper's spread leaves out the patients that all rows share.
    """
    scored = {row: _scores(label, prob[row], values.get(row, {}), counts) for row in prob}
    k_mean = {row: np.mean(runs, axis=0) for row, runs in prob.items()}
    rows = []
    for row in [name for name in prob if name != against]:
        size = dict(n=len(label), k=len(prob[row]))
        difference, _, low, high, p = intervals.delong_paired(label, k_mean[row], k_mean[against], patient=patient)
        rows.append(_line(row, "auroc", "K-mean", difference, low, high, p) | size)
        for metric, (mean, draws) in scored[row].items():
            mean_0, draws_0 = scored[against][metric]
            low, high = bootstrap.percentile_interval(draws - draws_0)
            rows.append(_line(row, metric, "mean over runs", mean - mean_0, low, high, np.nan) | size)
    return pd.DataFrame(rows)


def _line(row, metric, statistic, difference, low, high, p):
    """One line of `differences`, with the word on whether it is an improvement of the metric."""
    ends = sorted((BETTER[metric] * low, BETTER[metric] * high))
    return dict(row=row, metric=metric, statistic=statistic, difference=difference, low=low, high=high, p=p,
                verdict=WORDS[intervals.verdict(*ends)])


def _scores(label, prob_runs, values, counts):
    """{metric: (mean over runs, (n_boot,) draws of it)} of one row."""
    auroc, _ = metrics.over_runs(metrics.auroc, label, prob_runs)
    auprc, _ = metrics.over_runs(metrics.auprc, label, prob_runs)
    auroc_draws = bootstrap.auroc_draws(label, prob_runs, counts)
    auprc_draws = np.mean([bootstrap.auprc_draws(label, prob, counts) for prob in prob_runs], axis=0)
    scores = dict(auroc=(auroc, auroc_draws), auprc=(auprc, auprc_draws))
    for metric in [name for name in ("lpips", "delta_rmae") if name in values]:
        nodule = np.mean(values[metric], axis=0, dtype=np.float64)                             # (N,)
        scores[metric] = nodule.mean(), counts @ nodule / counts.sum(1)
    return scores


def of_images(table1, paired, metric, ours, theirs) -> dict:
    """NAMD - row in LPIPS or FID: value, low, high (95 %), over (what the interval covers) and training_seeds.

    With several training seeds the interval is theirs; else that of LPIPS, of which each nodule has its own, is over
    patients, and that of FID, one number a run, over the K runs alone.

    Args:
        table1: DataFrame indexed by row with k and <metric>_mean, <metric>_sd (divisor K); paired: of `differences`
            against NAMD; metric: "lpips", "fid" or another column of Table 1.
        ours, theirs: names of R rows each, one a training seed.

    Source: ours; with few runs or seeds, Student's t.
    """
    mean = table1[f"{metric}_mean"]
    each = mean[ours].to_numpy() - mean[theirs].to_numpy()                                      # (R,)
    found = dict(value=each.mean(), over="training seeds", training_seeds=len(ours))
    if len(ours) > 1:
        half = t.ppf(0.975, len(ours) - 1) * each.std(ddof=1) / np.sqrt(len(ours))
        return found | dict(low=found["value"] - half, high=found["value"] + half)
    line = paired[(paired["row"] == theirs[0]) & (paired["metric"] == metric)]
    if len(line):
        low, high = -line[["high", "low"]].to_numpy()[0]
        return found | dict(low=low, high=high, over="patients")
    two = table1.loc[[ours[0], theirs[0]]]
    runs = np.maximum(two["k"] - 1, 1)
    half = t.ppf(0.975, runs.max()) * np.sqrt((two[f"{metric}_sd"] ** 2 / runs).sum())          # sd has divisor K
    return found | dict(low=found["value"] - half, high=found["value"] + half, over="runs")


def gaps(label, prob, rows, ceilings, counts, baseline="real baseline"):
    """Share of the gap between the real baseline and each ceiling that each row closes.

    Args:
        label: (N,); prob: {row: (K, N)}; rows, ceilings: row names; counts: (n_boot, N).

    Returns:
        DataFrame row, ceiling, value, low, high (patient bootstrap), dimensionless, of the AUROC averaged over
        runs; NaN where the ceiling does not exceed the baseline. Resamples without a gap are left out; the column
        resamples_without_gap counts them.

    Source: ours. Against "real follow-up" it is the gap closed (the paper's numbers give .82), against "oracle"
    the share of what any generator could reach.
    """
    mean = {row: metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in {*rows, *ceilings, baseline}}
    draws = {row: bootstrap.auroc_draws(label, prob[row], counts) for row in mean}
    table = []
    for row in rows:
        for ceiling in [name for name in ceilings if name != row]:
            value = intervals.gap_closed(mean[baseline], mean[row], mean[ceiling])
            spread = intervals.gap_closed(draws[baseline], draws[row], draws[ceiling])
            low, high = (np.nan, np.nan) if np.isnan(value) else bootstrap.percentile_interval(spread)
            table.append(dict(row=row, ceiling=ceiling, value=float(value), low=low, high=high,
                              resamples_without_gap=int(np.isnan(spread).sum())))
    return pd.DataFrame(table)
