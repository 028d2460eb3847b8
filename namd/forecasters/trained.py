"""What the compared systems share: their folder, their training and its tuning, and noise named by seed and pair."""

import time
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from namd.data.images import AUGMENTATIONS
from namd.forecasters import tuning
from namd.forecasters.base import Forecaster
from namd.ground import files, keys, process, seeding
from namd.ground.errors import UserError
from namd.ground.reading import read_json, reading
from namd.training import loop

WEIGHTS = "model.safetensors"


class Description(NamedTuple):
    """What notebook 08 says of a system: one short phrase each."""

    source: str         # who, when, where
    conditions: str     # what it conditions on
    noise: str          # where the noise enters
    optimises: str      # its losses
    left_open: str      # what the source leaves open, and what we chose


class TrainingStage(NamedTuple):
    """One training of a system, as loop.fit wants it."""

    name: str
    trained: dict                   # {name: module that learns}
    step: Callable                  # (idx (B,), generator, step number) -> {"loss": () tensor, other scalars}
    validate: Callable              # () -> float, lower is better
    share: float = 1.0              # of system_steps and system_tune_steps; those of one system sum to 1
    settings: dict = {}             # other keywords of loop.fit
    seen: float = 1.0               # of the pairs in its batches, the share that moves the weights of the forecaster

    def steps(self, budget):
        """Its part of `budget` optimiser steps, at least one."""
        return max(1, round(self.share * budget))


class ComparedSystem(Forecaster):
    """A compared system: learns under the same budget as every other, keeps its weights in one folder.

    Args:
        root: of the run; the system's folder is root/systems/<module name>.
        p: system_* and what the system reads besides; key: names parameters, code and data, as in loop.fit.
        options: attributes of the class to set otherwise, e.g. sigma.

    A subclass called `System` in namd/forecasters/systems/<name>.py has `rows`, `description`, `build`, `stages` and
    `draw`.

    Source: ours, because rows that were tuned with unequal care cannot be compared.
    """

    rows: dict[str, tuple[str, dict]]       # {row of Table 1: (the paper's name or "", options)}
    description: Description
    stochastic = True
    batch = 64                              # images of a forward pass in `sample`: memory and rounding, no training

    def __init__(self, root, p, key="", **options):
        self.name = type(self).__module__.rpartition(".")[2]
        self.root = Path(root)
        self.folder = self.root / "systems" / self.name
        self.checkpoints = self.root / "systems" / "checkpoints" / self.name
        self.p = p
        self.key = key
        self.device = process.device(p.device)
        vars(self).update(options)
        with seeding.fresh_weights(p.seed, "system", self.name):
            self.nets = nn.ModuleDict(self.build()).to(self.device)
        if self.fitted:
            with reading(self.folder / WEIGHTS, "08"):
                self.nets.load_state_dict(load_file(self.folder / WEIGHTS), strict=False)
        self.nets.eval()

    @abstractmethod
    def build(self) -> dict[str, nn.Module]:
        """Every network that learns, freshly initialised; frozen ones become attributes."""

    @abstractmethod
    def stages(self, train, val):
        """Yield the trainings in their order; each starts when the one before has put its best weights in place."""

    @abstractmethod
    def draw(self, x1, ehr, noise):
        """One follow-up each: (B, 1, S, S).

        Args:
            x1: (B, 1, S, S) in [-1, 1], on self.device; ehr: B records.
            noise: (shape, *keys) -> (B, *shape) standard normal, the same for the same seed, pair and keys.
        """

    @property
    def used(self) -> list[nn.Module]:
        """The modules that `draw` needs."""
        return list(self.nets.values())

    @property
    def fitted(self) -> bool:
        """Whether the folder holds weights of this very key, and all that was written beside them."""
        return self._kept.current()

    @property
    def seconds(self) -> float:
        """Wall time of the process that finished the training, tuning included."""
        return read_json(self.folder / "fit.json", "08", "seconds")["seconds"]

    @property
    def _kept(self):
        return keys.Keyed(self.folder, self.key)

    def fit(self, pairs) -> None:
        """Tune and train every stage on train, by val; a killed fit goes on from its newest checkpoint.

        Args:
            pairs: Pairs of train and val.

        Source: the budget is ours: each learning rate of system_rates for system_tune_steps, then system_steps with
        the one of the lowest validation loss.
        """
        if self.fitted:
            return
        train = pairs.with_table(pairs.table[pairs.table.split == "train"])
        val = pairs.with_table(pairs.table[pairs.table.split == "val"])
        began = time.time()
        tables = {"tuning": [], "budget": []}
        for stage in self.stages(train, val):
            first = self.checkpoints / f"{stage.name}.safetensors"
            tried, best = tuning.tune(stage, self.p.system_rates, partial(self._loss_at, stage, len(train)), first)
            history = self._loop(stage, len(train), best, self.p.system_steps, stage.name)
            tables["tuning"] += tried
            tables["budget"].append(self._spent(stage, len(train)))
            tables[f"history_{stage.name}"] = history
        self.nets.eval()
        self._keep(tables, time.time() - began)

    def _loss_at(self, stage, n_items, rate):
        """Lowest validation loss after system_tune_steps at `rate`; it alone is kept, not the weights of the try."""
        name = f"{stage.name}-{rate:g}"
        kept = tuning.Tried(self.checkpoints / f"{name}.json", keys.sha(self.key, name, rate))
        if kept.loss is None:
            kept.keep(lambda: self._loop(stage, n_items, rate, self.p.system_tune_steps, name)["val_loss"].min())
        files.discard(self.checkpoints / name)          # a kill may have come between
        return kept.loss

    def _loop(self, stage, n_items, rate, budget, name):
        """The history of loop.fit for this stage's part of `budget` steps at `rate`; checkpoints go below `name`."""
        p = self.p
        n_steps = stage.steps(budget)
        defaults = dict(ema_decay=p.ema_decay, grad_clip=p.grad_clip, save_every=p.save_every)
        return loop.fit(
            stage.step, stage.trained, n_steps=n_steps, n_items=n_items, batch_size=p.system_batch,
            lr=loop.one_cycle(rate, n_steps), stage=f"{self.name} {stage.name}", seed=p.seed,
            folder=self.checkpoints / name, key=keys.sha(self.key, name, rate),
            validate=stage.validate, log=_silent, **defaults | stage.settings)

    def _spent(self, stage, n_items):
        """A row of budget.csv: the steps of a stage, the pairs of each, and the pairs learnt from in all of them."""
        p = self.p
        steps = stage.steps(p.system_steps)
        batch = min(p.system_batch, n_items)
        return dict(stage=stage.name, steps=steps, batch=batch, item="pairs", seen=round(steps * batch * stage.seen),
                    tuning_steps=len(p.system_rates) * stage.steps(p.system_tune_steps))

    def _keep(self, tables, seconds):
        """Write the folder as one piece: weights, tables and the time it took."""
        learnt = tuning.learning(self.nets) | dict(self.nets.named_buffers())
        kept = self._kept
        kept.set_aside()
        with files.replacing(self.folder) as aside:
            aside.mkdir()
            save_file({name: weight.detach().contiguous().cpu() for name, weight in learnt.items()}, aside / WEIGHTS)
            for name, rows in tables.items():
                pd.DataFrame(rows).to_csv(aside / f"{name}.csv", index=False)
            files.write_json(aside / "fit.json", dict(seconds=seconds))
        kept.sign()

    @torch.no_grad()
    def sample(self, x1, ehr, seeds):
        """Follow-ups (K, N, 1, S, S) in [-1, 1] on the CPU; K = 1 where nothing is random.

        Raises:
            UserError: the system has not been trained.
        """
        if not self.fitted:
            raise UserError(f"systems/{self.name} holds no trained system: run `python -m namd run 08 --params <your "
                            "parameter file>` for this run.")
        used = seeds if self.stochastic else seeds[:1]
        jobs = list(product(used, range(len(x1))))
        images = []
        for start in range(0, len(jobs), self.batch):
            part = jobs[start:start + self.batch]
            rows = [i for _, i in part]
            noise = _Noise([(seed, "sample", ehr.index[i]) for seed, i in part], self.device)
            x2_hat = self.draw(x1[rows].to(self.device), ehr.iloc[rows], noise)
            images.append(x2_hat.clamp(-1, 1).cpu())
        return torch.cat(images).unflatten(0, (-1, len(x1)))

    def images(self, pairs):
        """x1 and x2 under every augmentation, (A, N, 1, S, S) each, on self.device; [0] is unturned."""
        p = self.p
        crop = (p.image_size, p.window_low, p.window_high)
        turned = [pairs.augmented(k, p.augment, *crop) for k in range(AUGMENTATIONS[p.augment])]
        x1 = torch.stack([first for first, _ in turned])
        x2 = torch.stack([second for _, second in turned])
        return x1.to(self.device), x2.to(self.device)


def _silent(line):
    pass


class _Noise:
    """Standard normal draws of B rows, each named by its seed, its pair and what the caller adds."""

    def __init__(self, names, device):
        self.names = names
        self.device = device

    def __call__(self, shape, *keys):
        return torch.stack([seeding.noise(shape, *name, *keys) for name in self.names]).to(self.device)
