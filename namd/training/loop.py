"""One training loop for the VAE, both diffusion stages and the judge (Appendix B); the objective is the caller's."""

import json
import math
import time
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.training import checkpoint, parallel


def constant(lr, n_steps=0):
    """Learning rate that never moves (Appendix B, conditional stage)."""
    return lambda step: lr


def one_cycle(lr, n_steps, warm=0.3, start=25.0, end=1e4):
    """Rise from lr/start to lr over `warm` of the steps, cosine down to lr/(start*end). Ours, for short runs."""
    def at(step):
        rise = max(1, int(warm * n_steps))
        low, high, x = ((lr / start, lr, step / rise) if step < rise
                        else (lr / start / end, lr, 1 - (step - rise) / max(1, n_steps - rise)))
        return low + (high - low) * (1 - math.cos(math.pi * x)) / 2
    return at


SCHEDULES = {"constant": constant, "one_cycle": one_cycle}
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def warmup_cosine(lr, lr_start, lr_end, warmup, n_steps):
    """Linear warm-up lr_start -> lr, then cosine to lr_end at n_steps (Appendix B, unconditional stage)."""
    def at(step):
        if step < warmup:
            return lr_start + (lr - lr_start) * step / warmup
        x = min(1.0, (step - warmup) / max(1, n_steps - warmup))
        return lr_end + (lr - lr_end) * (1 + math.cos(math.pi * x)) / 2
    return at


def batch_indices(step, n_items, batch_size, *keys):
    """Items of `step`: (B,) int64, from the epoch's permutation; the last partial batch of an epoch is dropped."""
    batch_size = min(batch_size, n_items)
    epoch, place = divmod(step, n_items // batch_size)
    order = torch.randperm(n_items, generator=seeding.generator(*keys, "epoch", epoch))
    return order[place * batch_size:(place + 1) * batch_size]


def fit(step, trained, *, n_steps, n_items, batch_size, lr, stage, seed, folder, key="", validate=None,
        val_every=0, ema_decay=0.0, grad_clip=1.0, weight_decay=0.01, betas=(0.9, 0.999), save_every=100,
        own_lr=None, log=print):
    """Train with AdamW, resume from the newest sound checkpoint, keep the best weights by validation loss.

    Args:
        step: (idx (B,) int64, g torch.Generator, step number) -> {"loss": () tensor, other scalars}.
        trained: module, or {name: module}; parameters with requires_grad are optimised.
        lr: step number -> learning rate, e.g. `constant(2e-5)`.
        stage, seed: name every random draw, so a resumed run equals an uninterrupted one bit for bit.
        folder: where checkpoints live; `key` identifies parameters and sources: other keys are not resumed.
        validate: () -> float, called every `val_every` steps (0: ten times); lower is better.
        ema_decay: 0 is none (authors' code); > 0 validates and returns the averaged weights.
        betas: PyTorch's; the authors' VAE has (.5, .9).
        own_lr: {name of a module of `trained`: step number -> its learning rate}; such a module has no weight decay,
            which at another rate would be another pull to 0.

    Returns:
        DataFrame with step, lr, grad_norm, every scalar of `step` (means between rows) and val_loss.
        `trained` holds the best weights (the last, or averaged, ones without `validate`).

    Raises:
        UserError: the disk is full, or the batch does not split over the processes.
        FloatingPointError: the loss is not finite.

    Under `accelerate launch` every process calls this. `step` is told the whole batch and keeps its own rows of it
    (`parallel.mine`); gradients are averaged, so all take the same step. Rank 0 alone validates, saves and logs.

    Source: App. B; stateless seeding and checkpoints are ours, because a killed run must lose nothing.
    """
    if min(batch_size, n_items) % parallel.world():
        raise UserError(f"{stage}: a batch of {min(batch_size, n_items)} does not split over {parallel.world()} "
                        "processes; set processes to a number that divides it.")
    run = _Training(trained, lr, own_lr or {}, ema_decay, weight_decay, betas)
    folder, val_every = Path(folder), val_every or max(1, n_steps // 10)
    log = log if parallel.rank() == 0 else _silent
    row_every, begun, first = max(1, n_steps // 200), time.time(), run.resume(folder, key)
    if first:
        log(f"{stage}: resumed at step {first} of {n_steps}")
    for i in range(first, n_steps):
        idx = batch_indices(i, n_items, batch_size, seed, stage)
        run.optimise(step, idx, i, (seed, stage), grad_clip)
        done = i + 1
        if done % row_every == 0 or done == n_steps:
            run.close_row(done)
        if validate is not None and (done % val_every == 0 or done == n_steps):
            run.validate(validate, done)
        if done % save_every == 0 and done < n_steps:
            parallel.alone(run.save, folder, done, key)
        if done % max(1, n_steps // 10) == 0 or done == n_steps:
            pace = (time.time() - begun) / (done - first)
            log(f"{stage}: step {done}/{n_steps} · loss {run.last_loss:.4f} · {pace:.3f} s a step · "
                f"{pace * (n_steps - done):.0f} s left")
    if run.restore_best():
        parallel.alone(run.close, folder, n_steps, key)
    return pd.DataFrame(run.state["rows"])


def finished(folder, key) -> bool:
    """True when the newest checkpoint of `folder` is sound and that of the last step under `key`."""
    for path in checkpoint.complete(folder)[-1:]:
        if checkpoint.verifies(path):
            state = json.loads((path / "state.json").read_text())
            return state.get("key") == key and state.get("finished", False)
    return False


def _silent(line):
    pass


class _Training:
    """Everything a checkpoint must hold: weights, AdamW moments, EMA, best weights, the history."""

    def __init__(self, trained, lr, own_lr, ema_decay, weight_decay, betas):
        self.modules = trained if isinstance(trained, dict) else {"model": trained}
        learning = {m: {f"{m}.{n}": p for n, p in module.named_parameters() if p.requires_grad}
                    for m, module in self.modules.items()}
        self.params = {name: p for part in learning.values() for name, p in part.items()}
        self.lr, self.ema_decay = lr, ema_decay
        groups = [dict(params=list(part.values()), name=m, rate=own_lr.get(m, lr),
                       weight_decay=0.0 if m in own_lr else weight_decay) for m, part in learning.items() if part]
        self.optimizer = torch.optim.AdamW(groups, lr=lr(0), betas=betas, fused=True)
        self.ema = self._copy() if ema_decay else {}
        self.best = {}
        self.state = {"rows": [], "sums": {}, "count": 0, "best_loss": None, "best_step": None}
        self.last_loss, self.closed = float("nan"), False

    def _weights(self):
        return {n: p.detach() for n, p in self.params.items()}

    def _copy(self):
        return {n: p.clone() for n, p in self._weights().items()}

    def _load(self, weights):
        with torch.no_grad():
            for name, p in self.params.items():
                p.copy_(weights[name])

    def optimise(self, step, idx, i, keys, grad_clip):
        torch.manual_seed(seeding.derive_seed(*keys, "dropout", i) + parallel.rank())
        for module in self.modules.values():
            module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"](i)
        self.optimizer.zero_grad(set_to_none=True)
        logs = step(idx, seeding.generator(*keys, "step", i), i)
        loss = logs["loss"]
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{keys[1]}: the loss is {loss.item()} at step {i}; lower the learning rate.")
        loss.backward()
        parallel.average(self.params.values())
        norm = nn.utils.clip_grad_norm_(self.params.values(), grad_clip)
        self.optimizer.step()
        with torch.no_grad():
            decay = min(self.ema_decay, (1 + i) / (10 + i))
            for name, mean in self.ema.items():
                mean.lerp_(self.params[name], 1 - decay)
        own = {f"lr_{group['name']}": group["lr"] for group in self.optimizer.param_groups if group["rate"] != self.lr}
        scalars = {"lr": self.lr(i), **own, "grad_norm": norm, **logs}
        scalars = parallel.means({k: float(v.detach() if torch.is_tensor(v) else v) for k, v in scalars.items()})
        self.last_loss = scalars["loss"]
        for name, value in scalars.items():
            self.state["sums"][name] = self.state["sums"].get(name, 0.0) + value
        self.state["count"] += 1

    def close_row(self, done):
        means = {k: v / self.state["count"] for k, v in self.state["sums"].items()}
        self.state["rows"].append({"step": done, **means, "val_loss": None})
        self.state["sums"], self.state["count"] = {}, 0

    @torch.no_grad()
    def validate(self, validate, done):
        for module in self.modules.values():
            module.eval()
        live = self._copy() if self.ema else None
        if self.ema:
            self._load(self.ema)
        loss = parallel.alone(lambda: float(validate()))
        if self.state["best_loss"] is None or loss < self.state["best_loss"]:
            self.best.clear()       # first, because two copies of a large model are one too many
            self.best = self._copy()
            self.state["best_loss"], self.state["best_step"] = loss, done
        if live:
            self._load(live)
        if not self.state["rows"] or self.state["rows"][-1]["step"] != done:
            self.close_row(done)
        self.state["rows"][-1]["val_loss"] = loss

    def save(self, folder, done, key):
        moments = {f"{n}.{k}": v for n, p in self.params.items() for k, v in self.optimizer.state[p].items()}
        groups = {"weights": self._weights(), "optimizer": moments, "ema": self.ema, "best": self.best}
        checkpoint.save(folder, done, {k: v for k, v in groups.items() if v}, {**self.state, "key": key})

    def close(self, folder, done, key):
        """The one checkpoint of a finished stage: its weights, without what only a next step would need."""
        mark = {**self.state, "key": key, "finished": True}
        checkpoint.save(folder, done, {"weights": self._weights()}, mark, keep=1)

    def resume(self, folder, key):
        found = checkpoint.latest(folder, key)
        if found is None:
            return 0
        done, tensors, state = found
        self.state = {k: v for k, v in state.items() if k in self.state}
        self._load(tensors["weights"])
        self.closed = state.get("finished", False)
        if self.closed:
            return done
        moments = tensors.get("optimizer", {})
        for name, p in self.params.items():     # a weight that had no gradient yet has no moments
            self.optimizer.state[p] = {k: moments[f"{name}.{k}"].to(p.device) for k in MOMENTS
                                       if f"{name}.{k}" in moments}
        for name in self.ema:
            self.ema[name].copy_(tensors["ema"][name])
        self.best = {n: v.to(self.params[n].device) for n, v in tensors.get("best", {}).items()}
        return done

    def restore_best(self):
        """Put the chosen weights in place; False when a finished checkpoint has done so."""
        if not self.closed and (self.best or self.ema):
            self._load(self.best or self.ema)
        for module in self.modules.values():
            module.eval()
        return not self.closed

