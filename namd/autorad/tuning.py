"""What every row of the table shares: features scaled on the training fold, a setting chosen inside it, one answer."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from namd.autorad.prompts import CLASSES

CLIP = 5.0                      # standard deviations, beyond which a feature says no more


class OutOfFold(NamedTuple):
    """What a cross-validation found.

    Args:
        prob: (N, 3) probabilities of each nodule, from the model that was trained without its patient.
        chosen: a row a fold: fold, chosen (the learning rate, or C), n_train, and what `scaled` counted.
        tried: a row a fold and candidate: fold, candidate, loss (cross-entropy of the inner validation nodules, nats).
    """

    prob: np.ndarray
    chosen: pd.DataFrame
    tried: pd.DataFrame


def partner(k: int, n_folds: int) -> int:
    """The fold that validates for test fold `k`: 0 and 1, 2 and 3 for each other, a last odd one's is 0.

    Source: ours, because the folds are by patient already, and what is trained without two folds chooses for both.
    """
    return k ^ 1 if k ^ 1 < n_folds else 0


def scaled(features, train):
    """Features that a network can read: z-scored on the training nodules, clipped at 5, unknown ones 0.

    Args:
        features: (N, F) float, NaN or infinite where undefined; train: (N,) bool.

    Returns:
        (N, F) float32, and counts: missing (values), constant (columns, which become 0), clipped (values).

    Source: ours, because radiomics range from 1e-6 to 1e12 and the paper does not say how they enter a network.
    """
    values = np.where(np.isfinite(features), features, np.nan).astype(np.float64)
    known = np.isfinite(values)
    n = np.maximum(known[train].sum(0), 1)
    mean = np.nansum(values[train], 0) / n
    spread = np.sqrt(np.nansum((values[train] - mean) ** 2, 0) / n)
    varies = spread > 1e-9 * np.abs(mean)
    z = np.where(known & varies, (values - mean) / np.where(varies, spread, 1), 0)
    counts = dict(missing=int((~known).sum()), constant=int((~varies).sum()), clipped=int((np.abs(z) > CLIP).sum()))
    return z.clip(-CLIP, CLIP).astype(np.float32), counts


def tuned(fit, candidates, label3, fold) -> OutOfFold:
    """Out-of-fold probabilities of `fit`, in each fold with the candidate that was best on inner validation nodules.

    Args:
        fit: (candidate, held) -> (prob (N, 3), counts); trains on the nodules that are in none of the folds `held`.
        candidates: to choose among, the same for every fold; a single one is taken as it is.
        label3: (N,) int, 0, 1, 2; fold: (N,) int, of `folds.folds`.

    For test fold k every candidate trains without k and `partner(k)` and is judged by cross-entropy on `partner(k)`;
    the best one then trains without k. No test nodule is ever looked at.

    Source: ours, because CLIP-Lung's public code keeps the epoch that is best on the test set.
    """
    n_folds = int(fold.max()) + 1
    prob = np.full((len(label3), len(CLASSES)), np.nan)
    inner = {}
    tried = []
    chosen = []
    for k in range(n_folds):
        other = partner(k, n_folds)
        at = fold == other
        losses = {}
        for candidate in candidates if len(candidates) > 1 else ():
            held = (min(k, other), max(k, other), candidate)
            if held not in inner:
                inner[held], _ = fit(candidate, held[:2])
            losses[candidate] = -np.log(inner[held][at, label3[at]].clip(1e-12)).mean()
        tried += [dict(fold=k, candidate=candidate, loss=loss) for candidate, loss in losses.items()]
        best = min(losses, key=losses.get, default=candidates[0])
        found, counts = fit(best, (k,))
        prob[fold == k] = found[fold == k]
        chosen.append(dict(fold=k, chosen=best, n_train=int((fold != k).sum()), **counts))
    return OutOfFold(prob, pd.DataFrame(chosen), pd.DataFrame(tried, columns=["fold", "candidate", "loss"]))
