"""Intervals over test patients: DeLong for AUROC, a jackknife for AUPRC, a stratified bootstrap for the rest.

`patient` names whose nodule each is (N,); None makes each nodule a patient of its own (namd.evaluation.stats.patients).
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from namd.evaluation.stats import patients
from namd.ground.errors import UserError
from namd.ground.seeding import numpy_rng


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


def delong(label, prob, level=0.95, patient=None):
    """AUROC with its DeLong standard error and interval over test patients.

    Args:
        label: (N,) in {0, 1}, from at least two patients each; prob: (N,) scores; level: coverage; patient: (N,).

    Returns:
        (auc, se, low, high), dimensionless; the interval is cut at 0 and 1. se is 0 when all scores are equal.

    Source: DeLong et al. 1988, clustered as in Obuchowski 1997 (Biometrics 53:567); ours, because the paper's spread is
    over sampling seeds only.
    """
    v1, v0 = placements(label, prob)
    auc, se = v1.mean(), _auroc_error(label, v1, v0, patient)
    half = norm.ppf((1 + level) / 2) * se
    return float(auc), float(se), float(max(0, auc - half)), float(min(1, auc + half))


def delong_paired(label, prob_a, prob_b, level=0.95, patient=None):
    """Difference of two AUROCs on the same patients, with a paired DeLong interval and test.

    Args:
        label: (N,); prob_a, prob_b: (N,) scores of the same nodules; patient: (N,).

    Returns:
        (difference a - b, se, low, high, two-sided p value); p is 1 when se is 0.

    Source: as `delong`; ours, because the rows of Table 1 share their patients.
    """
    (a1, a0), (b1, b0) = placements(label, prob_a), placements(label, prob_b)
    diff, se = a1.mean() - b1.mean(), _auroc_error(label, a1 - b1, a0 - b0, patient)
    half = norm.ppf((1 + level) / 2) * se
    p_value = 2 * norm.sf(abs(diff) / se) if se > 0 else 1.0
    return float(diff), float(se), float(diff - half), float(diff + half), float(p_value)


def _auroc_error(label, v1, v0, patient):
    """Standard error of an AUROC, or of a difference of two, from its placements (Obuchowski 1997)."""
    label = np.asarray(label).astype(bool)
    number = patients.numbered(patient, len(label))
    n_patients, variance, sums = number.max() + 1, 0.0, []
    for of_class, v in ((label, v1), (~label, v0)):
        sums.append(np.bincount(number[of_class], v - v.mean(), n_patients))
        variance += patients.variance_of_mean(sums[-1][np.unique(number[of_class])], len(v))
    both = sums[0] @ sums[1] / len(v1) / len(v0)            # 0 unless a patient has nodules of both classes
    return np.sqrt(max(0.0, variance + 2 * both * n_patients / max(n_patients - 1, 1)))


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
    rng, counts = numpy_rng(*keys), np.zeros((n_boot, len(label)), dtype=np.int64)
    for value in np.unique(label)[::-1]:
        stratum = label == value
        n = int(stratum.sum())
        counts[:, stratum] = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
    return counts if len(label) == len(number) else np.take(counts, number, axis=1)


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


def auprc_interval(label, prob, level=0.95, patient=None):
    """AUPRC with its jackknife standard error and interval over test patients.

    Each patient is left out once; the spread of the results gives the standard error, and the interval is symmetric for
    the logit of AUPRC, so it stays in (0, 1).

    Args:
        label: (N,) in {0, 1}, from at least two patients each; prob: (N,) scores; level: coverage; patient: (N,).

    Returns:
        (auprc, se, low, high), dimensionless; low = high where se is 0, as for equal scores or perfect ones.

    Source: ours; the stratified jackknife, as DeLong's is for AUROC, on the scale that Boyd et al. 2013 advise. Average
    precision is biased upwards; the percentile bootstrap lies too high more often (outputs/reference/coverage.csv).
    """
    number = patients.numbered(patient, len(label))
    malignant = patients.labels(label, number) == 1
    left_out = auprc_draws(label, prob, (np.arange(len(malignant))[:, None] != number).astype(np.int64))
    value = auprc_draws(label, prob, np.ones((1, len(number)), dtype=np.int64))[0]
    strata = [drawn - drawn.mean() for drawn in (left_out[malignant], left_out[~malignant])]
    se = np.sqrt(sum((len(part) - 1) ** 2 * patients.variance_of_mean(part, len(part)) for part in strata))
    if se < 1e-12:
        return float(value), 0.0, float(value), float(value)
    half = norm.ppf((1 + level) / 2) * se / (value * (1 - value))
    return float(value), float(se), float(expit(logit(value) - half)), float(expit(logit(value) + half))


def wilson(share, n, level=0.95):
    """Interval of a share of n independent nodules, wide also where all or none are counted: (low, high).

    Args:
        share: float or array in [0, 1]; n: as many nodules; of a patient's several, count one.

    Source: Wilson 1927.
    """
    z = norm.ppf((1 + level) / 2)
    centre, half = 2 * n * share + z**2, z * np.sqrt(4 * n * share * (1 - share) + z**2)
    return (centre - half) / (2 * (n + z**2)), (centre + half) / (2 * (n + z**2))


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
