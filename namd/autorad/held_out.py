"""One reader trained once, for nodules outside its cohort: the second judge, and what moves the prompt."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from namd.autorad import folds
from namd.autorad.prompts import CLASSES, Prompts
from namd.ground.precision import prepare, strict
from namd.ground.workers import count, side_by_side


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


def read_others(arm, z, features, label, train, val, text, p, folder, key, classes=CLASSES, workers=1) -> HeldOut:
    """Train an arm on some nodules, choose its rate on others, and read all.

    Args:
        arm: `folds.Arm`; z: (N, P) image embeddings; features: (N, F) or None.
        label: (N,) int, a class of `classes` where train or val holds; train, val: (N,) bool, of disjoint patients.
        text, p, folder, key: as of `folds.cross_validate`; classes: the words of the answers.
        workers: processes that train, a rate each; the answers are the same for any number.

    Source: ours, because a judge of generated images must have been trained on real ones alone.
    """
    z = torch.as_tensor(z, dtype=torch.float32, device=text[0].device).unsqueeze(0)
    guide, _ = folds.guide_of(arm.guide, z, features, train)
    label = np.where(train | val, label, 0).astype(np.int64)
    labels = torch.from_numpy(label).to(z.device)
    rows = torch.from_numpy(np.flatnonzero(train))
    jobs = [(arm, rate, z, guide, labels, rows, text, p, folder, key, classes) for rate in arm.rates]
    trained = dict(zip(arm.rates, side_by_side(_at_a_rate, jobs, count(workers, len(jobs))), strict=True))
    losses = {rate: -np.log(prob[val, label[val]].clip(1e-12)).mean() for rate, (*_, prob) in trained.items()}
    best = min(losses, key=losses.get)
    prompts, history, prob = trained[best]
    tried = pd.DataFrame([dict(rate=rate, loss=loss, chosen=rate == best) for rate, loss in losses.items()])
    return HeldOut(prob, tried, history, prompts, None if guide is None else guide[0])


def _at_a_rate(arm, rate, z, guide, labels, rows, text, p, folder, key, classes):
    """Trained prompts, their history and what they say of every nodule; in a process of its own, if there are more."""
    prepare(p.threads, p.precision)
    place = Path(folder) / arm.name / f"rate {rate:g}"
    with strict():
        prompts, history = folds.train_prompts(arm.name, rate, z, guide, labels, rows, text, p, place, key,
                                               arm.context, classes)
        return prompts, history, folds.read(prompts, text[0], z[0], guide)
