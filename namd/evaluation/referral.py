"""What is gained when a forecaster may hold back the nodules it is unsure of."""

import numpy as np
import pandas as pd

from namd.evaluation.intervals import auroc_draws, percentile_interval


def kept_counts(counts, uncertainty, share: float) -> np.ndarray:
    """What is left of each resample when its most uncertain `share` is referred: (n_boot, N) integers.

    Args:
        counts: (n_boot, N) integers, how often each nodule is drawn; ones (1, N) are the test set itself.
        uncertainty: (N,) float, larger is referred first; share: in [0, 1), rounded down to whole nodules.

    Source: ours; the threshold is found anew in each resample, so that each refers the same share.
    """
    counts, order = np.asarray(counts), np.argsort(uncertainty, kind="stable")
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
        counts: (n_boot, N) of `intervals.resample_counts`.

    Returns:
        One row a share: share, auroc, error (share of wrong answers), malignant (share of malignant nodules among
        those kept: the error rate of calling each of them benign) and gain (auroc minus that of all nodules); each
        with _low and _high, the 95 % patient interval. NaN where one class is all referred.

    Source: ours, because Section 4.3 offers the variance as a measure of confidence and does not use it.
    """
    label, prob_mean = table["label"].to_numpy(), table["prob_mean"].to_numpy()
    wrong = (table["error"] >= error_cut).to_numpy(dtype=float)

    def score(drawn):
        with np.errstate(invalid="ignore"):
            return {"auroc": auroc_draws(label, prob_mean, drawn), "error": drawn @ wrong / drawn.sum(1),
                    "malignant": drawn @ label / drawn.sum(1)}

    everyone, rows = np.ones((1, len(label)), dtype=int), []
    start = [score(everyone)["auroc"], score(counts)["auroc"]]
    for share in shares:
        value, draws = (score(kept_counts(drawn, uncertainty, share)) for drawn in (everyone, counts))
        value["gain"], draws["gain"] = value["auroc"] - start[0], draws["auroc"] - start[1]
        row = {"share": share}
        for name in value:
            low, high = percentile_interval(draws[name]) if np.isfinite(draws[name]).any() else (np.nan, np.nan)
            row |= {name: float(value[name][0]), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
