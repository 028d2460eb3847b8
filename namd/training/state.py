"""The state of a training: weights, what the optimiser remembers, averaged and best weights, the history; one
checkpoint holds all."""

import torch
from torch import nn

from namd.ground import seeding
from namd.training import checkpoint, parallel

MOMENTS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")       # AdamW's three, SGD's one


class TrainingState:
    """Everything a checkpoint must hold, and the acts that change it.

    Args:
        trained: module, or {name: module}; lr, own_lr, ema_decay, weight_decay: as of `loop.fit`.
        optimizer: (parameter groups, first rate) -> torch optimiser.
    """

    def __init__(self, trained, lr, own_lr, ema_decay, weight_decay, optimizer):
        self.modules = trained if isinstance(trained, dict) else {"model": trained}
        self.lr = lr
        self.ema_decay = ema_decay
        self.params = {}
        groups = []
        for m, module in self.modules.items():
            learning = _learning(m, module)
            self.params |= learning
            if learning:
                decay = 0.0 if m in own_lr else weight_decay
                groups.append(dict(params=list(learning.values()), name=m, rate=own_lr.get(m, lr), weight_decay=decay))
        self.optimizer = optimizer(groups, lr(0))
        self.ema = self._copy() if ema_decay else {}
        self.best = {}
        self.history = {"rows": [], "sums": {}, "count": 0, "best_loss": None, "best_step": None}
        self.last_loss = float("nan")
        self.closed = False             # a finished checkpoint has put its weights in place

    def optimise(self, step, idx, i, keys, grad_clip):
        """One optimiser step: rate, loss, gradients, clipping, the optimiser's own, average, book-keeping.

        Args:
            step: as of `loop.fit`; idx: (B,) items; i: its number; keys: (seed, stage); grad_clip: largest norm.

        Raises:
            FloatingPointError: the loss is not finite.
        """
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
        self._average_weights(i)
        self._note({"lr": self.lr(i), **self._own_rates(), "grad_norm": norm, **logs})

    @torch.no_grad()
    def _average_weights(self, i):
        """Move the averaged weights towards those after step `i`; quickly at first, or they would hold the start."""
        decay = min(self.ema_decay, (1 + i) / (10 + i))
        for name, mean in self.ema.items():
            mean.lerp_(self.params[name], 1 - decay)

    def _own_rates(self):
        """{lr_<module>: rate} of the modules that have one of their own."""
        groups = self.optimizer.param_groups
        return {f"lr_{group['name']}": group["lr"] for group in groups if group["rate"] != self.lr}

    def _note(self, scalars):
        """Add the scalars of a step to the row that is open."""
        plain = {name: float(value.detach() if torch.is_tensor(value) else value) for name, value in scalars.items()}
        plain = parallel.means(plain)
        self.last_loss = plain["loss"]
        sums = self.history["sums"]
        for name, value in plain.items():
            sums[name] = sums.get(name, 0.0) + value
        self.history["count"] += 1

    def close_row(self, done):
        """A row of the history: means of the scalars since the row before."""
        count = self.history["count"]
        means = {name: total / count for name, total in self.history["sums"].items()}
        self.history["rows"].append({"step": done, **means, "val_loss": None})
        self.history["sums"] = {}
        self.history["count"] = 0

    @torch.no_grad()
    def validate(self, validate, done):
        """Ask `validate` of the averaged weights, where there are any, and keep the best; the live ones go on."""
        for module in self.modules.values():
            module.eval()
        live = self._copy() if self.ema else None
        if self.ema:
            self._load(self.ema)
        loss = parallel.alone(lambda: float(validate()))
        if self.history["best_loss"] is None or loss < self.history["best_loss"]:
            self.best.clear()       # first, because two copies of a large model are one too many
            self.best = self._copy()
            self.history["best_loss"] = loss
            self.history["best_step"] = done
        if live:
            self._load(live)
        rows = self.history["rows"]
        if not rows or rows[-1]["step"] != done:
            self.close_row(done)
        rows[-1]["val_loss"] = loss

    def save(self, place, done, key):
        """A checkpoint from which the next step can be taken."""
        moments = {}
        for name, p in self.params.items():
            moments |= {f"{name}.{moment}": value for moment, value in self.optimizer.state[p].items()}
        groups = {"weights": self._weights(), "optimizer": moments, "ema": self.ema, "best": self.best}
        filled = {stem: group for stem, group in groups.items() if group}
        checkpoint.save(place, done, filled, {**self.history, "key": key})

    def close(self, place, done, key):
        """The one checkpoint of a finished stage: its weights, without what only a next step would need."""
        mark = {**self.history, "key": key, "finished": True}
        checkpoint.save(place, done, {"weights": self._weights()}, mark, keep=1)

    def resume(self, place, key):
        """Take up the newest sound checkpoint of `key` in `place`; the number of steps it holds, 0 without one."""
        found = checkpoint.latest(place, key)
        if found is None:
            return 0
        done, tensors, state = found
        self.history = {name: value for name, value in state.items() if name in self.history}
        self._load(tensors["weights"])
        self.closed = state.get("finished", False)
        if not self.closed:
            self._take_up(tensors)
        return done

    def _take_up(self, tensors):
        """What the optimiser remembers, the averaged and the best weights of a checkpoint."""
        moments = tensors.get("optimizer", {})
        for name, p in self.params.items():     # a weight that had no gradient yet has no moments
            stored = {moment: moments.get(f"{name}.{moment}") for moment in MOMENTS}
            known = {moment: _laid_out(value, p) for moment, value in stored.items() if value is not None}
            self.optimizer.state[p] = known
        for name, mean in self.ema.items():
            mean.copy_(tensors["ema"][name])
        self.best = {name: weight.to(self.params[name].device) for name, weight in tensors.get("best", {}).items()}

    def restore_best(self):
        """Put the chosen weights in place and let the gradients go; False when a finished checkpoint has done so."""
        self.optimizer.zero_grad(set_to_none=True)
        if not self.closed and (self.best or self.ema):
            self._load(self.best or self.ema)
        for module in self.modules.values():
            module.eval()
        return not self.closed

    def _weights(self):
        return {name: p.detach() for name, p in self.params.items()}

    def _copy(self):
        return {name: weight.clone() for name, weight in self._weights().items()}

    @torch.no_grad()
    def _load(self, weights):
        for name, p in self.params.items():
            p.copy_(weights[name])


def _learning(m, module):
    """{"<m>.<name>": parameter} of those of `module` that learn."""
    return {f"{m}.{name}": p for name, p in module.named_parameters() if p.requires_grad}


def _laid_out(value, p):
    """`value` on the device of `p`, laid out in memory as `p` is: fused AdamW pairs numbers by their place there."""
    return torch.empty_like(p, dtype=value.dtype).copy_(value) if value.shape == p.shape else value.to(p.device)
