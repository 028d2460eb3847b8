"""The follow-ups of one nodule, what the judge reads in them, and what sets the nodule apart from the training's."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from namd.data.dicom.nodule import Nodule
from namd.data.images import MM_PER_PX, centre_crop, window
from namd.ship.finished import COMPARED, FinishedArm

AIR_HU = -700
CORE_MM = 3


@dataclass(frozen=True)
class Prediction:
    """What was asked about one nodule, what was drawn for it and how the judge reads it."""

    nodule: Nodule
    record: dict            # {feature: number or None}
    missing: list[str]      # features without a usable value
    notes: list[str]        # what sets the nodule apart from the training's
    seeds: list[int]        # (K,)
    x1: np.ndarray          # (S, S) in [-1, 1]
    x2_hat: np.ndarray      # (K, S, S)
    prob: np.ndarray        # (K,) of malignancy, each draw
    prob_x1: float          # of the baseline image
    report: str | None      # as the language model read it, empty for no_text; None where none reads

    @property
    def sd(self) -> float | None:
        """Of the draws' probabilities; None for a single draw."""
        return float(self.prob.std(ddof=1)) if len(self.prob) > 1 else None


def draw(arm: FinishedArm, nodule: Nodule, record, missing, seeds) -> Prediction:
    """One follow-up of the nodule for each seed, read by the judge.

    Args:
        record, missing: what data.record.read_record returned; seeds: (K,).

    Source: Sec. 3.3.2 and 4.1.2 (samples, judged by a classifier of real follow-ups).
    """
    image = window(centre_crop(nodule.crop, arm.p.image_size), *arm.window)
    x1 = torch.from_numpy(image)[None, None]
    place = " ".join(f"{value:.2f}" for value in nodule.point)
    ehr = pd.DataFrame([record], index=[f"{nodule.series.uid} {place}"])        # the name keys the noise
    x2_hat = arm.pipe(x1, ehr, seeds, batch_size=arm.p.eval_batch)[:, 0]
    report = arm.pipe.reports(ehr)[0] if arm.pipe.record_context is None else None
    return Prediction(nodule=nodule, record=record, missing=missing, notes=_notes(arm, nodule, record), seeds=seeds,
                      x1=image, x2_hat=x2_hat[:, 0].numpy(), prob=arm.judge.prob(x2_hat).numpy(),
                      prob_x1=float(arm.judge.prob(x1)), report=report)


def _notes(arm: FinishedArm, nodule: Nodule, record) -> list[str]:
    """What sets this nodule apart from those of the training, one sentence each."""
    notes = []
    core = core_hu(nodule.crop)
    if core < AIR_HU:
        notes.append(f"the {2 * CORE_MM} mm around the centre have {core:.0f} HU on average, which is air: check that"
                     " the centre lies on the nodule")
    series = nodule.series
    spacing = series.slices[nodule.place].spacing
    measured = {"t0_thickness_mm": series.thickness, "t0_gap_mm": nodule.gap, "t0_spacing_mm": spacing,
                "age": record["age"], "sct_long_dia": record["sct_long_dia"]}
    for column, (what, unit) in COMPARED.items():
        value = measured[column]
        low, high = arm.ranges.get(column, (-math.inf, math.inf))
        if value is not None and not low - 0.005 <= value <= high + 0.005:
            notes.append(f"{what} is {value:g} {unit}, outside the training's {low:g} to {high:g} {unit}")
    side_mm = arm.p.image_size * MM_PER_PX
    if (record["sct_long_dia"] or 0) > side_mm:
        notes.append(f"a nodule of {record['sct_long_dia']:g} mm does not fit into the {side_mm:.0f} mm the models see")
    if arm.kernels is not None and series.kernel not in arm.kernels:
        notes.append(f"the kernel '{series.kernel}' does not occur in the training")
    return notes + series.doubts


def core_hu(crop) -> float:
    """Mean HU within 3 mm of the centre of a crop."""
    rows, columns = np.indices(crop.shape) - (np.array(crop.shape) - 1).reshape(2, 1, 1) / 2
    return float(crop[np.hypot(rows, columns) * MM_PER_PX <= CORE_MM].mean())
