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


def falls(table, main) -> str:
    """What becomes of the main arm's gain along the dial, for the title of its picture.

    Args:
        table: a row a position and quantity: null, eps, quantity, value.

    Source: ours.
    """
    gain = table[(table["null"] == "none") & (table["quantity"] == gains(main)[0])].sort_values("eps")
    first, last = gain.iloc[0], gain.iloc[-1]
    if len(gain) == 1:
        return f"A drawn follow-up is worth {first['value']:+.3f} in AUROC at phantom_eps {first['eps']:g}"
    word = "less" if last["value"] < first["value"] else "no less"
    return (f"The more chance decides, a drawn follow-up is worth {word}: {first['value']:+.3f} in AUROC at phantom_eps"
            f" {first['eps']:g}, {last['value']:+.3f} at {last['eps']:g}")


def holds(table, main) -> str:
    """In how many cohorts the main arm's gain is certain, for the title of their picture.

    Args:
        table: a row a cohort and quantity: quantity, low.

    Source: ours.
    """
    low = table.loc[table["quantity"] == gains(main)[0], "low"]
    return f"For other patients a drawn follow-up gains, beyond chance, in {(low > 0).sum()} of {len(low)} cohorts"


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
