"""What the compared systems share: their folder, their training and its tuning, and noise named by seed and pair."""

import json
import time
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from namd.data.cohort import Pairs
from namd.data.images import AUGMENTATIONS
from namd.forecasters.base import Forecaster
from namd.ground import files, seeding
from namd.ground.errors import UserError
from namd.ground.reading import read_json, reading
from namd.ground.workers import end_if_orphaned
from namd.models.vae import load_latents, load_vae
from namd.training import loop


class Sheet(NamedTuple):
    """What notebook 08 says of a system: one short phrase each."""

    source: str         # who, when, where
    conditions: str     # what it conditions on
    noise: str          # where the noise enters
    optimises: str      # its losses
    left_open: str      # what the source leaves open, and what we chose


class Stage(NamedTuple):
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


class Trained(Forecaster):
    """A compared system: learns under the same budget as every other, keeps its weights below one folder.

    Args:
        root: of the run; the system's folder is root/systems/<module name>.
        p: system_* and what the system reads besides; key: names parameters and sources, as in loop.fit.
        options: attributes of the class to set otherwise, e.g. sigma.

    A subclass called `System` in namd/forecasters/systems/<name>.py has `rows`, `sheet`, `build`, `stages` and `draw`.

    Source: ours, because rows that were tuned with unequal care cannot be compared.
    """

    rows: dict[str, tuple[str, dict]]       # {row of Table 1: (the paper's name or "", options)}
    sheet: Sheet
    stochastic = True

    def __init__(self, root, p, key="", **options):
        self.name = type(self).__module__.rpartition(".")[2]
        self.root, self.folder, self.p, self.key = Path(root), Path(root) / "systems" / self.name, p, key
        self.device = torch.device("cuda" if p.device != "cpu" and torch.cuda.is_available() else "cpu")
        vars(self).update(options)
        with seeding.fresh_weights(p.seed, "system", self.name):
            self.nets = nn.ModuleDict(self.build()).to(self.device)
        if self.fitted:
            with reading(self.folder / "model.safetensors", "08"):
                self.nets.load_state_dict(load_file(self.folder / "model.safetensors"), strict=False)
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
        """Whether the folder holds weights of this very key."""
        mark = self.folder / "key"
        return mark.is_file() and mark.read_text(errors="replace") == self.key

    @property
    def seconds(self) -> float:
        """Wall time of the process that finished the training, tuning included."""
        return read_json(self.folder / "fit.json", "08", "seconds")["seconds"]

    def fit(self, pairs, params) -> None:
        """Tune and train every stage on train, by val; a killed fit goes on from its newest checkpoint.

        Args:
            pairs: Pairs of train and val; params: p of the constructor.

        Source: the budget is ours: each learning rate of system_rates for system_tune_steps, then system_steps with
        the one of the lowest validation loss.
        """
        if self.fitted:
            return
        train, val = (Pairs(pairs.table[pairs.table.split == name], pairs._crops) for name in ("train", "val"))
        tuned, spent, began = [], [], time.time()
        for stage in self.stages(train, val):
            tuned += self._train(stage, len(train))
            spent.append(self._spent(stage, len(train)))
        self.nets.eval()
        learnt = {n: w for n, w in self.nets.named_parameters() if w.requires_grad} | dict(self.nets.named_buffers())
        with files.replacing(self.folder / "model.safetensors") as aside:
            save_file({name: weight.detach().contiguous().cpu() for name, weight in learnt.items()}, aside)
        for name, rows in (("tuning", tuned), ("budget", spent)):
            with files.replacing(self.folder / f"{name}.csv") as aside:
                pd.DataFrame(rows).to_csv(aside, index=False)
        with files.replacing(self.folder / "fit.json") as aside:
            aside.write_text(json.dumps(dict(seconds=time.time() - began)))
        with files.replacing(self.folder / "key") as aside:
            aside.write_text(self.key)

    def _train(self, stage, n_items):
        """Rows of tuning.csv: stage, learning rate, its validation loss, whether it was chosen."""
        rates, modules = self.p.system_rates, nn.ModuleDict(stage.trained)
        first = {name: weight.detach().clone() for name, weight in modules.named_parameters() if weight.requires_grad}
        losses = dict.fromkeys(rates, float("inf"))     # of a rate that diverges
        for rate in rates:
            try:
                found = self._loop(stage, n_items, rate, self.p.system_tune_steps, f"{stage.name}-{rate:g}")
                losses[rate] = found["val_loss"].min()
            except FloatingPointError:
                pass
            with torch.no_grad():
                for name, weight in modules.named_parameters():
                    if weight.requires_grad:
                        weight.copy_(first[name])
        best = min(losses, key=losses.get)
        history = self._loop(stage, n_items, best, self.p.system_steps, stage.name)
        with files.replacing(self.folder / f"history_{stage.name}.csv") as aside:
            history.to_csv(aside, index=False)
        return [dict(stage=stage.name, lr=rate, val_loss=loss, chosen=rate == best) for rate, loss in losses.items()]

    def _spent(self, stage, n_items):
        """A row of budget.csv: the steps of a stage, the pairs of each, and the pairs learnt from in all of them."""
        p, steps = self.p, stage.steps(self.p.system_steps)
        batch = min(p.system_batch, n_items)
        return dict(stage=stage.name, steps=steps, batch=batch, item="pairs", seen=round(steps * batch * stage.seen),
                    tuning_steps=len(p.system_rates) * stage.steps(p.system_tune_steps))

    def _loop(self, stage, n_items, rate, n_steps, name):
        n_steps = stage.steps(n_steps)

        def step(*args):
            end_if_orphaned()
            return stage.step(*args)

        p = self.p
        defaults = dict(ema_decay=p.ema_decay, grad_clip=p.grad_clip, save_every=p.save_every)
        return loop.fit(step, stage.trained, n_steps=n_steps, n_items=n_items, batch_size=p.system_batch,
                        lr=loop.one_cycle(rate, n_steps), stage=f"{self.name} {stage.name}", seed=p.seed,
                        folder=self.folder / "checkpoints" / name, key=f"{self.key} {name} {rate:g}",
                        validate=stage.validate, log=lambda line: None, **defaults | stage.settings)

    @torch.no_grad()
    def sample(self, x1, ehr, seeds):
        """Follow-ups (K, N, 1, S, S) in [-1, 1] on the CPU; K = 1 where nothing is random.

        Raises:
            UserError: the system has not been trained.
        """
        if not self.fitted:
            raise UserError(f"systems/{self.name} holds no trained system: run `python -m namd run 08` for this run.")
        jobs = [(seed, i) for seed in (seeds if self.stochastic else seeds[:1]) for i in range(len(x1))]
        images = []
        for start in range(0, len(jobs), self.p.eval_batch):
            part = jobs[start:start + self.p.eval_batch]
            rows = [i for _, i in part]
            names = [(seed, "sample", ehr.index[i]) for seed, i in part]
            images.append(self.draw(x1[rows].to(self.device), ehr.iloc[rows], _Noise(names, self.device))
                          .clamp(-1, 1).cpu())
        return torch.cat(images).unflatten(0, (-1, len(x1)))

    def images(self, pairs):
        """x1 and x2 under every augmentation, (A, N, 1, S, S) each, on self.device; [0] is unturned."""
        p = self.p
        turned = [pairs.augmented(k, p.augment, p.image_size, p.window_low, p.window_high)
                  for k in range(AUGMENTATIONS[p.augment])]
        return tuple(torch.stack([images[visit] for images in turned]).to(self.device) for visit in (0, 1))


class _Noise:
    """Standard normal draws of B rows, each named by its seed, its pair and what the caller adds."""

    def __init__(self, names, device):
        self.names, self.device = names, device

    def __call__(self, shape, *keys):
        return torch.stack([seeding.noise(shape, *name, *keys) for name in self.names]).to(self.device)


class Latent(Trained):
    """A system that works on the latents of one frozen VAE, that of the arm `system_arm`."""

    def __init__(self, root, p, key="", **options):
        self.arm = Path(root) / "arms" / p.system_arm
        self.vae = load_vae(self.arm / "vae").requires_grad_(False)
        super().__init__(root, p, key, **options)
        self.vae.to(self.device)

    @property
    def used(self):
        return [*self.nets.values(), self.vae.vae]

    def latents(self, split):
        """z1_mean, z1_std, z2_mean, z2_std of notebook 02, (N, A, 4, h, w) each, scaled, on self.device."""
        stored = load_latents(self.arm / "latents" / f"{split}.safetensors")
        return {name: z.to(self.device) for name, z in stored.items()}

    def noised(self, latents, idx, g):
        """What a denoising step on the pairs `idx` sees: z1, z2, eps, (B, 4, h, w) each, and t (B,)."""
        z1, z2 = posterior_pair(latents, idx, g)
        eps = torch.randn(z2.shape, generator=g).to(z2)
        return z1, z2, eps, torch.randint(self.p.n_timesteps, idx.shape, generator=g).to(self.device)

    def held_out(self):
        """The same of the validation split, always alike: unturned means, one noise, t spread evenly."""
        z1, z2 = (self.latents("val")[f"z{visit}_mean"][:, 0] for visit in (1, 2))
        t = torch.arange(len(z1)) * self.p.n_timesteps // len(z1)
        return z1, z2, seeding.noise(z2.shape, self.p.seed, "val").to(self.device), t.to(self.device)


def posterior_pair(latents, idx, g):
    """Fresh z1, z2 (B, 4, h, w) of the pairs `idx`, both under the same augmentation, as in notebook 04."""
    k = torch.randint(latents["z1_mean"].shape[1], idx.shape, generator=g)
    draws = [torch.randn(latents["z1_mean"][idx, k].shape, generator=g) for _ in range(2)]
    return tuple(latents[f"z{v}_mean"][idx, k] + latents[f"z{v}_std"][idx, k] * eps.to(latents["z1_mean"])
                 for v, eps in zip((1, 2), draws, strict=True))
