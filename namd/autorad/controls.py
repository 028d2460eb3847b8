"""Rows of the table without words or prompts: what the numbers that AutoRad-Lung is given are worth by themselves."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from namd.autorad.prompts import CLASSES
from namd.autorad.tuning import OutOfFold, scaled, tuned
from namd.data.phantom import readers

C = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)           # inverse strengths of the penalty, each row's own by inner validation
KNOTS = 5                                   # of the spline over the diameter


def majority(label3, fold) -> OutOfFold:
    """The shares of the classes among the training nodules, for every nodule.

    Args:
        label3: (N,) 0, 1, 2; fold: (N,) of `folds.folds`.
    """
    label3 = np.asarray(label3)

    def fit(candidate, held):
        counts = np.bincount(label3[~np.isin(fold, held)], minlength=len(CLASSES))
        return np.tile(counts / counts.sum(), (len(label3), 1)), {}
    return tuned(fit, (0,), label3, fold)


def by_diameter(diameter, label3, fold) -> OutOfFold:
    """Logistic regression on a cubic spline of the logarithm of the diameter.

    Args:
        diameter: (N,) mm, > 0, in the middle slice; label3, fold: as of `majority`.

    Source: ours, because on LIDC's own contours this one number reaches the paper's accuracy.
    """
    x = np.log(np.asarray(diameter, dtype=np.float64))[:, None]
    spline = (SplineTransformer(KNOTS, extrapolation="linear"), StandardScaler())
    return tuned(_fitted(lambda train: (x, {}), label3, fold, *spline), tuple(1e2 * c for c in C), label3, fold)


def by_logistic(x, label3, fold) -> OutOfFold:
    """Multinomial logistic regression on numbers scaled as a guide is (`tuning.scaled`).

    Args:
        x: (N, F) radiomics, image embeddings (a linear probe) or both side by side, NaN or infinite where undefined.
        label3, fold: as of `majority`.

    Source: ours, because guided prompts must be better than the same numbers in the plainest model.
    """
    return tuned(_fitted(lambda train: scaled(x, train), label3, fold), C, label3, fold)


def _fitted(numbers, label3, fold, *steps):
    """`fit` of `tuned`: a logistic regression of strength C on numbers(train) -> ((N, F), counts), after `steps`.

    A class that none of its nodules has, as where a fold of three is all that trains, has probability 0.
    """
    label3 = np.asarray(label3)

    def fit(c, held):
        train = ~np.isin(fold, held)
        x, counts = numbers(train)
        model = make_pipeline(*steps, LogisticRegression(C=c, max_iter=2000))
        model.fit(x[train], label3[train])
        prob = np.zeros((len(x), len(CLASSES)))
        prob[:, model.classes_] = model.predict_proba(x)
        return prob, counts
    return fit


def all_of(diameter, features, z, label3, fold) -> dict[str, OutOfFold]:
    """Every control by its name in the table.

    Args:
        diameter: (N,) mm; features: (N, F) radiomics; z: (N, P) image embeddings; label3, fold: as of `majority`.
    """
    return {"majority": majority(label3, fold), "diameter": by_diameter(diameter, label3, fold),
            "logistic": by_logistic(features, label3, fold), "probe": by_logistic(z, label3, fold),
            "probe + radiomics": by_logistic(np.hstack([z, features]), label3, fold)}


def ceiling(score, opinions, nodule_id) -> np.ndarray:
    """What somebody who knows each nodule's true score would answer, where the readers are simulated: (N, 3).

    Args:
        score: (N,) of `truth.parquet`; opinions: the cohort's readers.parquet; nodule_id: (N,).
    """
    n_readers = opinions.groupby("nodule_id").size().loc[nodule_id]
    return readers.class_probabilities(np.asarray(score), n_readers.to_numpy())
