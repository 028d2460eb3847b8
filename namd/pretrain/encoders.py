"""The small image encoders and text towers of AutoRad-Lung, trained on single nodules and their captions."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence

from namd.autorad import pretrain
from namd.autorad.encoders import Aimv2, resized
from namd.autorad.prompts import CLASSES, WORDS
from namd.ground.seeding import fresh_weights
from namd.pretrain.vae import TURNS, turned
from namd.training import loop

SIDE = 64                           # px of an image, in 8 x 8 patches
TOWER = dict(patch=8, width=96, mlp=192, layers=4, heads=4)
DECODER_LAYERS = 2
TEXT = dict(width=64, layers=2)
BATCH = 32                          # images a step,
PAIRS = 128                         # and embeddings of a locked encoder,
LOCKED = 8000                       # which is asked of so many nodules at most
LR = 1e-3
WARM = .1                           # of the steps
DECAY = .05
BETAS = (.9, .95)
RIDGE = .01                         # inverse weight of the probe's penalty


def as_seen(images) -> torch.Tensor:
    """Stored images (N, S, S) uint8 as encoders take them: (N, 1, S, S) in [-1, 1]."""
    return images.unsqueeze(1).float() / 127.5 - 1


def caption_ids(tokenizer, captions) -> torch.Tensor:
    """(N, L) int64: <bos>, the words, <eos>, then 0."""
    rows = [torch.tensor([*tokenizer(caption).input_ids, tokenizer.eos_token_id]) for caption in captions]
    return pad_sequence(rows, batch_first=True)


def _small_encoder() -> Aimv2:
    return Aimv2(pretrain.small_tower(SIDE, **TOWER))


def _looked_at(nodules, idx, g) -> torch.Tensor:
    """Images of a step, (B, 1, SIDE, SIDE), all in the one of the square's 8 symmetries that `g` draws."""
    x = resized(as_seen(nodules.images[idx]), SIDE)
    return turned(x, int(torch.randint(TURNS, (), generator=g)))


def _fit(step, trained, n_steps, n_items, batch, stage, folder, key, p, log):
    """`loop.fit` with what the small encoders and text towers share."""
    loop.fit(step, trained, n_steps=n_steps, n_items=n_items, batch_size=batch, lr=loop.one_cycle(LR, n_steps, WARM),
             stage=stage, seed=p.seed, folder=folder, key=key, weight_decay=DECAY, betas=BETAS,
             save_every=p.save_every, log=log)


def train_autoregressive(folder, key: str, nodules, tokenizer, p, log=print) -> Aimv2:
    """A small encoder that has learnt AIMv2's objective.

    Args:
        folder: checkpoints go below it; key: names parameters, code and images.
        nodules: `nodules.Nodules`; p: pretrain_encoder_steps, save_every, seed.

    Source: Fini et al. 2024; the small size, its rate and its length are ours.
    """
    with fresh_weights(p.seed, "pretrain aimv2"):
        encoder = _small_encoder()
        net = pretrain.Autoregressive(encoder, len(tokenizer), DECODER_LAYERS)
    ids = caption_ids(tokenizer, nodules.captions)[:, 1:]
    n_patches = (SIDE // TOWER["patch"]) ** 2

    def step(idx, g, step_no):
        return net(_looked_at(nodules, idx, g), ids[idx], torch.randint(1, n_patches, idx.shape, generator=g))

    _fit(step, net, p.pretrain_encoder_steps, len(ids), BATCH, "pretrain aimv2", folder, key, p, log)
    return encoder


def train_contrastive(folder, key: str, nodules, tokenizer, p, log=print):
    """A small encoder of the same form and its text tower, trained together by CLIP's objective: `(Aimv2, TextTower)`.

    Args: as of `train_autoregressive`.

    Source: Radford et al. 2021, without a projection of the image, which AutoRad-Lung has not either.
    """
    with fresh_weights(p.seed, "pretrain contrastive"):
        encoder = _small_encoder()
        text = pretrain.small_text(tokenizer, **TEXT, projection=TOWER["width"])
    ids = caption_ids(tokenizer, nodules.captions)

    def step(idx, g, step_no):
        return {"loss": pretrain.contrastive_loss(encoder(_looked_at(nodules, idx, g)), text, ids[idx])}

    _fit(step, {"image": encoder, "text": text}, p.pretrain_encoder_steps, len(ids), BATCH, "pretrain contrastive",
         folder, key, p, log)
    return encoder, text


def embed(encoder, nodules) -> torch.Tensor:
    """(N, P) embeddings of nodules, some at a time."""
    return torch.cat([encoder.embed(as_seen(images)) for images in nodules.images.split(BATCH)])


def train_text(folder, key: str, encoder, nodules, tokenizer, p, log=print):
    """The text tower of a frozen image encoder: TextTower.

    Args:
        encoder: `Encoder`; p: pretrain_text_steps, save_every, seed; else as of `train_autoregressive`.

    Source: Zhai et al. 2022 (LiT: the image tower is locked, the text tower learns to speak to it).
    """
    with fresh_weights(p.seed, "pretrain text"):
        text = pretrain.small_text(tokenizer, **TEXT, projection=encoder.width)
    lessons = nodules.first(LOCKED)
    z = None if loop.finished(folder, key) else embed(encoder, lessons)
    ids = caption_ids(tokenizer, lessons.captions)

    def step(idx, g, step_no):
        return {"loss": pretrain.contrastive_loss(z[idx], text, ids[idx])}

    _fit(step, text, p.pretrain_text_steps, len(ids), PAIRS, "pretrain text", folder, key, p, log)
    return text


def probe(z, label3) -> float:
    """Accuracy of a logistic regression on embeddings, three classes, five folds.

    Args:
        z: (N, P); label3: (N,).

    Source: ours, because an encoder that carries nothing guides nobody; the majority's share is the floor.
    """
    line = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE, max_iter=1000))
    folds = KFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(line, z.numpy(), label3, cv=folds).mean())


@torch.no_grad()
def zero_shot(z, label3, text, tokenizer) -> float:
    """Accuracy of the class whose words lie nearest to the image, without any training: the prompt of CLIP-Lung.

    Args:
        z: (N, P); label3: (N,); text, tokenizer: a text tower of this encoder.
    """
    words = text(caption_ids(tokenizer, [f"{WORDS} {name}." for name in CLASSES])).text_embeds
    nearest = (normalize(z, dim=-1) @ normalize(words, dim=-1).T).argmax(1)
    return float(np.mean(nearest.numpy() == label3))
