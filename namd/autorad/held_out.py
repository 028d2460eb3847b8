"""One reader trained once, for nodules outside its cohort: the second judge, and what moves the prompt."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from namd.autorad import folds
from namd.autorad.prompts import CLASSES, Prompts
from namd.ground.precision import strict


class HeldOut(NamedTuple):
    """What one training found.

    Args:
        prob: (N, C) probabilities of every nodule, those that trained included.
        tried: a row a rate: rate, loss (cross-entropy of the validating nodules, nats), chosen.
        history: of the training at the chosen rate, as `loop.fit` returns it.
        prompts: the trained `Prompts`; guide: (N, F) what moved its context, or None.
    """

    prob: np.ndarray
    tried: pd.DataFrame
    history: pd.DataFrame
    prompts: Prompts
    guide: torch.Tensor | None

    def delta(self, without=()) -> np.ndarray:
        """The conditional token of every nodule, (N, width); `without`: columns of the guide that say nothing.

        Source: a scaled feature that says nothing is 0, the mean of the training nodules.
        """
        guide = self.guide.clone()
        guide[:, list(without)] = 0
        with torch.no_grad():
            return self.prompts.meta(guide).cpu().numpy()


@strict()
def read_others(arm, z, features, label, train, val, text, p, folder, key, classes=CLASSES) -> HeldOut:
    """Train an arm on some nodules, choose its rate on others, and read all.

    Args:
        arm: `folds.Arm`; z: (N, P) image embeddings; features: (N, F) or None.
        label: (N,) int, a class of `classes` where train or val holds; train, val: (N,) bool, of disjoint patients.
        text, p, folder, key: as of `folds.cross_validate`; classes: the words of the answers.

    Source: ours, because a judge of generated images must have been trained on real ones alone.
    """
    z = torch.as_tensor(z, dtype=torch.float32, device=text[0].device).unsqueeze(0)
    guide, _ = folds.guide_of(arm.guide, z, features, train)
    label = np.where(train | val, label, 0).astype(np.int64)
    labels = torch.from_numpy(label).to(z.device)
    rows = torch.from_numpy(np.flatnonzero(train))
    losses = {}
    found = {}
    history = {}
    for rate in arm.rates:
        place = Path(folder) / arm.name / f"rate {rate:g}"
        found[rate], history[rate] = folds.train_prompts(arm.name, rate, z, guide, labels, rows, text, p, place, key,
                                                         arm.context, classes)
        prob = folds.read(found[rate], text[0], z[0], guide)
        losses[rate] = -np.log(prob[val, label[val]].clip(1e-12)).mean()
    best = min(losses, key=losses.get)
    tried = pd.DataFrame([dict(rate=rate, loss=loss, chosen=rate == best) for rate, loss in losses.items()])
    prob = folds.read(found[best], text[0], z[0], guide)
    return HeldOut(prob, tried, history[best], found[best], None if guide is None else guide[0])
