"""Growth in plain units: millimetres, days to double, and whether K forecasts know how sure they may be."""

import numpy as np

from namd.evaluation.stats.bootstrap import mean_interval

CAP_DAYS = 600.                     # slower than this is called stable (British Thoracic Society guideline, 2015)


def doubling_days(d1, d2, days):
    """Volume doubling time of a nodule seen twice: days ln 2 / (3 ln(d2 / d1)), at most CAP_DAYS.

    A nodule that grows more slowly, not at all or shrinks has no useful doubling time; it gets CAP_DAYS, "does not
    grow", so that a forecast of growth where there is none is an error in days too.

    Args:
        d1, d2: diameters in mm; days: between the scans, above 0. Any shapes that broadcast.

    Returns:
        Days in (0, CAP_DAYS]; NaN where d1 is 0, because nothing was measured; d2 = 0 is a nodule that vanished.

    Source: ours; Schwartz 1961, for a nodule that grows alike in all directions.
    """
    d1 = np.asarray(d1, dtype=np.float64)
    d2 = np.asarray(d2, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = 3 * np.log2(d2 / d1)                                       # doublings of the volume
        time = np.where(growth > 0, np.asarray(days, dtype=np.float64) / growth, np.inf)
    return np.where(d1 > 0, np.minimum(time, CAP_DAYS), np.nan)


def crps(d2, d2_hat):
    """Continuous ranked probability score of K forecasts, fair to small K; 0 is perfect, in the unit of d2.

    mean |d2_hat_k - d2| minus half the mean |d2_hat_k - d2_hat_l| over pairs k != l: in expectation the score of the
    whole distribution that the K forecasts come from, whatever K. For K = 1 it is the absolute error. A single value
    may be negative.

    Args:
        d2: (N,) truth; d2_hat: (K, N) forecasts.

    Returns:
        (N,) float64.

    Source: ours; Gneiting and Raftery 2007; K (K - 1) as the divisor of the pairs by Ferro 2014.
    """
    k_runs = len(d2_hat)
    d2_hat = np.sort(np.asarray(d2_hat, dtype=np.float64), axis=0)
    rank = 2 * np.arange(1, k_runs + 1) - k_runs - 1
    pairs = (rank[:, None] * d2_hat).sum(0) / max(k_runs * (k_runs - 1), 1)  # half the mean over ordered pairs
    return np.abs(d2_hat - d2).mean(0) - pairs


def covered(d2, d2_hat):
    """Does the range of the K forecasts hold the truth? 1 inside, 0 outside, a share where values are equal.

    If truth and forecasts came from one distribution, each of the K + 1 ranks of the truth would be equally likely and
    the range would hold it in (K - 1) / (K + 1) of the nodules. Equal values share their ranks, so that this also
    holds for diameters counted in pixels.

    Args:
        d2: (N,) truth; d2_hat: (K, N) forecasts, K at least 2.

    Returns:
        (N,) float64 in [0, 1].

    Source: ours; the rank histogram (Hamill 2001) without its bins.
    """
    d2 = np.asarray(d2)
    d2_hat = np.asarray(d2_hat)
    below = (d2_hat < d2).sum(0)
    equal = (d2_hat == d2).sum(0)                                           # rank: below .. below + equal, of 0 .. K
    outside = (below == 0).astype(float) + (below + equal == len(d2_hat))
    return 1 - outside / (equal + 1)


def growth_columns(d1, d2, d2_hat, days, counts):
    """How well growth was forecast, each value with its 95 % patient-bootstrap interval.

    Args:
        d1, d2: (N,) diameters at the two scans, mm; d2_hat: (K, N) of the forecasts, mm, measured in the same way.
        days: (N,) between the scans; counts: (n_boot, N) of `bootstrap.resample_counts`.

    Returns:
        dict: diameter_error (mm, mean |d2_hat - d2|), vdt_error (days, mean |difference of `doubling_days`|),
        vdt_error_growing (the same where the truth grows), crps (mm), coverage (share of `covered`, NaN for K = 1),
        each with _low and _high; also coverage_nominal, (K - 1) / (K + 1), and growing, the share of nodules that
        truly grow: doubling time below CAP_DAYS. Doubling times leave out nodules with d1 = 0.

    Source: ours, because a reader of CT asks for millimetres and doubling times, and for honest spread.
    """
    k_runs = len(d2_hat)
    truth = doubling_days(d1, d2, days)
    late = np.abs(doubling_days(d1, d2_hat, days) - truth).mean(0)
    grows = truth < CAP_DAYS
    values = dict(diameter_error=np.abs(d2_hat - d2).mean(0), vdt_error=late,
                  vdt_error_growing=np.where(grows, late, np.nan), crps=crps(d2, d2_hat),
                  coverage=covered(d2, d2_hat) if k_runs > 1 else np.full(len(d2), np.nan))
    columns = {}
    for name, value in values.items():
        known = np.isfinite(value).any()
        mean, low, high = mean_interval(value, counts) if known else (np.nan, np.nan, np.nan)
        columns |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    nominal = (k_runs - 1) / (k_runs + 1) if k_runs > 1 else np.nan
    return columns | dict(growing=float(grows.mean()), coverage_nominal=nominal)
