"""How the small encoders of AutoRad-Lung are read off, and that a step's images are turned and of their size."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from namd.autorad import pretrain
from namd.autorad.encoders import Aimv2
from namd.autorad.prompts import CLASSES
from namd.autorad.texts import LOG_SCALE
from namd.ground.seeding import fresh_weights, generator
from namd.models.llm import build_tokenizer
from namd.pretrain import encoders
from namd.pretrain.nodules import Nodules

P = SimpleNamespace(seed=3, pretrain_encoder_steps=3, pretrain_text_steps=40, save_every=100)


@pytest.fixture(scope="module")
def nodules():
    """Bright ones are malignant."""
    label3 = np.arange(48) % 3
    images = torch.tensor(60 * label3, dtype=torch.uint8)[:, None, None].repeat(1, 128, 128)
    images[:, :64] += torch.randint(0, 9, (48, 64, 128), generator=generator("test"), dtype=torch.uint8)
    return Nodules(images, [f"a nodule image of {CLASSES[label]} ." for label in label3], label3)


@pytest.fixture(scope="module")
def tokenizer(nodules):
    return build_tokenizer(nodules.captions)


def test_captions_have_begin_and_end_and_nothing_behind_it(tokenizer):
    short, long = encoders.caption_ids(tokenizer, ["benign .", "a nodule image of benign ."])
    assert short[:4].tolist() == [2, *tokenizer("benign .", add_special_tokens=False).input_ids, 1]
    assert short[4:].sum() == 0 and long[-1] == 1 and len(long) == 8


def test_a_line_reads_what_is_there_and_nothing_where_nothing_is(nodules):
    noise = torch.randn(48, 5, generator=generator("probe"))
    bright = torch.cat([torch.nn.functional.one_hot(torch.tensor(nodules.label3)), noise], 1)
    assert encoders.probe(bright, nodules.label3) > .9
    assert encoders.probe(noise, nodules.label3) < .6


def test_an_encoder_learns_and_the_same_again(nodules, tokenizer, tmp_path):
    first, second = (encoders.train_autoregressive(tmp_path / again, "key", nodules, tokenizer, P, lambda line: None)
                     .state_dict() for again in ("one", "two"))
    with fresh_weights(P.seed, "pretrain aimv2"):
        start = Aimv2(pretrain.small_tower(encoders.SIDE, **encoders.TOWER)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], start[name]) for name in first)


def test_image_and_text_learn_together(nodules, tokenizer, tmp_path):
    net, text = encoders.train_contrastive(tmp_path, "key", nodules, tokenizer, P, lambda line: None)
    with fresh_weights(P.seed, "pretrain contrastive"):
        start = Aimv2(pretrain.small_tower(encoders.SIDE, **encoders.TOWER)).state_dict()
    assert not any(torch.equal(weight, start[name]) for name, weight in net.state_dict().items())
    assert text.logit_scale != LOG_SCALE


def test_a_text_tower_learns_to_name_what_a_locked_encoder_sees(nodules, tokenizer, tmp_path):
    encoder = SimpleNamespace(width=4, embed=lambda x: torch.cat(
        [x.mean((2, 3)), x.mean((2, 3)).square(), torch.ones(len(x), 1), torch.zeros(len(x), 1)], 1))
    text = encoders.train_text(tmp_path, "key", encoder, nodules, tokenizer, P, lambda line: None)
    z = encoders.embed(encoder, nodules)
    assert encoders.zero_shot(z, nodules.label3, text, tokenizer) == 1
    assert encoders.zero_shot(-z, nodules.label3, text, tokenizer) < 1
