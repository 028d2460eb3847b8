"""How much K follow-ups of one nodule disagree, and how well K runs know it (Section 4.3, Appendix D)."""

import numpy as np
import pandas as pd

from namd.ground.seeding import numpy_rng

REGIMES = ("confidently correct", "unsure", "confidently incorrect")


def spread(prob, label) -> pd.DataFrame:
    """Prediction error and predictive variance of each nodule (Section 4.3).

    Args:
        prob: (K, N) float in [0, 1], the judge's probability of run k for nodule i.
        label: (N,) int, 0 benign, 1 malignant.

    Returns:
        N rows: label, prob_mean (p_bar), prob_var (Var(p), divided by K - 1), error (|L - p_bar|); dimensionless.

    Raises:
        ValueError: fewer than two runs, which have no variance.

    Source: Section 4.3. The paper does not name its divisor; K - 1 keeps runs of different K comparable.
    """
    prob = np.asarray(prob, dtype=float)
    label = np.asarray(label)
    if len(prob) < 2:
        raise ValueError(f"the variance over runs needs K >= 2, got {len(prob)}")
    mean = prob.mean(0)
    return pd.DataFrame(
        {"label": label, "prob_mean": mean, "prob_var": prob.var(0, ddof=1), "error": np.abs(label - mean)}
    )


def regimes(error, prob_var, error_cut: float, var_cut: float) -> np.ndarray:
    """Regime of each nodule, one of REGIMES: (N,) of text.

    Variance above `var_cut` is unsure; at or below it the nodule is confident, and correct when its error is
    below `error_cut`.

    Source: Section 4.3 names the three regimes and draws no line between them; both cuts are ours.
    """
    confident = np.where(np.asarray(error) < error_cut, REGIMES[0], REGIMES[2])
    return np.where(np.asarray(prob_var) > var_cut, REGIMES[1], confident)


def pick_cases(table: pd.DataFrame, regime) -> dict:
    """One telling nodule for each regime and label (the six cases of Figure 3, right).

    The smallest error for a confidently correct case, the largest variance for an unsure one and the largest
    error for a confidently incorrect one.

    Returns:
        {(regime, label): position in `table`}, None where no nodule falls into the cell.

    Source: ours, because the paper does not say how its six cases were chosen.
    """
    telling = {REGIMES[0]: -table["error"], REGIMES[1]: table["prob_var"], REGIMES[2]: table["error"]}
    cases = {}
    for name in REGIMES:
        for label in (0, 1):
            inside = np.flatnonzero((np.asarray(regime) == name) & (table["label"] == label).to_numpy())
            most = telling[name].to_numpy()[inside]
            cases[name, label] = int(inside[most.argmax()]) if len(inside) else None
    return cases


def running_variance(prob, ddof: int = 1) -> np.ndarray:
    """Variance of the first k probabilities, k = 1 .. K (Figure 5): (K, N); NaN where k <= ddof.

    Source: Appendix D.
    """
    prob = np.asarray(prob, dtype=float)
    k = np.arange(1, len(prob) + 1, dtype=float)[:, None]
    mean = prob.cumsum(0) / k
    squares = np.maximum((prob**2).cumsum(0) / k - mean**2, 0)  # divided by k; rounding may fall below 0
    factor = np.divide(k, k - ddof, out=np.full_like(k, np.nan), where=k > ddof)
    return squares * factor


def settled(running, tolerance: float) -> np.ndarray:
    """Share of nodules whose running variance stays within `tolerance` of its last value from k on: (K,).

    Source: Appendix D: "the minimum K where prediction variance stabilizes ... for the majority".
    """
    running = np.asarray(running, dtype=float)
    close = np.abs(running - running[-1]) <= tolerance * running[-1]  # (K, N), False for NaN
    stays = np.logical_and.accumulate(close[::-1])[::-1]
    return stays.mean(1)


def split_error(statistic, prob, k: int, n_splits: int, *keys, relative: bool = False) -> float:
    """Standard error of a statistic of k runs, measured between two groups of k runs that share none.

    Two such groups are two independent measurements of the same thing: half their mean squared difference is the
    variance of one. Each nodule divides its runs anew in every split, because no two nodules share noise.

    Args:
        statistic: (k, N) -> number or (N,), e.g. the mean over runs or the AUROC of that mean.
        prob: (K, N) float; n_splits: splits to average over; keys: name the draw.
        relative: divide by the root mean square of the statistic.

    Returns:
        In the unit of the statistic, or dimensionless; a root mean square over nodules when there are N values.

    Raises:
        ValueError: fewer than 2k runs.

    Source: ours, because Appendix D watches a curve settle and states no precision.
    """
    prob = np.asarray(prob, dtype=float)
    rng = numpy_rng(*keys)
    if len(prob) < 2 * k:
        raise ValueError(f"the standard error of {k} runs needs {2 * k} runs, got {len(prob)}")
    measured = []
    for _ in range(n_splits):
        runs = np.take_along_axis(prob, rng.random(prob.shape).argsort(0), 0)
        measured.append((statistic(runs[:k]), statistic(runs[k:2 * k])))
    first, second = np.array(measured).swapaxes(0, 1)
    error = np.sqrt(((first - second) ** 2).mean() / 2)
    return float(error / np.sqrt((first * second).mean()) if relative else error)
