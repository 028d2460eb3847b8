"""One training loop for Appendix B's stages and, ours, the judge, compared systems and small models.

The objective is the caller's.
"""

import math
import time

import pandas as pd
import torch

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.training import checkpoint, parallel
from namd.training.state import TrainingState


def constant(lr, n_steps=0):
    """Learning rate that never moves (Appendix B, conditional stage)."""
    return lambda step: lr


def one_cycle(lr, n_steps, warm=0.3, start=25.0, end=1e4):
    """Rise from lr/start to lr over `warm` of the steps, cosine to lr/(start*end) and stay. Ours, for short runs."""
    rise = max(1, int(warm * n_steps))

    def at(step):
        if step < rise:
            return _half_cosine(lr / start, lr, step / rise)
        x = min(1.0, (step - rise) / max(1, n_steps - rise))
        return _half_cosine(lr / start / end, lr, 1 - x)
    return at


def _half_cosine(low, high, x):
    """`low` at x = 0, `high` at x = 1, flat at both ends."""
    return low + (high - low) * (1 - math.cos(math.pi * x)) / 2


SCHEDULES = {"constant": constant, "one_cycle": one_cycle}


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


def fit(
    step,                       # (idx (B,) int64, g torch.Generator, step number) -> {"loss": () tensor, other scalars}
    trained,                    # module, or {name: module}; parameters with requires_grad are optimised
    *,
    n_steps,
    n_items,
    batch_size,                 # of all processes together
    lr,                         # step number -> learning rate, e.g. `constant(2e-5)`
    stage,                      # with `seed` it names every random draw,
    seed,                       # so that a resumed run equals an uninterrupted one bit for bit
    folder,                     # checkpoints go below folder/<first 12 letters of key>
    key="",                     # names parameters, code and data: another key's checkpoints are not resumed
    validate=None,              # () -> float, lower is better; without it the last weights are kept
    val_every=0,                # steps; 0: a tenth of all, enough to see a minimum
    ema_decay=0.0,              # none, as the authors' code; above 0 validates and returns the averaged weights
    grad_clip=1.0,              # largest norm of the gradient (App. B)
    weight_decay=0.01,          # PyTorch's own for AdamW
    betas=(0.9, 0.999),         # of AdamW, PyTorch's own; the authors' VAE has (.5, .9)
    save_every=100,             # steps that a kill may cost
    own_lr=None,                # {name of a module: step number -> its rate}; no weight decay, another pull to 0
    log=print,
    optimizer="adamw",          # or "sgd", whose weight decay is a part of the gradient (AutoRad-Lung),
    momentum=0.9,               # and whose momentum is this
):
    """Train with AdamW or SGD, resume from the newest sound checkpoint, keep the best weights by validation loss.

    Returns:
        DataFrame with step, lr, grad_norm, every scalar of `step` (means between rows) and val_loss.
        `trained` holds the best weights (the last, or averaged, ones without `validate`).

    Raises:
        UserError: the disk is full, the batch does not split over the processes, or the optimizer is another one.
        FloatingPointError: the loss is not finite.

    Under `accelerate launch` every process calls this. `step` is told the whole batch and keeps its own rows of it
    (`parallel.mine`); gradients are averaged, so all take the same step. Rank 0 alone validates, saves and logs.

    Source: App. B; stateless seeding and checkpoints are ours, because a killed run must lose nothing.
    """
    _refuse_uneven(stage, min(batch_size, n_items))
    make = _maker(stage, optimizer, betas, momentum)
    state = TrainingState(trained, lr, own_lr or {}, ema_decay, weight_decay, make)
    place = checkpoint.place(folder, key)
    first = state.resume(place, key)
    tell = _teller(stage, first, n_steps, log if parallel.rank() == 0 else _silent)
    val_every = val_every or max(1, n_steps // 10)
    row_every = max(1, n_steps // 200)

    for i in range(first, n_steps):
        idx = batch_indices(i, n_items, batch_size, seed, stage)
        state.optimise(step, idx, i, (seed, stage), grad_clip)
        done = i + 1
        last = done == n_steps
        if done % row_every == 0 or last:
            state.close_row(done)
        if validate is not None and (done % val_every == 0 or last):
            state.validate(validate, done)
        if done % save_every == 0 and not last:
            parallel.alone(state.save, place, done, key)
        tell(done, state.last_loss)

    if state.restore_best():
        parallel.alone(state.close, place, n_steps, key)
    parallel.alone(checkpoint.supersede, folder, key)
    return pd.DataFrame(state.history["rows"])


def finished(folder, key) -> bool:
    """True when the newest checkpoint of `key` below `folder` is sound and that of the last step."""
    return checkpoint.is_finished(checkpoint.place(folder, key), key)


def _maker(stage, optimizer, betas, momentum):
    """(parameter groups, first rate) -> the optimiser of that name."""
    makers = {
        "adamw": lambda groups, lr: torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True),
        "sgd": lambda groups, lr: torch.optim.SGD(groups, lr=lr, momentum=momentum),
    }
    if optimizer not in makers:
        raise UserError(f"{stage}: optimizer is {optimizer}; use adamw or sgd.")
    return makers[optimizer]


def _refuse_uneven(stage, batch_size):
    """One sentence where the rows of a batch cannot be shared out evenly."""
    if batch_size % parallel.world():
        raise UserError(f"{stage}: a batch of {batch_size} does not split over {parallel.world()} "
                        "processes; set processes to a number that divides it.")


def _teller(stage, first, n_steps, log):
    """(done, loss) -> nothing; says ten times in all how far a stage is, and first where it was resumed."""
    begun = time.time()
    tell_every = max(1, n_steps // 10)
    if first:
        log(f"{stage}: resumed at step {first} of {n_steps}")

    def tell(done, loss):
        if done % tell_every and done != n_steps:
            return
        pace = (time.time() - begun) / (done - first)
        log(f"{stage}: step {done}/{n_steps} · loss {loss:.4f} · {pace:.3f} s a step · "
            f"{pace * (n_steps - done):.0f} s left")
    return tell


def _silent(line):
    pass
