"""What if the record, or the nodule, were another one? Follow-ups of a phantom subject, from the same noise."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from namd.data.images import centre_crop, window
from namd.data.phantom.sitter import Sitter
from namd.data.phantom.visit import TrueNodule
from namd.data.report import report_text
from namd.ship.finished import FinishedArm

FAMILY = "famfather"            # the relative that stands for the family; the report says only whether there is one


@dataclass(frozen=True)
class Drawn:
    """One baseline, one record, K follow-ups and what the judge reads in them."""

    x1: np.ndarray          # (S, S) in [-1, 1]
    ehr: pd.DataFrame       # one line
    report: str             # as the language model reads it
    x2_hat: np.ndarray      # (K, S, S)
    prob: np.ndarray        # (K,) of malignancy, each follow-up
    prob_x1: float          # of the baseline image

    @property
    def said(self) -> str:
        """p = 0.31 (0.22 to 0.41 over K = 8), the baseline 0.25."""
        low, high = self.prob.min(), self.prob.max()
        return (f"p = {self.prob.mean():.2f} ({low:.2f} to {high:.2f} over K = {len(self.prob)}), the baseline"
                f" {self.prob_x1:.2f}")


def seen(arm: FinishedArm, crop) -> np.ndarray:
    """What the models see of a crop (128, 128) HU: (S, S) in [-1, 1]."""
    return window(centre_crop(np.asarray(crop), arm.p.image_size), *arm.window)


def follow_ups(arm: FinishedArm, x1, ehr: pd.DataFrame, seeds) -> Drawn:
    """K follow-ups of a baseline (S, S) with a record of one line; equal names in its index, equal noise."""
    image = torch.from_numpy(np.asarray(x1, dtype=np.float32))[None, None]
    x2_hat = arm.pipe(image, ehr, list(seeds))[:, 0]
    return Drawn(x1=image[0, 0].numpy(), ehr=ehr, report=report_text(ehr.iloc[0]), x2_hat=x2_hat[:, 0].numpy(),
                 prob=arm.judge.prob(x2_hat).numpy(), prob_x1=float(arm.judge.prob(image)))


def judged(arm: FinishedArm, images) -> np.ndarray:
    """Probability of malignancy that the judge reads in each of (N, S, S) images: (N,)."""
    return arm.judge.prob(torch.from_numpy(np.stack(images))[:, None]).numpy()


def what_if(arm: FinishedArm, sitter: Sitter, seeds, age=None, emphysema=None, family=None, longest=None,
            margin=None) -> Drawn:
    """Follow-ups of `sitter` with another record, or another nodule in the same place; None leaves a value as it is.

    Args:
        age: years; emphysema, family: True or False, of the record alone.
        longest: mm; margin: code of sct_margins: of the record and of the nodule that is drawn at the baseline.

    Source: ours; age, emphysema and family change no pixel of the baseline, so what changes then is the record's work.
    """
    shape = {name: value for name, value in dict(longest=longest, margin=margin).items() if value is not None}
    asked = dict(age=age, diagemph=emphysema, sct_long_dia=longest, sct_margins=margin)
    record = {name: int(value) for name, value in asked.items() if value is not None}
    if family is not None:
        record |= {name: 0 for name in sitter.record() if name.startswith("fam")} | {FAMILY: int(family)}
    nodule: TrueNodule = sitter.nodule(**shape)
    return follow_ups(arm, seen(arm, sitter.crop(nodule)), sitter.record(**record), seeds)
