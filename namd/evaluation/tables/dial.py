"""The phantom's dial: what a generated follow-up is worth as less and less of the real one can be told in advance."""

import numpy as np
import pandas as pd

from namd.evaluation.stats import bootstrap, intervals, metrics


def aurocs(main):
    """The rows whose AUROC is shown; main: the run's main arm."""
    return ("real baseline", main, "oracle", "real follow-up")


def rows(main):
    """The rows that a position of the dial reads."""
    return (*aurocs(main), "permuted patients")


def gains(main):
    """Names of the differences in AUROC."""
    return (f"{main} - baseline", "oracle - baseline", f"{main} - permuted patients")


def position(label, prob, counts, main):
    """What one position of the dial shows.

    Args:
        label: (N,) in {0, 1}; prob: {row: (K, N)} with the five `rows`; counts: (n_boot, N); main: the run's main arm.

    Returns:
        DataFrame quantity, value, low, high (patient bootstrap): the AUROCs averaged over runs, the three `gains`, and
        the shares that the main arm closes of the way from the real baseline to the real follow-up ("gap closed") and
        to the oracle ("oracle's gap closed"), NaN where there is no gap.

    Source: ours. Averaged over runs and not of the mean probability, because one virtual image replaces one real one.
    """
    measured = {row: metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in rows(main)}
    drawn = {row: bootstrap.auroc_draws(label, prob[row], counts) for row in rows(main)}
    table = []
    for (name, value), spread in zip(_with_gains(measured, main).items(), _with_gains(drawn, main).values(),
                                     strict=True):
        low, high = (np.nan, np.nan) if np.isnan(value) else bootstrap.percentile_interval(spread)
        table.append(dict(quantity=name, value=float(value), low=low, high=high))
    return pd.DataFrame(table)


def _with_gains(auroc, main):
    """AUROCs, or draws of them, and what follows from them."""
    baseline, own, oracle, follow_up, exchanged = (auroc[row] for row in rows(main))
    differences = (own - baseline, oracle - baseline, own - exchanged)
    return {**auroc, **dict(zip(gains(main), differences, strict=True)),
            "gap closed": intervals.gap_closed(baseline, own, follow_up),
            "oracle's gap closed": intervals.gap_closed(baseline, own, oracle)}
