"""Do probabilities mean what they say, and would acting on them help? Recalibration and decision curves."""

import numpy as np
from scipy.special import expit, logit

from namd.evaluation.stats.bootstrap import percentile_interval

SMALLEST = 1e-6                     # probabilities are kept this far from 0 and 1 before their logit is taken
STEPS = 40                          # Newton steps at most; about six are needed


def recalibrate(label, prob, counts):
    """Slope and intercept of logistic recalibration in every resample: logit P(L = 1) = a + b logit(prob).

    Args:
        label: (N,) in {0, 1}; prob: (N,) in [0, 1]; counts: (n_boot, N) weights of the patients, one row of ones for
            the test set itself.

    Returns:
        (slope b of the joint fit (n_boot,), intercept a with b held at 1 (n_boot,)), dimensionless and in logits. 1 and
        0 are ideal; b < 1 means too extreme, a > 0 too low. NaN without a finite fit (equal or separating scores).

    Source: ours; Cox 1958. The intercept has slope 1, as Van Calster et al. 2019 (BMC Med 17:230) advise, because with
    a free slope it says where the line crosses 0 and no longer whether the mean risk is right.
    """
    x = logit(np.clip(np.asarray(prob, dtype=np.float64), SMALLEST, 1 - SMALLEST))
    y = np.asarray(label, dtype=np.float64)
    w = np.asarray(counts, dtype=np.float64)
    scale = max(x.std(), 1e-9)                                              # unit scale: full steps seldom overshoot
    _, slope = _newton((x - x.mean()) / scale, y, w, free_slope=True)
    intercept, _ = _newton(x, y, w, free_slope=False)
    return slope / scale, intercept


def _newton(x, y, w, free_slope):
    """Weighted logistic regression of y on x in every row of w: (a, b), each (n_boot,); NaN where it has no end."""
    a = np.zeros(len(w))
    b = np.full(len(w), 0.0 if free_slope else 1.0)
    step = np.full((2, len(w)), np.inf)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(STEPS):
            p = expit(a[:, None] + b[:, None] * x)
            curve = w * p * (1 - p)
            rest = w * (y - p)
            g0 = rest.sum(1)                                                # gradient
            h00 = curve.sum(1)                                              # curvature
            if free_slope:
                g1 = rest @ x
                h01 = curve @ x
                h11 = curve @ x**2
                det = h00 * h11 - h01**2
                step = np.stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0]) / det
            else:
                step = np.stack([g0 / h00, np.zeros(len(w))])
            step = np.clip(step, -2, 2)                                     # a full step may overshoot
            a = a + step[0]
            b = b + step[1]
            if np.nanmax(np.abs(step), initial=0) < 1e-10:
                break
    ended = (np.abs(step) < 1e-6).all(0)
    return np.where(ended, a, np.nan), np.where(ended, b, np.nan)


def calibration(label, prob, counts):
    """Calibration slope and intercept with their patient-bootstrap intervals.

    Args:
        label: (N,) in {0, 1}; prob: (N,) in [0, 1]; counts: (n_boot, N) of `bootstrap.resample_counts` with zeros for
            labels: a stratified table would fix the prevalence, which the intercept asks about.

    Returns:
        dict slope, slope_low, slope_high (1 is ideal), intercept, intercept_low, intercept_high (logits, 0 is ideal).

    Source: ours, as `recalibrate`; the paper reports no calibration.
    """
    values = recalibrate(label, prob, np.ones((1, len(label))))
    draws = recalibrate(label, prob, counts)
    columns = {}
    for name, value, drawn in zip(("slope", "intercept"), values, draws, strict=True):
        low, high = percentile_interval(drawn) if np.isfinite(value[0]) else (np.nan, np.nan)
        columns |= {name: float(value[0]), f"{name}_low": low, f"{name}_high": high}
    return columns


def net_benefit(label, prob, thresholds, counts=None):
    """Net benefit of working up every nodule whose probability reaches a threshold, per nodule.

    True positives minus false positives, these weighted with the odds t / (1 - t): who acts at probability t holds
    one cancer found to be worth (1 - t) / t needless work-ups. Nobody gives 0; everybody is prob = 1.

    Args:
        label: (N,) in {0, 1}; prob: (N,) in [0, 1]; thresholds: (T,) in (0, 1); counts: (n_boot, N) of unstratified
            `bootstrap.resample_counts`.

    Returns:
        (T,), or (n_boot, T) with counts; in true positives per nodule, at most the prevalence.

    Source: ours; Vickers and Elkin 2006.
    """
    label = np.asarray(label, dtype=np.float64)
    prob = np.asarray(prob, dtype=np.float64)
    t = np.asarray(thresholds, dtype=np.float64)
    called = prob[:, None] >= t                                             # (N, T)
    worth = called * np.where(label[:, None] == 1, 1.0, -t / (1 - t))
    return worth.mean(0) if counts is None else counts @ worth / counts.sum(1, keepdims=True)
