"""Intervals over test patients: DeLong for AUROC, a jackknife for AUPRC, Wilson's for a share; what they decide.

`patient` names whose nodule each is (N,); None makes each nodule a patient of its own (namd.evaluation.stats.patients).
"""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from namd.evaluation.stats import patients
from namd.evaluation.stats.bootstrap import auprc_draws
from namd.ground.errors import UserError


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
    label = np.asarray(label).astype(bool)
    prob = np.asarray(prob, dtype=np.float64)
    n1 = int(label.sum())
    n0 = int((~label).sum())
    if not n1 or not n0:
        raise UserError(f"AUROC needs both classes, but the labels hold {n1} malignant and {n0} benign; "
                        "use a larger or a stratified test split.")
    rank = rankdata(prob)
    below = rank[label] - rankdata(prob[label])             # benign nodules below each malignant one
    not_above = rank[~label] - rankdata(prob[~label])
    return below / n0, 1 - not_above / n1


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
    auc = v1.mean()
    se = _auroc_error(label, v1, v0, patient)
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
    a1, a0 = placements(label, prob_a)
    b1, b0 = placements(label, prob_b)
    diff = a1.mean() - b1.mean()
    se = _auroc_error(label, a1 - b1, a0 - b0, patient)
    half = norm.ppf((1 + level) / 2) * se
    p_value = 2 * norm.sf(abs(diff) / se) if se > 0 else 1.0
    return float(diff), float(se), float(diff - half), float(diff + half), float(p_value)


def _auroc_error(label, v1, v0, patient):
    """Standard error of an AUROC, or of a difference of two, from its placements (Obuchowski 1997)."""
    label = np.asarray(label).astype(bool)
    number = patients.numbered(patient, len(label))
    n_patients = number.max() + 1
    variance = 0.0
    sums = []
    for of_class, v in ((label, v1), (~label, v0)):
        sums.append(np.bincount(number[of_class], v - v.mean(), n_patients))
        variance += patients.variance_of_mean(sums[-1][np.unique(number[of_class])], len(v))
    both = sums[0] @ sums[1] / len(v1) / len(v0)            # 0 unless a patient has nodules of both classes
    return np.sqrt(max(0.0, variance + 2 * both * n_patients / max(n_patients - 1, 1)))


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
    others = (np.arange(len(malignant))[:, None] != number).astype(np.int64)     # (n_patients, N): one patient less
    left_out = auprc_draws(label, prob, others)
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
    centre = 2 * n * share + z**2
    half = z * np.sqrt(4 * n * share * (1 - share) + z**2)
    return (centre - half) / (2 * (n + z**2)), (centre + half) / (2 * (n + z**2))


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


def verdict(low: float, high: float) -> str:
    """`holds` when the interval lies above 0, `fails` when below, `undecided` when it crosses 0 or is NaN.

    Source: ours, because a claim is settled by its interval and not by its sign.
    """
    if low > 0:
        return "holds"
    return "fails" if high < 0 else "undecided"
