"""A three-class problem in miniature: the features hold the label, the image embeddings hint at it.

As those of a real encoder they have much in common, and the text tower says of the classes' words what they look like.
"""

from types import SimpleNamespace

import numpy as np
from small_text import tokenizer, tower

from namd.autorad.folds import folds
from namd.autorad.prompts import WORDS, Prompts
from namd.ground.seeding import numpy_rng

N, P, N_FEAT = 150, 32, 5
PARAMETERS = dict(seed=3, autorad_ctx=3, autorad_hidden_share=16, autorad_scale=10.0, autorad_projection="none",
                  autorad_epochs=12, autorad_batch=25, autorad_weight_decay=5e-7, autorad_momentum=0.9, save_every=1000,
                  threads=1, precision="float32")


def parameters(**changes):
    return SimpleNamespace(**{**PARAMETERS, **changes})


def problem(hint=1.0):
    """label3 (N,), patient (N,), z (N, P), features (N, N_FEAT), fold (N,), text."""
    rng = numpy_rng("small arms")
    label3 = rng.permutation(np.arange(N) % 3)
    patient = np.array([f"p{i // 2:03d}" if i < 40 else f"p{i:03d}" for i in range(N)])
    features = rng.normal(size=(N, N_FEAT))
    features[:, :3] += 3 * np.eye(3)[label3]
    text = tower(width=32, layers=1, projection=P), tokenizer()
    said = Prompts(*text, WORDS, P).class_features(text[0])[0].detach().numpy()
    z = said.mean(0) + hint * (said - said.mean(0))[label3] + 0.1 * rng.normal(size=(N, P))
    return label3, patient, z, features, folds(label3, patient, 3, seed=1), text
