"""Two levels of chance at once: which patients were tested, and which seed the model was trained with."""

from typing import NamedTuple

import numpy as np

from namd.evaluation.stats.bootstrap import percentile_interval, resample_counts
from namd.ground.seeding import numpy_rng


class Resamples(NamedTuple):
    """Draws that every row shares: counts (n_boot, N) of the patients, weights (n_boot, R) of the training seeds."""

    counts: np.ndarray
    weights: np.ndarray


def resample(label, n_train, n_boot, *keys, patient=None) -> Resamples:
    """Resamples of patients and training seeds; one set serves every row, so that differences are paired.

    The weights times the R trained runs' deviations from their mean are draws of the error of that mean: t with
    R - 1 degrees of freedom. For R = 1 they are 0: a single training seed says nothing about other seeds.

    Args:
        label: (N,) in {0, 1}, the strata; n_train: R; n_boot: number of resamples; keys: name the draw.
        patient: (N,), whose nodules stay together; None: each nodule is a patient of its own.

    Source: ours, because R runs drawn with replacement show (R - 1) / R of the variance, and R is 3 or so.
    """
    rng = numpy_rng(*keys, "training")
    weights = np.zeros((n_boot, n_train))
    if n_train > 1:
        scale = np.sqrt(rng.chisquare(n_train - 1, n_boot) / (n_train - 1) * n_train * (n_train - 1))
        weights = rng.normal(size=(n_boot, n_train)) / scale[:, None]
    return Resamples(resample_counts(label, n_boot, *keys, patient=patient), weights)


def by_training(statistic, label, prob, counts):
    """A statistic of each trained run in each resample, averaged over its sampling seeds: (R, n_boot).

    Args:
        statistic: `bootstrap.auroc_draws` or `bootstrap.auprc_draws`; label: (N,); prob: (R, K, N).
        counts: (n_boot, N) of `bootstrap.resample_counts`.

    Source: Sec. 4.1.2 averages over sampling seeds; the training seeds are ours.
    """
    def averaged(runs):
        return np.mean([statistic(label, p, counts) for p in runs], axis=0)

    return np.stack([averaged(runs) for runs in prob])


def draws(statistic, label, prob, resamples):
    """A row's statistic, averaged over sampling and training seeds, in every resample of patients and training seeds.

    Sampling seeds are no level of their own: their noise is drawn for each (seed, nodule), so it comes and goes with
    the patients, and resampling the seeds too would count it twice.

    Args:
        statistic, label: as `by_training`; prob: (R, K, N), R as in `resamples`, or 1: patients alone.

    Returns:
        (n_boot,) of `combine`, in the units of the statistic. Subtract two rows' draws, or give three to
        `intervals.gap_closed`.

    Source: ours, because the paper's spread is over the sampling seeds of one trained model.
    """
    drawn = by_training(statistic, label, prob, resamples.counts)
    return combine(_once(statistic, label, prob), drawn, resamples.weights)


def combine(value, drawn, weights):
    """The mean over R trained runs in every resample of patients and training seeds: (n_boot,).

    The spread of the R runs is partly patient noise; what the patient bootstrap adds to it estimates that part, which
    is taken off.

    Args:
        value: (R,) any statistic of each trained run; drawn: (R, n_boot) the same in the resamples of the patients.
        weights: (n_boot, R) of `resample`; with R = 1 they are not read.

    Source: ours; tests/benchmarks/coverage.py measures how often the intervals hold the truth.
    """
    if len(value) == 1:
        return drawn[0]
    seen = value.var(ddof=1)
    noise = np.nanmean(drawn.var(axis=0, ddof=1)) - seen
    kept = np.sqrt(np.clip(1 - noise / seen, 0, 1)) if seen > 0 else 0.0
    return drawn.mean(0) + kept * weights @ (value - value.mean())


def interval(value, drawn, weights):
    """(mean, low, high) of any statistic over R trained runs, 95 %; all NaN where it does not exist for each of them.

    Args: as `combine`; a resample in which a run has no value (NaN) does not count.
    """
    value = np.asarray(value, dtype=float)
    drawn = np.asarray(drawn, dtype=float)
    if not (np.isfinite(value).all() and np.isfinite(drawn).all(axis=0).any()):
        return np.nan, np.nan, np.nan
    return float(value.mean()), *percentile_interval(combine(value, drawn, weights))


def covers(n_train, units="patients"):
    """What an interval over `units` and `n_train` training seeds covers, in words."""
    return f"{units} and training seeds" if n_train > 1 else units


def _once(statistic, label, prob):
    """The statistic of each trained run on the test set itself: (R,)."""
    return by_training(statistic, label, prob, np.ones((1, len(label)), dtype=np.int64))[:, 0]


def estimate(statistic, label, prob, resamples, minus=None):
    """A row's statistic, or its difference to another row, with the interval over patients and training seeds.

    Args:
        statistic, label, prob, resamples: as `draws`; minus: the (R, K, N) row to subtract.

    Returns:
        (value, low, high) at 95 %. With R = 1 the interval is over patients alone; say "one training seed" beside it.

    Source: ours, because the paper's spread is over the sampling seeds of one trained model.
    """
    value = _once(statistic, label, prob).mean()
    drawn = draws(statistic, label, prob, resamples)
    if minus is not None:
        value = value - _once(statistic, label, minus).mean()
        drawn = drawn - draws(statistic, label, minus, resamples)
    return float(value), *percentile_interval(drawn)
