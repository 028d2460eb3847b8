"""Three classes, benign, unsure and malignant: what a reader says of each, in every resample of the patients.

Resamples are `bootstrap.resample_counts(label3, n_boot, *keys, patient=patient)`: the strata are then the three
classes, and a patient with nodules of several counts as the highest among them.
"""

import numpy as np

from namd.evaluation.stats.bootstrap import auroc_draws, percentile_interval
from namd.ground.errors import UserError

CLASSES = ("benign", "unsure", "malignant")                 # what the numbers of label3 mean
UNSURE_FIRST = ("unsure", "benign", "malignant")            # the order of columns and axes
TITLES = {"accuracy": "accuracy", "macro_f1": "macro F1", "macro_auc": "macro AUC",
          "recall_unsure": "unsure recall", "f1_unsure": "unsure F1", "auc_unsure": "unsure AUC",
          "recall_benign": "benign recall", "f1_benign": "benign F1", "auc_benign": "benign AUC",
          "recall_malignant": "malignant recall", "f1_malignant": "malignant F1", "auc_malignant": "malignant AUC"}
NAMES = tuple(TITLES)


def called(prob):
    """The class that each nodule is called: (N,) int, the most probable; of equal ones the lower.

    Args:
        prob: (N, 3) probabilities of benign, unsure, malignant.
    """
    return np.asarray(prob).argmax(axis=1)


def confusion_draws(prob, label3, counts):
    """Nodules by true class (rows) and called class (columns) in every resample: (n_boot, 3, 3) float64.

    Args:
        prob: (N, 3); label3: (N,) of 0 benign, 1 unsure, 2 malignant; counts: (n_boot, N), ones (1, N) are the test
            set itself.
    """
    cell = 3 * np.asarray(label3, dtype=int) + called(prob)                 # (N,)
    return (np.asarray(counts) @ np.eye(9)[cell]).reshape(-1, 3, 3)


def confusion(prob, label3):
    """(3, 3) int: nodules by true class (rows) and called class (columns); arguments as `confusion_draws`."""
    return confusion_draws(prob, label3, np.ones((1, len(label3))))[0].astype(int)


def draws(prob, label3, counts):
    """Every statistic of NAMES in every resample of the patients: {name: (n_boot,) float64}, each in [0, 1].

    accuracy; for each class recall, F1 = 2 hits / (truly + called), and the AUC of its probability against the two
    others; macro_f1 and macro_auc, the plain means of the three F1 and AUC. F1 is 0 for a class that is never called,
    as its recall is; recall and AUC are NaN in a resample without a nodule of the class.

    Args:
        prob, label3, counts: as `confusion_draws`.

    Raises:
        UserError: a class has no nodule.

    Source: AutoRad-Lung's abstract reports accuracy, and recall and F1 of "unsure", and its Section 3.4 AUC one against
    the rest; the means are ours, because recall of one class is 1 where everything is called by its name.
    """
    label3 = np.asarray(label3, dtype=int)
    missing = [name for c, name in enumerate(CLASSES) if not (label3 == c).any()]
    if missing:
        raise UserError(f"Three classes need nodules of each, but of {len(label3)} none is {' or '.join(missing)}; "
                        "take a larger cohort.")
    cells = confusion_draws(prob, label3, counts)
    hits = np.diagonal(cells, axis1=1, axis2=2)                             # (n_boot, 3)
    truly = cells.sum(2)
    recall = _share(hits, truly)
    f1 = _share(2 * hits, truly + cells.sum(1))
    found = {"accuracy": hits.sum(1) / cells.sum((1, 2)), "macro_f1": f1.mean(1), "macro_auc": 0.0}
    for name in UNSURE_FIRST:
        c = CLASSES.index(name)
        found[f"recall_{name}"] = recall[:, c]
        found[f"f1_{name}"] = f1[:, c]
        with np.errstate(invalid="ignore"):
            found[f"auc_{name}"] = auroc_draws(label3 == c, np.asarray(prob)[:, c], counts)
        found["macro_auc"] += found[f"auc_{name}"] / len(CLASSES)
    return found


def _share(part, whole):
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def relative(drawn, beside):
    """Relative gain of one arm over another in every resample, drawn / beside - 1; NaN where beside is 0.

    Args:
        drawn, beside: (n_boot,) of the same resamples, e.g. recall of "unsure" of two arms.

    Source: AutoRad-Lung's abstract states its gains as relative ones.
    """
    return _share(np.asarray(drawn, dtype=float), np.asarray(beside, dtype=float)) - 1


def interval(drawn):
    """(value, low, high) at 95 % of draws of which the first is the test set itself; NaN where there is no value.

    Args:
        drawn: (1 + n_boot,), from the counts of `bootstrap.with_itself`; a resample without a value does not count.
    """
    value, *resampled = drawn
    if not (np.isfinite(value) and np.isfinite(resampled).any()):
        return float(value), np.nan, np.nan
    return float(value), *percentile_interval(resampled)
