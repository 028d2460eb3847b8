"""Patients and their nodules: who belongs together, and what that does to the error of a mean.

Nodules of one patient are not independent. Where a function takes `patient`, one entry a nodule, they stay together;
without it each nodule is a patient of its own, which gives the same numbers where that is so.
"""

import numpy as np
import pandas as pd


def numbered(patient, n):
    """The number of each nodule's patient, counted as they appear: (n,) int; None gives 0 .. n - 1.

    Source: ours.
    """
    number = np.arange(n) if patient is None else pd.factorize(np.asarray(patient))[0]
    if len(number) != n:
        raise ValueError(f"{len(number)} patients for {n} nodules: give one a nodule")
    return number


def labels(label, number):
    """The label of each patient: (n_patients,).

    Args:
        label: (N,) in {0, 1}; number: (N,) of `numbered`.

    Source: ours. A patient with one malignant nodule counts as malignant, as in the split (data.labels).
    """
    found = np.zeros(number.max(initial=-1) + 1, dtype=np.int64)
    np.maximum.at(found, number, np.asarray(label).astype(np.int64))
    return found


def first_nodules(patient):
    """Where each patient's first nodule stands: (n_patients,) int, for what needs independent nodules."""
    return np.unique(numbered(patient, len(patient)), return_index=True)[1]


def error_of_mean(values, patient=None) -> float:
    """Standard error of the mean of nodules' values; 0 for a single patient.

    Args:
        values: (n,) float; patient: (n,).

    Source: ours, by `variance_of_mean`.
    """
    values = np.asarray(values, dtype=float)
    sums = np.bincount(numbered(patient, len(values)), values - values.mean())
    return float(np.sqrt(variance_of_mean(sums, len(values))))


def variance_of_mean(sums, n):
    """Variance of a mean of n values, from the summed deviations of each patient (n_patients,); 0 for one patient.

    Source: Obuchowski 1997; with n patients the usual variance over n.
    """
    return (sums**2).sum() / (len(sums) - 1) * (len(sums) / n) / n if len(sums) > 1 else 0.0


def splits(folds, n, patient=None):
    """[(train, test) positions] of a scikit-learn KFold over the patients, so that no patient is on both sides.

    Args:
        folds: KFold; n: nodules; patient: (n,).

    Source: ours.
    """
    number = numbered(patient, n)
    held = [np.isin(number, test) for _, test in folds.split(np.unique(number))]
    return [(np.flatnonzero(~inside), np.flatnonzero(inside)) for inside in held]
