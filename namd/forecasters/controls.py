"""Rows that need no training run but tell what the other rows are worth."""

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from namd.data.phantom import oracle
from namd.forecasters.base import Forecaster
from namd.ground.errors import UserError
from namd.ground.seeding import numpy_rng


class CopyBaseline(Forecaster):
    """Predict that nothing changes: x2_hat = x1. Its AUROC is that of the real baseline, by construction.

    Source: ours, because a copy scores well on LPIPS and a table without it flatters every generator.
    """

    def fit(self, pairs):
        """Nothing to learn."""

    def sample(self, x1, ehr, seeds):
        """(N, 1, H, W) -> (1, N, 1, H, W)."""
        return x1.clone()[None]


class MeanFollowUp(Forecaster):
    """Regress to the mean: everyone gets the average follow-up of the training set. Its AUROC is .5.

    Args:
        p: parameters image_size, window_low, window_high.

    Source: ours, because pixel errors alone reward it.
    """

    def __init__(self, p):
        self.p = p

    def fit(self, pairs):
        """Average the follow-up images of `pairs`, each (1, H, W) in [-1, 1]."""
        _, x2 = pairs.images(self.p.image_size, self.p.window_low, self.p.window_high)
        self.mean = x2.mean(0)

    def sample(self, x1, ehr, seeds):
        """(N, 1, H, W) -> (1, N, 1, H, W)."""
        return self.mean.expand(1, *x1.shape).clone()


class Oracle(Forecaster):
    """A perfect sampler of p(x2 | x1, e): the ceiling of any generator. Exists for phantom cohorts only.

    Args:
        truth_dir: the phantom delivery's truth folder; patient_id: Series from pair_id to patient_id.
        p: parameters image_size, window_low, window_high.

    Source: ours; the phantom's law is known, so its posterior can be drawn from directly.
    """

    def __init__(self, truth_dir, patient_id, p):
        self.truth_dir = truth_dir
        self.patient_id = patient_id
        self.p = p

    def fit(self, pairs):
        """Nothing to learn: the law is known."""

    def sample(self, x1, ehr, seeds):
        """Draws of the follow-up given the truth behind each baseline: (K, N, 1, H, W) in [-1, 1]."""
        patients = self.patient_id.loc[ehr.index].tolist()
        crop = (self.p.image_size, self.p.window_low, self.p.window_high)
        return torch.stack([oracle.oracle_follow_up(self.truth_dir, patients, seed, *crop) for seed in seeds])


class PermutedRecords(Forecaster):
    """A forecaster whose subjects got each other's records: what is left is what it reads from the image.

    Args:
        inner: any Forecaster; ehr: records of all subjects, exchanged once; keys, patient, fields: as of `exchange`.

    Source: ours, because a generator that ignores its text scores the same with wrong text. With the patient's fields
    alone exchanged it scores the same on any phantom whose patients do not matter, however well images are read.
    """

    def __init__(self, inner, ehr, *keys, patient=None, fields=None):
        self.inner = inner
        self.exchanged = exchange(ehr, *keys, patient=patient, fields=fields)

    @classmethod
    def of(cls, make, *given, **options):
        """`make()` with exchanged records; the other arguments are those of the constructor."""
        return cls(make(), *given, **options)

    def fit(self, pairs):
        """Fit the forecaster inside, with the right records."""
        self.inner.fit(pairs)

    def sample(self, x1, ehr, seeds):
        """(K, N, 1, H, W): same images, same noise, records exchanged; no subject keeps its own."""
        return self.inner.sample(x1, self.exchanged.loc[ehr.index], seeds)


def exchange(ehr, *keys, patient=None, fields=None):
    """Records handed round a random circle of all patients, so that none keeps its own; index unchanged.

    Args:
        ehr: DataFrame of N records, indexed by pair_id; keys: name the permutation.
        patient: (N,), whose record each is; None: each a patient of its own. A patient's n-th record comes from the
            donor's n-th, counted round where the donor has fewer.
        fields: the columns handed round, all by default; the others stay with their subject.

    Source: ours; a circle, because a plain permutation leaves one subject with its own record on average.
    """
    whose = np.asarray(ehr.index if patient is None else patient)
    rows = pd.Series(np.arange(len(ehr))).groupby(whose, sort=False)
    places = [part.to_numpy() for _, part in rows]
    circle = numpy_rng(*keys, "exchange").permutation(len(places))
    donor = np.empty(len(ehr), dtype=np.int64)
    for receiver, giver in zip(circle, np.roll(circle, 1), strict=True):
        donor[places[receiver]] = np.resize(places[giver], len(places[receiver]))
    moved = ehr.iloc[donor].set_axis(ehr.index)
    if fields is None:
        return moved
    return ehr.assign(**moved[fields])


STRENGTHS = 10.0 ** np.arange(-5, 1)


def logistic_score(columns, label, columns_new, strength=1.0):
    """Probability of malignancy by logistic regression on standardised columns, no image generated.

    Args:
        columns: (N, n) float array to learn from; label: (N,) in {0, 1}; columns_new: (M, n), the same columns.
        strength: scikit-learn's C, > 0: the smaller, the nearer are the weights to 0.

    Returns:
        (M,) float64 in [0, 1].

    Raises:
        UserError: `label` holds one class only.

    Source: ours. "Direct" (judge's logit of x1 and the record) is what any generator from (x1, e) must be
    compared with: generated pixels cannot hold more about the label than (x1, e) do. "Direct x1" (judge's features of
    x1 alone) says how much of that is in the image.
    """
    if len(np.unique(label)) < 2:
        raise UserError("The training and validation splits hold one class only, so no direct score can be "
                        "fitted; use a cohort with both malignant and benign nodules.")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    model.fit(np.asarray(columns), np.asarray(label))
    return model.predict_proba(np.asarray(columns_new))[:, 1]


def choose_strength(columns, label, held, strengths=STRENGTHS):
    """The strength of `logistic_score` with the least cross-entropy on held-out nodules.

    Args:
        columns: (N, n); label: (N,) in {0, 1}; held: (N,) boolean, the validation split; strengths: candidates.

    Returns:
        One of `strengths`.

    Raises:
        UserError: the other nodules hold one class only.

    Source: ours, because a judge's features are many (quick 96, paper 1,024) and scikit-learn's C = 1 overfits them: on
    1,275 training and 225 validation pairs of a phantom, validation AUROC was .675 at C = 1 and .703 at .001.
    """
    columns = np.asarray(columns)
    label = np.asarray(label)
    losses = []
    for strength in strengths:
        score = logistic_score(columns[~held], label[~held], columns[held], strength)
        losses.append(log_loss(label[held], score, labels=[0, 1]))
    return float(strengths[np.argmin(losses)])
