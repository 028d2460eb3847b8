"""Resamples of the test patients, and what a statistic is in each of them; one table of counts serves every row.

`patient` names whose nodule each is (N,); None makes each nodule a patient of its own (namd.evaluation.stats.patients).
"""

import numpy as np

from namd.evaluation.stats import patients
from namd.ground.seeding import numpy_rng


def resample_counts(label, n_boot, *keys, patient=None):
    """How often each nodule is drawn in each bootstrap resample of the patients, malignant and benign apart.

    Args:
        label: (N,) in {0, 1}; zeros for everyone leave the resamples' prevalence free, as calibration needs.
        n_boot: number of resamples; keys: name the draw, e.g. (seed, "bootstrap").
        patient: (N,); a patient is drawn with all nodules.

    Returns:
        (n_boot, N) int64; each row holds as many malignant and as many benign patients as the test set
        (`patients.labels`). Where patients have several nodules, their number differs from row to row.

    Source: ours. One table serves every row of Table 1, so that differences between rows are paired.
    """
    number = patients.numbered(patient, len(label))
    label = patients.labels(label, number)
    rng = numpy_rng(*keys)
    counts = np.zeros((n_boot, len(label)), dtype=np.int64)
    for value in np.unique(label)[::-1]:
        stratum = label == value
        n = int(stratum.sum())
        counts[:, stratum] = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
    return counts if len(label) == len(number) else np.take(counts, number, axis=1)


def with_itself(counts):
    """(1 + n_boot, N): the test set itself before its resamples, so that draw 0 of a statistic is its value."""
    return np.vstack([np.ones_like(counts[:1]), counts])


def percentile_interval(draws, level=0.95):
    """(low, high) percentiles of bootstrap draws, ignoring NaN.

    Source: ours; percentiles of the resampled values, without correction.
    """
    low, high = np.nanpercentile(draws, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def mean_draws(values, group, counts) -> np.ndarray:
    """Mean of `values` over a group of nodules in every resample of the patients: (n_boot,).

    Args:
        values: (N,) float; NaN values are left out. group: (N,) bool.
        counts: (n_boot, N) of `resample_counts`; the same table for two groups keeps them paired.

    Returns:
        In the unit of `values`; NaN for a resample without any nodule of the group.

    Source: ours, because a difference between two groups of nodules needs an interval over patients.
    """
    values = np.asarray(values, dtype=float)
    kept = np.asarray(group, dtype=bool) & np.isfinite(values)
    drawn = counts[:, kept].sum(1)
    return np.divide(counts[:, kept] @ values[kept], drawn, out=np.full(len(counts), np.nan), where=drawn > 0)


def mean_interval(values, counts) -> tuple[float, float, float]:
    """Mean of `values` over all nodules, NaN left out, with its 95 % patient interval: (mean, low, high)."""
    everyone = np.ones(len(values), dtype=bool)
    return float(np.nanmean(values)), *percentile_interval(mean_draws(values, everyone, counts))


def contrast_draws(values, group_a, group_b, counts) -> np.ndarray:
    """Mean of `values` in group a minus group b in every resample: (n_boot,), NaN where a group has no nodule.

    Args: as `mean_draws`, with two groups (N,) bool.
    """
    return mean_draws(values, group_a, counts) - mean_draws(values, group_b, counts)


def contrast(values, group_a, group_b, counts) -> tuple[float, float, float]:
    """Mean of `values` in group a minus group b: (difference, low, high), a 95 % patient interval.

    Args: as `mean_draws`, with two groups (N,) bool.

    Returns:
        In the unit of `values`; all NaN when a group has no nodule.

    Source: ours, because Section 4.3 compares groups by eye.
    """
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    in_a = np.asarray(group_a, dtype=bool) & known
    in_b = np.asarray(group_b, dtype=bool) & known
    if not (in_a.any() and in_b.any()):
        return np.nan, np.nan, np.nan
    draws = contrast_draws(values, in_a, in_b, counts)
    return float(values[in_a].mean() - values[in_b].mean()), *percentile_interval(draws)


def auroc_draws(label, prob_runs, counts):
    """AUROC, averaged over runs, of every resample.

    Args:
        label: (N,); prob_runs: (K, N) or (N,) scores; counts: (n_boot, N) of `resample_counts`.

    Returns:
        (n_boot,) float64: w1' M w0 / (n_malignant n_benign), with M the share of runs in which malignant i
        scores above benign j.

    Source: ours; the same quantity as metrics.auroc on the resampled patients, without a sort for each.
    """
    label = np.asarray(label).astype(bool)
    runs = np.atleast_2d(np.asarray(prob_runs, dtype=np.float64))
    diff = runs[:, label][:, :, None] - runs[:, ~label][:, None, :]         # (K, n_malignant, n_benign)
    wins = ((np.sign(diff) + 1) / 2).mean(0)
    w1 = counts[:, label].astype(np.float64)
    w0 = counts[:, ~label].astype(np.float64)
    return ((w1 @ wins) * w0).sum(1) / (w1.sum(1) * w0.sum(1))


def auprc_draws(label, prob, counts):
    """Average precision of every resample.

    Args:
        label: (N,); prob: (N,) scores; counts: (n_boot, N) of `resample_counts`.

    Returns:
        (n_boot,) float64: sum over thresholds of (step in recall) x precision, equal scores as one threshold.

    Source: ours; the same quantity as metrics.auprc with `counts` as sample weights.
    """
    label = np.asarray(label)
    prob = np.asarray(prob, dtype=np.float64)
    order = np.argsort(-prob, kind="stable")
    last = np.flatnonzero(np.append(np.diff(prob[order]) != 0, True))       # last nodule at each threshold
    weights = counts[:, order]
    called = weights.cumsum(1)[:, last]
    hits = (weights * label[order]).cumsum(1)[:, last]
    recall = hits / hits[:, -1:]
    return (np.diff(recall, axis=1, prepend=0) * hits / np.maximum(called, 1)).sum(1)


def rank_correlation_draws(a, b, counts):
    """Spearman's rank correlation of two scores in every resample.

    Args:
        a, b: (N,) scores of the same nodules; counts: (n_boot, N) of `resample_counts`.

    Returns:
        (n_boot,) float64 in [-1, 1]; equal scores share their mean rank; NaN where all scores drawn are equal.

    Source: ours; the same quantity as scipy.stats.spearmanr on the resampled patients, without a sort for each.
    """
    x = _centred_ranks(a, counts)
    y = _centred_ranks(b, counts)
    xx = (counts * (x * x)).sum(1)
    yy = (counts * (y * y)).sum(1)
    xy = (counts * (x * y)).sum(1)
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
