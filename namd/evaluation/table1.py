"""Table 1 with its intervals: one function for the diagnosis columns, one for the image columns, one for the order."""

import joblib
import numpy as np
import pandas as pd
import torch

from namd.evaluation import intervals, metrics
from namd.evaluation.runs import load_row, n_processes
from namd.evaluation.variance import verdict
from namd.study.paper import PAPER

PAPER_ROWS = {"real baseline": "Real baseline LDCT", "real follow-up": "Real follow-up LDCT", "namd": "NAMD",
              "no_align_no_pred": "NAMD (w/o L_align)"}         # Sec. 4.2.2: both losses are omitted


def diagnosis_columns(label, prob_runs, counts):
    """AUROC and AUPRC of one row, with the spread over runs and the interval over patients.

    Args:
        label: (N,) in {0, 1}; prob_runs: (K, N); counts: (n_boot, N) of intervals.resample_counts.

    Returns:
        dict: auroc_mean, auroc_sd, auprc_mean, auprc_sd over the K runs (the paper's statistic); auroc_kmean,
        auroc_low, auroc_high (DeLong), auprc_kmean, auprc_low, auprc_high (bootstrap) and brier of the K-mean
        probability.

    Source: Sec. 4.1.2 for the first four; the rest is ours, because the paper's spread leaves the patients out.
    """
    prob = np.mean(prob_runs, axis=0)
    auroc_mean, auroc_sd = metrics.over_runs(metrics.auroc, label, prob_runs)
    auprc_mean, auprc_sd = metrics.over_runs(metrics.auprc, label, prob_runs)
    auroc, _, auroc_low, auroc_high = intervals.delong(label, prob)
    auprc_low, auprc_high = intervals.percentile_interval(intervals.auprc_draws(label, prob, counts))
    return dict(auroc_mean=auroc_mean, auroc_sd=auroc_sd, auroc_kmean=auroc, auroc_low=auroc_low, auroc_high=auroc_high,
                auprc_mean=auprc_mean, auprc_sd=auprc_sd, auprc_kmean=metrics.auprc(label, prob), auprc_low=auprc_low,
                auprc_high=auprc_high, brier=metrics.brier(label, np.clip(prob, 0, 1)))


def image_columns(x1, x2, x2_hat, features_x2, features_hat, net):
    """LPIPS, FID, KID and the change controls of one row, each as mean and spread over its K runs.

    Args:
        x1, x2: (N, 1, S, S) in [-1, 1]; x2_hat: (K, N, 1, S, S); features_x2: (N, dim); features_hat: (K, N, dim)
            judge features; net: LPIPS network of losses.perceptual.

    Returns:
        dict: lpips, fid, kid, delta_rmae, psnr (dB), diameter_error (mm, mean |D(x2_hat) - D(x2)|), each with _mean
        and _sd.

    Source: Sec. 4.1.2 for LPIPS and FID; KID and the change controls are ours.
    """
    diameter = metrics.diameter_mm(x2)
    values = [dict(
        lpips=metrics.lpips_distance(net, run, x2).mean(),
        fid=metrics.fid(features_x2, features),
        kid=metrics.kid(features_x2, features),
        delta_rmae=metrics.delta_rmae(x1, x2, run).mean(),
        psnr=metrics.psnr(run, x2).mean(),
        diameter_error=np.abs(metrics.diameter_mm(run) - diameter).mean(),
    ) for run, features in zip(x2_hat, features_hat, strict=True)]
    over = pd.DataFrame(values)
    return {f"{name}_{stat}": float(value) for name in over for stat, value in
            (("mean", over[name].mean()), ("sd", over[name].std(ddof=0)))}


def score_row(folder, row, x1, x2, features_x2, judge, net, threads=0):
    """Everything one row's images are asked: its probabilities and its image columns.

    Args:
        folder, row: the images are folder/<row>.npy; x1, x2: (N, 1, S, S); features_x2: (N, dim); judge, net: as in
            `image_columns`; threads: torch threads, 0 leaves them alone.

    Returns:
        (prob (K, N) float64, dict of `image_columns`).
    """
    if threads:
        torch.set_num_threads(threads)
    x2_hat = load_row(folder, row)
    features = torch.stack([judge.features(run) for run in x2_hat])
    prob = torch.stack([judge.logit(part).sigmoid() for part in features]).double().numpy()
    return prob, image_columns(x1, x2, x2_hat, features_x2, features, net)


def score_rows(folder, rows, x1, x2, judge, net, threads=0, workers=1):
    """`score_row` for several rows, side by side.

    Returns:
        (prob {row: (K, N)}, columns DataFrame indexed by row).

    Source: ours; the numbers are those of one process.
    """
    features_x2 = judge.features(x2)
    scored = joblib.Parallel(n_jobs=n_processes(workers, len(rows)))(
        joblib.delayed(score_row)(folder, row, x1, x2, features_x2, judge, net, threads) for row in rows)
    prob = {row: values for row, (values, _) in zip(rows, scored, strict=True)}
    return prob, pd.DataFrame([columns for _, columns in scored], index=pd.Index(rows, name="row"))


def ordering(claims, label, prob, counts):
    """Is one row's AUROC above another's? Reported, never asserted.

    Args:
        claims: list of (lower row, upper row); label: (N,); prob: {row: (K, N)}; counts: (n_boot, N).

    Returns:
        DataFrame statement, difference (of the AUROC averaged over runs), low, high (paired patient bootstrap),
        p_delong (paired DeLong on the K-mean probabilities), verdict (holds, fails, undecided).

    Source: Sec. 4.2.1 states the order; the paired intervals are ours.
    """
    rows = []
    for lower, upper in claims:
        means = [metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in (upper, lower)]
        draws = [intervals.auroc_draws(label, prob[row], counts) for row in (upper, lower)]
        low, high = intervals.percentile_interval(draws[0] - draws[1])
        p_delong = intervals.delong_paired(label, np.mean(prob[upper], axis=0), np.mean(prob[lower], axis=0))[-1]
        rows.append(dict(statement=f"{lower} < {upper}", difference=means[0] - means[1], low=low, high=high,
                         p_delong=p_delong, verdict=verdict(low, high)))
    return pd.DataFrame(rows)


def gaps(label, prob, rows, ceilings, counts, baseline="real baseline"):
    """Share of the gap between the real baseline and each ceiling that each row closes.

    Args:
        label: (N,); prob: {row: (K, N)}; rows, ceilings: row names; counts: (n_boot, N).

    Returns:
        DataFrame row, ceiling, value, low, high (patient bootstrap), dimensionless, of the AUROC averaged over
        runs; NaN where the ceiling does not exceed the baseline, and resamples without a gap are left out.

    Source: ours. Against "real follow-up" it is the gap closed (the paper's numbers give .82), against "oracle"
    the share of what any generator could reach.
    """
    mean = {row: metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in {*rows, *ceilings, baseline}}
    draws = {row: intervals.auroc_draws(label, prob[row], counts) for row in mean}
    table = []
    for row in rows:
        for ceiling in [name for name in ceilings if name != row]:
            value = intervals.gap_closed(mean[baseline], mean[row], mean[ceiling])
            spread = intervals.gap_closed(draws[baseline], draws[row], draws[ceiling])
            low, high = (np.nan, np.nan) if np.isnan(value) else intervals.percentile_interval(spread)
            table.append(dict(row=row, ceiling=ceiling, value=float(value), low=low, high=high))
    return pd.DataFrame(table)


def beside_the_paper(table, synthetic):
    """`table` with the paper's means and a word on whether the two may be compared.

    Args:
        table: DataFrame indexed by row.

    Returns:
        The same with paper_row, paper_auroc, paper_auprc, paper_lpips, paper_fid (NaN where the paper has none) and
        comparable.

    Source: Table 1, by namd.study.paper.
    """
    paper = [PAPER["table1"].get(PAPER_ROWS.get(row, ""), {}) for row in table.index]
    means = {f"paper_{name}": [known.get(name, (np.nan,))[0] for known in paper]
             for name in ("auroc", "auprc", "lpips", "fid")}
    verdicts = ["not comparable: phantom data" if synthetic else "all but FID: judge features, not Inception's"
                if known else "" for known in paper]
    return table.assign(paper_row=[PAPER_ROWS.get(row, "") for row in table.index], **means, comparable=verdicts)


def pretty(table):
    """Table 1 for reading: text "mean ± sd over runs" and "K-mean [95 % over patients]", one line a row.

    Args:
        table: DataFrame with the columns of `diagnosis_columns` and `image_columns`; NaN becomes "-".
    """
    def spread(name, digits):
        return [f"{m:.{digits}f} ± {s:.{digits}f}" if k > 1 else "-" if np.isnan(m) else f"{m:.{digits}f}"
                for m, s, k in zip(table[f"{name}_mean"], table[f"{name}_sd"], table["k"], strict=True)]

    def interval(name):
        return [f"{v:.3f} [{low:.3f}, {high:.3f}]" for v, low, high in
                zip(table[f"{name}_kmean"], table[f"{name}_low"], table[f"{name}_high"], strict=True)]

    return pd.DataFrame({
        "LPIPS ↓": spread("lpips", 3), "FID ↓": spread("fid", 2), "KID ↓": spread("kid", 3),
        "Δ-RMAE ↓": spread("delta_rmae", 2), "AUROC ↑": spread("auroc", 3), "K-mean AUROC": interval("auroc"),
        "AUPRC ↑": spread("auprc", 3), "K-mean AUPRC": interval("auprc"), "K": table["k"].to_numpy(),
        "paper AUROC": ["-" if np.isnan(v) else f"{v:.3f}" for v in table["paper_auroc"]],
    }, index=table.index)
