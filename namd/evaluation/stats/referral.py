"""What is gained when a forecaster may hold back the nodules it is unsure of."""

import numpy as np
import pandas as pd

from namd.evaluation.stats.bootstrap import auroc_draws, percentile_interval, with_itself


def kept_counts(counts, uncertainty, share: float) -> np.ndarray:
    """What is left of each resample when its most uncertain `share` is referred: (n_boot, N) integers.

    Args:
        counts: (n_boot, N) integers, how often each nodule is drawn; ones (1, N) are the test set itself.
        uncertainty: (N,) float, larger is referred first; share: in [0, 1), rounded down to whole nodules.

    Source: ours; the threshold is found anew in each resample, so that each refers the same share.
    """
    counts = np.asarray(counts)
    order = np.argsort(uncertainty, kind="stable")
    ranked = counts[:, order]
    n_drawn = ranked.sum(1, keepdims=True)
    n_kept = n_drawn - np.floor(share * n_drawn + 1e-9).astype(int)
    kept = np.zeros_like(counts)
    kept[:, order] = np.clip(n_kept - (ranked.cumsum(1) - ranked), 0, ranked)
    return kept


def referral_curve(table: pd.DataFrame, uncertainty, error_cut: float, shares, counts) -> pd.DataFrame:
    """AUROC and error rate of the nodules that are kept, against the share referred.

    Args:
        table: columns label, prob_mean, error (`variance.spread`); uncertainty: (N,) float.
        error_cut: an error at or above it is a wrong answer; shares: in [0, 1).
        counts: (n_boot, N) of `bootstrap.resample_counts`.

    Returns:
        One row a share: share, auroc, error (share of wrong answers), malignant (share of malignant nodules among
        those kept: the error rate of calling each of them benign) and gain (auroc minus that of all nodules); each
        with _low and _high, the 95 % patient interval. NaN where one class is all referred.

    Source: ours, because Section 4.3 offers the variance as a measure of confidence and does not use it.
    """
    drawn_all = with_itself(counts)
    everyone = kept_draws(table, uncertainty, error_cut, 0, drawn_all)["auroc"]
    rows = []
    for share in shares:
        drawn = kept_draws(table, uncertainty, error_cut, share, drawn_all)
        drawn["gain"] = drawn["auroc"] - everyone
        row = {"share": share}
        for name, (value, *draws) in drawn.items():
            low, high = percentile_interval(draws) if np.isfinite(draws).any() else (np.nan, np.nan)
            row |= {name: float(value), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def kept_draws(table: pd.DataFrame, uncertainty, error_cut: float, share: float, counts) -> dict:
    """What the nodules score that are kept when `share` is referred, in every resample.

    Args: as `referral_curve`, with one share.

    Returns:
        {"auroc", "error", "malignant": (n_boot,)} as in `referral_curve`.
    """
    label = table["label"].to_numpy()
    prob_mean = table["prob_mean"].to_numpy()
    wrong = (table["error"] >= error_cut).to_numpy(dtype=float)
    kept = kept_counts(counts, uncertainty, share)
    with np.errstate(invalid="ignore"):
        return {"auroc": auroc_draws(label, prob_mean, kept), "error": kept @ wrong / kept.sum(1),
                "malignant": kept @ label / kept.sum(1)}
