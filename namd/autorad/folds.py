"""Cross-validation by patient: an arm of learnt prompts in, out-of-fold probabilities out."""

import math
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import StratifiedGroupKFold

from namd.autorad.prompts import CLASSES, Prompts
from namd.autorad.tuning import OutOfFold, scaled, tuned
from namd.ground import seeding
from namd.ground.errors import UserError
from namd.ground.precision import prepare, strict
from namd.ground.workers import side_by_side
from namd.training import loop

WARM = 1e-5                     # rate of the first epoch
BATCH = 256                     # nodules a pass when nothing is learnt; changes memory only


class Arm(NamedTuple):
    """One row of the table.

    Args:
        name: of the row, and of a folder; guide: what moves the context: "nothing" (CoOp), "features" (AutoRad-Lung) or
            "image" (CoCoOp).
        rates: learning rates to choose among; a single one is taken as it is.
        context: number of context vectors; 0 for autorad_ctx.
    """

    name: str
    guide: str
    rates: tuple[float, ...]
    context: int = 0


def folds(label3, patient, k: int, seed: int) -> np.ndarray:
    """Fold of each nodule, 0 .. k - 1, by patient and stratified by class: (N,) int64.

    Args:
        label3: (N,) 0 benign, 1 unsure, 2 malignant; patient: (N,) whose nodule it is.
        k: at least 3, because one fold is tested and another one chooses the rate.

    Raises:
        UserError: k < 3, or a class has nodules of fewer than k patients.

    Source: five folds as the paper; by patient is ours, because eight patients of LIDC have two scans.
    """
    label3 = np.asarray(label3)
    patient = np.asarray(patient)
    if k < 3:
        raise UserError(f"autorad_folds is {k}; set it to 3 or more, for one is tested and one chooses the rate.")
    for c, name in enumerate(CLASSES):
        n_patients = len(set(patient[label3 == c]))
        if n_patients < k:
            raise UserError(f"autorad_folds: {n_patients} patients have a {name} nodule, too few for {k} folds; set it "
                            "lower, or give a cohort with more of them.")
    fold = np.empty(len(label3), dtype=np.int64)
    state = seeding.derive_seed(seed, "autorad folds") % 2**32
    splitter = StratifiedGroupKFold(k, shuffle=True, random_state=state)
    for number, (_, test) in enumerate(splitter.split(label3, label3, patient)):
        fold[test] = number
    return fold


@strict()
def cross_validate(arm, z, features, label3, fold, text, p, folder, key) -> OutOfFold:
    """Out-of-fold probabilities of an arm, in each fold at the rate that its inner validation chose.

    Args:
        arm: Arm.
        z: (N, P) image embeddings, or (8, N, P) of a crop's symmetries: each step draws one of them, the first is read.
        features: (N, F) float, NaN or infinite where undefined; only "features" reads them, else None will do.
        label3: (N,) 0, 1, 2; fold: (N,) of `folds`.
        text: (tower, tokenizer) of `texts.load_text`; all is worked out on the tower's device.
        p: seed, autorad_ctx, autorad_hidden_share, autorad_scale, autorad_projection, autorad_epochs, autorad_batch,
            autorad_weight_decay, autorad_momentum, save_every.
        folder: checkpoints go below folder/<arm>; key: names parameters, code and data.

    Source: the paper names SGD (momentum .9, decay 5e-7, cosine), CoOp the warm-up epoch at 1e-5 and no clipping. Last
    epoch, no early stopping, plain cross-entropy.
    """
    device = text[0].device
    z = torch.as_tensor(z, dtype=torch.float32, device=device)
    z = z if z.ndim == 3 else z.unsqueeze(0)
    label3 = np.asarray(label3, dtype=np.int64)
    label = torch.from_numpy(label3).to(device)

    def fit(rate, held):
        train = ~np.isin(fold, held)
        guide, counts = guide_of(arm.guide, z, features, train)
        stage = f"without {' and '.join(map(str, held))}"
        place = Path(folder) / arm.name / stage / f"rate {rate:g}"
        rows = torch.from_numpy(np.flatnonzero(train))
        prompts, _ = train_prompts(stage, rate, z, guide, label, rows, text, p, place, key, arm.context)
        return read(prompts, text[0], z[0], guide), counts

    return tuned(fit, arm.rates, label3, np.asarray(fold))


def cross_validate_all(jobs, p, workers: int = 1) -> dict[str, OutOfFold]:
    """`cross_validate` of several arms, side by side: {name: what it found}.

    Args:
        jobs: a tuple an arm: (arm, z, features, label3, fold, text, folder, key); p: as there, threads, precision.
        workers: processes; the answers are the same for any number.

    Source: ours, because two processes of one thread each are quicker than one of two.
    """
    found = longest_first([(p, *job) for job in jobs], workers)
    return {arm.name: one for (arm, *_), one in zip(jobs, found, strict=True)}


def longest_first(jobs, workers) -> list[OutOfFold]:
    """`cross_validate` of jobs that each name their parameters, (p, arm, ...): what they found, in the order given.

    Source: ours, because the last of them would else train alone: the one with the most context vectors, as a rule.
    """
    order = sorted(range(len(jobs)), key=lambda i: -_length(*jobs[i][:2]))
    found = side_by_side(_alone, [jobs[i] for i in order], workers)
    return [one for _, one in sorted(zip(order, found, strict=True), key=itemgetter(0))]


def _length(p, arm) -> int:
    """Context vectors that the text tower reads in a step: one prompt serves a whole batch where nothing moves it."""
    prompts = 1 if arm.guide == "nothing" else p.autorad_batch
    return prompts * (arm.context or p.autorad_ctx)


def warm_cosine(lr, warm, n_steps):
    """Rate at a step: 1e-5 for `warm` steps, then lr, falling as a cosine to 0 at n_steps (CoOp, there by epoch)."""
    def at(step):
        if step < warm:
            return WARM
        return lr * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm))) / 2
    return at


def _alone(p, arm, z, features, label3, fold, text, folder, key):
    """One arm, in a process of its own where there are several."""
    prepare(p.threads, p.precision)
    return cross_validate(arm, z, features, label3, fold, text, p, folder, key)


def guide_of(what, z, features, train):
    """What moves the context, by symmetry: (8 or 1, N, F), or None; and what `scaled` counted.

    Source: CoCoOp hands its MetaNet the image embedding at length 1.
    """
    if what == "features":
        values, counts = scaled(features, train)
        return torch.from_numpy(values).to(z.device).unsqueeze(0), counts
    return F.normalize(z, dim=-1) if what == "image" else None, {}


def train_prompts(stage, rate, z, guide, label, rows, text, p, folder, key, context=0, classes=CLASSES):
    """Prompts after autorad_epochs on some nodules, and the history of `loop.fit`: `(Prompts, DataFrame)`.

    Args:
        stage: names the draws; rate: of learning; z: (T, N, P) and guide: (T or 1, N, F) or None, by symmetry.
        label: (N,) int64; rows: (M,) int64, the nodules that train; context: vectors, 0 for autorad_ctx.
        text, p, folder, key: as of `cross_validate`; classes: the words of the answers.
    """
    tower, tokenizer = text
    with seeding.fresh_weights(p.seed, "autorad prompts"):
        guide_width = 0 if guide is None else guide.shape[2]
        prompts = Prompts(tower, tokenizer, context or p.autorad_ctx, z.shape[2], guide_width,
                          p.autorad_hidden_share, p.autorad_scale, p.autorad_projection, classes)
    batch = min(p.autorad_batch, len(rows))
    epoch = len(rows) // batch
    n_steps = p.autorad_epochs * epoch

    def step(idx, g, step_no):
        turn = torch.randint(len(z), (len(idx),), generator=g)
        at = rows[idx]
        seen = None if guide is None else guide[turn % len(guide), at]
        return {"loss": F.cross_entropy(prompts(tower, z[turn, at], seen), label[at])}

    history = loop.fit(
        step, prompts, n_steps=n_steps, n_items=len(rows), batch_size=batch, lr=warm_cosine(rate, epoch, n_steps),
        stage=stage, seed=p.seed, folder=folder, key=key, grad_clip=math.inf, weight_decay=p.autorad_weight_decay,
        optimizer="sgd", momentum=p.autorad_momentum, save_every=p.save_every, log=lambda line: None)
    return prompts, history


@torch.no_grad()
def read(prompts, tower, z, guide) -> np.ndarray:
    """Probabilities of every nodule, (N, C) float64: z (N, P), guide as of `guide_of`, its first symmetry.

    Equal nodules are read once: in two places of a batch they would differ in the last bit, and an AUROC sees that.
    """
    guide = z[:, :0] if guide is None else guide[0]
    rows = torch.cat([z, guide], 1).cpu().numpy()
    _, first, like = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    once = np.sort(first)
    parts = []
    for at in torch.from_numpy(once).split(BATCH):
        seen = guide[at] if guide.shape[1] else None
        parts.append(prompts(tower, z[at], seen).softmax(1))
    place = np.searchsorted(once, first[like.ravel()])
    return torch.cat(parts).cpu().numpy().astype(np.float64)[place]
