"""Prompt sets read once against the plain way: one full sequence for every pair of set and report."""

import pytest
import torch
from transformers import Gemma3TextModel
from transformers.cache_utils import DynamicLayer

from namd.ground import seeding
from namd.models.llm import small_config
from namd.models.prefix import PrefixLayer, states_at

IDS, LAST = seeding.integers(60, (3, 9), "prefix", "ids"), torch.tensor([8, 3, 6])


def small_lm(window=1024, dtype=torch.float32, kinds=("sliding_attention", "full_attention")):
    """Two layers, the first of them with a sliding window, unless told otherwise."""
    config = small_config(32, 2, 60).text_config
    config.sliding_window = window
    config.layer_types = list(kinds)
    with seeding.fresh_weights("prefix"):
        return Gemma3TextModel(config).to(dtype).eval().requires_grad_(False)


def sets(m=4, n=5):
    return seeding.noise((m, n, 32), "prefix", "sets").requires_grad_()


def naive(lm, ids, last, soft_prompt):
    """The same states from m*B sequences of n+L tokens."""
    n_sets, n_tokens, _ = soft_prompt.shape
    front = soft_prompt.to(lm.dtype).repeat(len(ids), 1, 1)
    emb = torch.cat([front, lm.embed_tokens(ids).repeat_interleave(n_sets, dim=0)], dim=1)
    hidden = lm(inputs_embeds=emb, use_cache=False).last_hidden_state
    place = last.repeat_interleave(n_sets) + n_tokens
    return hidden[torch.arange(len(hidden)), place].float().unflatten(0, (len(ids), n_sets))


def value_and_gradient(way, lm, soft_prompt):
    """States (B, m, D) and the gradient of a fixed, random linear function of them."""
    states = way(lm, IDS, LAST, soft_prompt)
    direction = seeding.noise(states.shape, "prefix", "direction")   # their squares are constant: Gemma ends in a norm
    return states.detach(), torch.autograd.grad((states * direction).sum(), soft_prompt)[0]


def apart(a, b):
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("window", [1024, 6], ids=["wide", "window shorter than the sequence"])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (4, 5), (2, 20)])
def test_sets_read_once_equal_the_plain_way_in_value_and_gradient(m, n, window):
    lm, soft_prompt = small_lm(window), sets(m, n)
    shared, plain = (value_and_gradient(way, lm, soft_prompt) for way in (states_at, naive))
    assert shared[0].shape == (3, m, 32)
    assert apart(shared[0], plain[0]) < 1e-5 and apart(shared[1], plain[1]) < 1e-5


@pytest.mark.parametrize("window", [1024, 6])
def test_a_last_layer_with_a_window_sees_no_further_than_it(window):
    lm, soft_prompt = small_lm(window, kinds=("full_attention", "sliding_attention")), sets()
    shared, plain = (value_and_gradient(way, lm, soft_prompt) for way in (states_at, naive))
    assert apart(shared[0], plain[0]) < 1e-5 and apart(shared[1], plain[1]) < 1e-5


def test_the_last_layer_works_for_one_token_of_each_row_and_is_left_as_it_was():
    lm, worked = small_lm(), []
    for layer in lm.layers:
        layer.mlp.register_forward_hook(lambda mlp, given, out: worked.append(out.shape[1]))
    states_at(lm, IDS, LAST, sets())
    assert worked == [5, 5, 9, 1]           # both layers on the prompts, then on the reports
    assert not any(layer._forward_pre_hooks for layer in lm.layers)


@pytest.mark.parametrize("how", ["weights", "autocast"])
def test_bfloat16_is_near_and_the_prompts_stay_float32(how):
    soft_prompt = sets()
    exact = value_and_gradient(states_at, small_lm(), soft_prompt)
    lm = small_lm(dtype=torch.bfloat16 if how == "weights" else torch.float32)
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        rough = value_and_gradient(states_at, lm, soft_prompt)
    assert rough[0].dtype == rough[1].dtype == torch.float32
    assert 0 < apart(rough[0], exact[0]) < 0.05 and apart(rough[1], exact[1]) < 0.1


def test_the_sets_pass_through_the_model_once():
    lm, tokens = small_lm(), []
    lm.layers[0].register_forward_hook(lambda layer, inputs, output: tokens.append(inputs[0].shape[:2].numel()))
    states_at(lm, IDS, LAST, sets(4, 5))
    assert tokens == [4 * 5, 3 * 4 * 9]      # m n, then B m L


def test_a_layer_joins_set_by_set_and_keeps_its_own_rows_only():
    read = DynamicLayer()
    read.update(*(seeding.noise((2, 1, 3, 4), "layer", name) for name in ("keys", "values")))
    layer, rows = PrefixLayer(read), seeding.noise((6, 1, 5, 4), "rows")
    for _ in range(2):
        keys, values = layer.update(rows, 2 * rows)
        assert keys.shape == (6, 1, 8, 4)
        assert all(torch.equal(keys[i], torch.cat([read.keys[i % 2], rows[i]], dim=1)) for i in range(6))
        assert torch.equal(values[5], torch.cat([read.values[1], 2 * rows[5]], dim=1))


def test_without_prompts_it_is_the_plain_model():
    lm = small_lm()
    states = states_at(lm, IDS, LAST)
    plain = lm(input_ids=IDS, use_cache=False).last_hidden_state
    assert torch.equal(states[:, 0], plain[torch.arange(3), LAST])
