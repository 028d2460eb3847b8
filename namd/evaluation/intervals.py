"""Intervals over test patients: DeLong for AUROC, a jackknife for AUPRC, a stratified bootstrap for the rest."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from namd.errors import UserError
from namd.training.seeding import numpy_rng


def placements(label, prob):
    """How each nodule is placed among those of the other class; their mean is the AUROC.

    Args:
        label: (N,) in {0, 1}; prob: (N,) scores.

    Returns:
        (v1 (n_malignant,), v0 (n_benign,)): v1[i] is the share of benign nodules below malignant i, v0[j] the
        share of malignant nodules above benign j; ties count half.

    Raises:
        UserError: only one class is present.

    Source: Sun and Xu 2014 (IEEE SPL 21:1389): midranks replace the n_malignant x n_benign comparisons.
    """
    label, prob = np.asarray(label).astype(bool), np.asarray(prob, dtype=np.float64)
    n1, n0 = int(label.sum()), int((~label).sum())
    if not n1 or not n0:
        raise UserError(f"AUROC needs both classes, but the labels hold {n1} malignant and {n0} benign; "
                        "use a larger or a stratified test split.")
    rank, positive, negative = rankdata(prob), prob[label], prob[~label]
    return (rank[label] - rankdata(positive)) / n0, 1 - (rank[~label] - rankdata(negative)) / n1


def delong(label, prob, level=0.95):
    """AUROC with its DeLong standard error and interval over test patients.

    Args:
        label: (N,) in {0, 1}, at least two of each; prob: (N,) scores; level: coverage.

    Returns:
        (auc, se, low, high), dimensionless; the interval is cut at 0 and 1. se is 0 when all scores are equal.

    Source: DeLong et al. 1988; ours, because the paper's spread is over sampling seeds only.
    """
    v1, v0 = placements(label, prob)
    auc, se = v1.mean(), np.sqrt(_variance(v1) + _variance(v0))
    half = norm.ppf((1 + level) / 2) * se
    return float(auc), float(se), float(max(0, auc - half)), float(min(1, auc + half))


def delong_paired(label, prob_a, prob_b, level=0.95):
    """Difference of two AUROCs on the same patients, with a paired DeLong interval and test.

    Args:
        label: (N,); prob_a, prob_b: (N,) scores of the same nodules.

    Returns:
        (difference a - b, se, low, high, two-sided p value); p is 1 when se is 0.

    Source: DeLong et al. 1988; ours, because the rows of Table 1 share their patients.
    """
    (a1, a0), (b1, b0) = placements(label, prob_a), placements(label, prob_b)
    diff, se = a1.mean() - b1.mean(), np.sqrt(_variance(a1 - b1) + _variance(a0 - b0))
    half = norm.ppf((1 + level) / 2) * se
    p_value = 2 * norm.sf(abs(diff) / se) if se > 0 else 1.0
    return float(diff), float(se), float(diff - half), float(diff + half), float(p_value)


def _variance(v):
    """Variance of the mean of v; 0 for a single value."""
    return v.var(ddof=1) / len(v) if len(v) > 1 else 0.0


def resample_counts(label, n_boot, *keys):
    """How often each patient is drawn in each bootstrap resample, malignant and benign apart.

    Args:
        label: (N,) in {0, 1}; zeros for everyone leave the resamples' prevalence free, as calibration needs.
        n_boot: number of resamples; keys: name the draw, e.g. (seed, "bootstrap").

    Returns:
        (n_boot, N) int64; each row holds as many malignant and as many benign draws as the test set.

    Source: ours. One table serves every row of Table 1, so that differences between rows are paired.
    """
    label = np.asarray(label)
    rng, counts = numpy_rng(*keys), np.zeros((n_boot, len(label)), dtype=np.int64)
    for value in np.unique(label)[::-1]:
        stratum = label == value
        n = int(stratum.sum())
        counts[:, stratum] = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
    return counts


def auroc_draws(label, prob_runs, counts):
    """AUROC, averaged over runs, of every resample.

    Args:
        label: (N,); prob_runs: (K, N) or (N,) scores; counts: (n_boot, N) of `resample_counts`.

    Returns:
        (n_boot,) float64: w1' M w0 / (n_malignant n_benign), with M the share of runs in which malignant i
        scores above benign j.

    Source: ours; the same quantity as metrics.auroc on the resampled patients, without a sort for each.
    """
    label, runs = np.asarray(label).astype(bool), np.atleast_2d(np.asarray(prob_runs, dtype=np.float64))
    diff = runs[:, label][:, :, None] - runs[:, ~label][:, None, :]         # (K, n_malignant, n_benign)
    wins = ((np.sign(diff) + 1) / 2).mean(0)
    w1, w0 = counts[:, label].astype(np.float64), counts[:, ~label].astype(np.float64)
    return ((w1 @ wins) * w0).sum(1) / (w1.sum(1) * w0.sum(1))


def auprc_draws(label, prob, counts):
    """Average precision of every resample.

    Args:
        label: (N,); prob: (N,) scores; counts: (n_boot, N) of `resample_counts`.

    Returns:
        (n_boot,) float64: sum over thresholds of (step in recall) x precision, equal scores as one threshold.

    Source: ours; the same quantity as metrics.auprc with `counts` as sample weights.
    """
    label, prob = np.asarray(label), np.asarray(prob, dtype=np.float64)
    order = np.argsort(-prob, kind="stable")
    last = np.flatnonzero(np.append(np.diff(prob[order]) != 0, True))       # last nodule at each threshold
    weights = counts[:, order]
    called = weights.cumsum(1)[:, last]
    hits = (weights * label[order]).cumsum(1)[:, last]
    recall = hits / hits[:, -1:]
    return (np.diff(recall, axis=1, prepend=0) * hits / np.maximum(called, 1)).sum(1)


def auprc_interval(label, prob, level=0.95):
    """AUPRC with its jackknife standard error and interval over test patients.

    Each patient is left out once; the spread of the results gives the standard error, and the interval is symmetric for
    the logit of AUPRC, so it stays in (0, 1).

    Args:
        label: (N,) in {0, 1}, at least two of each; prob: (N,) scores; level: coverage.

    Returns:
        (auprc, se, low, high), dimensionless; low = high where se is 0, as for equal scores or perfect ones.

    Source: ours; the stratified jackknife, as DeLong's is for AUROC, on the scale that Boyd et al. 2013 advise. Average
    precision is biased upwards; the percentile bootstrap lies too high more often (outputs/reference/coverage.csv).
    """
    label = np.asarray(label).astype(bool)
    left_out = auprc_draws(label, prob, 1 - np.eye(len(label), dtype=np.int64))
    value = auprc_draws(label, prob, np.ones((1, len(label)), dtype=np.int64))[0]
    se = np.sqrt(sum((stratum.sum() - 1) ** 2 * _variance(left_out[stratum]) for stratum in (label, ~label)))
    if se < 1e-12:
        return float(value), 0.0, float(value), float(value)
    half = norm.ppf((1 + level) / 2) * se / (value * (1 - value))
    return float(value), float(se), float(expit(logit(value) - half)), float(expit(logit(value) + half))


def percentile_interval(draws, level=0.95):
    """(low, high) percentiles of bootstrap draws, ignoring NaN.

    Source: ours; percentiles of the resampled values, without correction.
    """
    low, high = np.nanpercentile(draws, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def gap_closed(baseline, row, ceiling):
    """(row - baseline) / (ceiling - baseline): 0 at the real baseline, 1 at the ceiling, may leave [0, 1].

    Args:
        baseline, row, ceiling: scores, or (n_boot,) draws of them from the same resamples.

    Returns:
        Dimensionless; NaN where the ceiling does not exceed the baseline, because the share has no meaning there.

    Source: ours. The paper's numbers give (.805 - .742) / (.819 - .742) = .82.
    """
    gap = np.subtract(ceiling, baseline)
    return np.where(gap > 0, np.subtract(row, baseline) / np.where(gap > 0, gap, 1.0), np.nan)[()]


def with_itself(counts):
    """(1 + n_boot, N): the test set itself before its resamples, so that draw 0 of a statistic is its value."""
    return np.vstack([np.ones_like(counts[:1]), counts])


def rank_correlation_draws(a, b, counts):
    """Spearman's rank correlation of two scores in every resample.

    Args:
        a, b: (N,) scores of the same nodules; counts: (n_boot, N) of `resample_counts`.

    Returns:
        (n_boot,) float64 in [-1, 1]; equal scores share their mean rank; NaN where all scores drawn are equal.

    Source: ours; the same quantity as scipy.stats.spearmanr on the resampled patients, without a sort for each.
    """
    x, y = _centred_ranks(a, counts), _centred_ranks(b, counts)
    xx, yy, xy = ((counts * product).sum(1) for product in (x * x, y * y, x * y))
    scale = np.sqrt(xx * yy)
    return np.divide(xy, scale, out=np.full(len(counts), np.nan), where=scale > 0)


def _centred_ranks(scores, counts):
    """Mean rank of each nodule's copies among all those drawn, minus the mean of all ranks: (n_boot, N)."""
    scores = np.asarray(scores, dtype=np.float64)
    order = np.argsort(scores, kind="stable")
    first = np.flatnonzero(np.append(True, np.diff(scores[order]) != 0))     # first nodule of each score
    drawn = np.add.reduceat(counts[:, order], first, axis=1)
    rank = drawn.cumsum(1) - drawn / 2 - counts.sum(1, keepdims=True) / 2
    out = np.empty(counts.shape)
    out[:, order] = np.repeat(rank, np.diff(np.append(first, len(scores))), axis=1)
    return out
