"""The benchmarks' promises that do not depend on a clock: operations counted, on the paper's sizes where it matters."""

from types import SimpleNamespace

import pytest
import stand_ins
import torch
from prompts import naive_states, tokens

from namd.ground.cost import flops
from namd.models import prefix
from namd.models.llm import eos_states
from namd.study import params
from namd.study.preflight import shapes

B, M, N, L = 8, 4, 20, 70       # batch, sets, tokens a set, tokens a report
LAYERS = 12
OWED = 1 / 9                    # of a small layer's products, those of keys and values: D^2 of 9 D^2
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def teraflops():
    """What each part of a step takes at 256 pixels with the paper's models, counted on the meta device."""
    shells = shapes.build(SimpleNamespace(**params.load() | dict(image_size=256, text_n_sets=M, text_n_tokens=N)))
    meta = torch.device("meta")
    z, t = torch.empty(B, 8, 32, 32, device=meta), torch.empty(B, dtype=torch.int64, device=meta)
    ctx = torch.empty(B, M, shells.lm.config.hidden_size, device=meta)
    ids, last = torch.empty(B, L, dtype=torch.int64, device=meta), torch.empty(B, dtype=torch.int64, device=meta)

    def unet_step():
        shells.unet_cond(z, t, encoder_hidden_states=ctx).sample.sum().backward()

    def encode_step(states):
        states(shells.lm, ids, last, shells.prompts.vectors()).sum().backward()

    counted = dict(unet=flops(unet_step), naive=flops(encode_step, naive_states),
                   shared=flops(encode_step, prefix.states_at),
                   vae=flops(shells.vae.posterior, torch.empty(2 * B, 1, 256, 256, device=meta)))
    return SimpleNamespace(**{part: count / 1e12 for part, count in counted.items()})


def test_the_parts_of_a_conditional_step_at_full_size(teraflops):
    assert teraflops.vae == pytest.approx(4.36, rel=0.02) and teraflops.unet == pytest.approx(4.26, rel=0.02)
    assert teraflops.naive == pytest.approx(37.2, rel=0.02)


def test_a_conditional_step_at_full_size_takes_a_quarter_less(teraflops):
    common, ours = teraflops.vae + teraflops.unet + teraflops.naive, teraflops.unet + teraflops.shared
    assert common / ours == pytest.approx(1.37, rel=0.02)


def test_cached_latents_spare_an_unconditional_step_a_third(teraflops):
    assert (teraflops.vae / 2 + teraflops.unet) / teraflops.unet == pytest.approx(1.51, rel=0.02)


@pytest.mark.parametrize(("n", "length", "ratio"), [(8, 64, 1.19), (20, 64, 1.36), (50, 64, 1.74), (20, 32, 1.62)])
def test_prompts_are_read_once_and_not_once_a_report_and_the_last_layer_at_eos_alone(n, length, ratio):
    p = SimpleNamespace(llm_path="", llm_hidden=32, llm_layers=LAYERS, llm_dtype="float32", text_n_sets=M,
                        text_n_tokens=n, seed=23)
    text = stand_ins.language(p, stand_ins.records(B), CPU)
    texts = [" ".join(["nodule"] * (length - 2))] * B                      # <bos> and <eos> are the other two

    def ours():
        eos_states(text.lm, text.tokenizer, texts, text.prompts.vectors()).sum().backward()

    def naive():
        naive_states(text.lm, *tokens(text, texts), text.prompts.vectors()).sum().backward()

    measured = flops(naive) / flops(ours)
    plain = LAYERS * M * B * (n + length)
    spared = LAYERS * M * n + (LAYERS - 1 + OWED) * M * B * length
    assert measured == pytest.approx(plain / spared, rel=0.02)
    assert measured == pytest.approx(ratio, rel=0.03)
