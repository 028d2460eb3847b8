from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_llm import records

from namd.data.report import report_texts
from namd.ground import seeding
from namd.ground.errors import UserError
from namd.models import hub, llm
from namd.models import unet as unets
from namd.models.context import ContextBank
from namd.models.prompts import SoftPrompts, encode, encode_all
from namd.training import loop


def opened(folder, lm):
    """Saved prompts beside a language model, as the pipeline opens them."""
    return hub.load(SoftPrompts, folder, "soft_prompts", "soft prompts").beside(lm)


def test_context_is_equation_7_and_8_by_hand(frozen, prompts):
    lm, tokenizer = frozen
    texts = report_texts(records(2))
    ctx = encode(lm, tokenizer, prompts, texts)
    assert ctx.shape == (2, 3, 32)
    for i, text in enumerate(texts):
        ids = torch.tensor([2, *tokenizer(text, add_special_tokens=False).input_ids, 1])
        for j in range(3):
            c_j = torch.cat([prompts.vectors()[j], lm.embed_tokens(ids)])[None]
            h_eos = lm(inputs_embeds=c_j).last_hidden_state[0, -1]
            assert torch.allclose(ctx[i, j], h_eos, atol=1e-5)


def test_prompts_are_vocabulary_rows_times_root_d_and_seeded(frozen, prompts):
    lm, _ = frozen
    scaled = lm.embed_tokens.weight * 32**0.5
    apart = (prompts.vectors().flatten(0, 1)[:, None] - scaled).abs().amax(dim=2)  # (m n, vocabulary)
    assert apart.amin(dim=1).max() < 1e-6 and apart.argmin(dim=1).min() > 3  # no <pad>, <eos>, <bos>, <unk>
    again, other = (SoftPrompts.begin(lm, 3, 2, seed) for seed in (23, 24))
    assert torch.equal(again.vectors(), prompts.vectors()) and not torch.equal(other.vectors(), prompts.vectors())


@pytest.mark.parametrize("seed", [23, 24])
def test_the_authors_start_is_a_fiftieth_of_a_normal_and_seeded(frozen, seed):
    start = SoftPrompts.begin(frozen[0], 30, 20, seed, "normal").vectors()
    assert start.std().item() == pytest.approx(0.02, rel=0.05) and abs(start.mean()) < 0.001
    assert torch.equal(start, SoftPrompts.begin(frozen[0], 30, 20, seed, "normal").vectors())
    assert not torch.equal(start, SoftPrompts.begin(frozen[0], 30, 20, seed + 1, "normal").vectors())


def test_gradients_reach_the_prompts_and_nothing_of_the_llm(frozen, prompts):
    lm, tokenizer = frozen
    ctx = encode(lm, tokenizer, prompts, report_texts(records(4)))
    (ctx * seeding.noise(ctx.shape, "direction")).sum().backward()     # squares would be constant behind a final norm
    grad = prompts.carrier.embedding.weight.grad
    assert (grad.abs().sum(1) > 1e-3).all()
    assert all(p.grad is None for p in lm.parameters())
    assert [n for n, p in prompts.named_parameters() if p.requires_grad] == ["carrier.embedding.weight"]


def test_sets_and_records_both_move_the_context(frozen, prompts):
    lm, tokenizer = frozen
    ctx = encode_all(lm, tokenizer, prompts, report_texts(records(2)))
    assert (ctx[:, 0] - ctx[:, 1]).abs().max() > 1e-3 and (ctx[0] - ctx[1]).abs().max() > 1e-3


def test_encode_all_keeps_the_order_and_ignores_batch_size(frozen, prompts):
    texts = report_texts(records(9))
    texts = [*texts, texts[0]]
    whole = encode(*frozen, prompts, texts)
    assert torch.allclose(encode_all(*frozen, prompts, texts, batch_size=2), whole, atol=1e-5)


def test_standardisation_has_zero_mean_and_unit_spread(frozen, prompts):
    texts = report_texts(records(30))
    prompts.fit_standardisation(encode_all(*frozen, prompts, texts))
    flat = torch.cat([encode_all(*frozen, prompts, [text]) for text in texts]).flatten(0, 1)
    assert torch.allclose(flat.mean(0), torch.zeros(32), atol=1e-4)
    assert torch.allclose(flat.std(0), torch.ones(32), atol=1e-3)
    assert torch.equal(llm.null_context(*frozen, prompts), encode(*frozen, prompts, [""]))


def test_saved_prompts_come_back_bit_equal(frozen, prompts, tmp_path):
    texts = report_texts(records(5))
    prompts.fit_standardisation(encode_all(*frozen, prompts, texts))
    prompts.save_pretrained(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    back = opened(tmp_path, frozen[0])
    assert (back.config.n_sets, back.config.n_tokens, back.config.dim) == (3, 2, 32)
    assert torch.equal(encode_all(*frozen, back, texts), encode_all(*frozen, prompts, texts))
    back.save_pretrained(tmp_path / "copy")
    assert str(tmp_path) not in (tmp_path / "copy" / "config.json").read_text()


def test_prompts_of_another_width_are_refused(frozen, tmp_path):
    SoftPrompts(1, 2, 24).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="width 24"):
        opened(tmp_path, frozen[0])


def test_incomplete_prompts_are_refused(frozen, prompts, tmp_path):
    with pytest.raises(UserError, match="soft prompts: nothing can be loaded"):
        opened(tmp_path, frozen[0])
    prompts.save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({name: weights[name] for name in ("carrier.embedding.weight", "mean")}, file, {"format": "pt"})
    with pytest.raises(UserError, match="lacks 1 weights, the first is std"):
        opened(tmp_path, frozen[0])


def test_a_zero_null_prompt_teaches_keys_and_values_nothing_and_ours_does(frozen, prompts, tmp_path):
    unets.build_unet(tmp_path, SimpleNamespace(image_size=64, unet_channels=[16, 32], unet_layers=1, unet_heads=2,
                                               seed=23))
    unet = unets.load_unet(tmp_path)
    new = unets.widen_context(unet, 32, seed=23)
    ours = llm.null_context(*frozen, prompts).detach().expand(2, -1, -1)

    def gradients(ctx):
        unet.zero_grad()
        z_t = seeding.noise((2, 4, 8, 8), "z_t")
        unet(z_t, torch.tensor([10, 900]), ctx).sample.square().mean().backward()
        return [float(unet.get_parameter(name).grad.abs().max()) for name in new]

    assert max(gradients(0 * ours)) == 0 and min(gradients(ours)) > 0


def test_a_bfloat16_language_model_takes_float32_prompts(frozen, prompts):
    lm, tokenizer = llm.load_llm(frozen[1].name_or_path, "bfloat16")
    texts = report_texts(records(3))
    ctx = encode(lm, tokenizer, prompts, texts)
    exact = encode(*frozen, prompts, texts)
    assert ctx.dtype == torch.float32 and 0 < (ctx - exact).norm() / exact.norm() < 0.05
    ctx[0, 0, 0].backward()
    assert prompts.carrier.embedding.weight.grad.dtype == torch.float32


def fitted(frozen, folder, prompt_steps, own_lr=None, killed_at=None):
    """Prompts and the head above them after eight steps, of which the first `prompt_steps` train the prompts."""
    prompts, head = SoftPrompts.begin(frozen[0], 2, 2, seed=23), torch.nn.Linear(32, 1)
    torch.nn.init.ones_(head.weight), torch.nn.init.zeros_(head.bias)
    prompts.requires_grad_(prompt_steps != 0)
    bank = ContextBank(*frozen, prompts, report_texts(records(8)), prompt_steps)

    def step(idx, g, step_no):
        if step_no == killed_at:
            raise KeyboardInterrupt
        return {"loss": (head(bank.context(idx, step_no)) - 1).square().mean()}

    history = loop.fit(step, {"head": head, "prompts": prompts}, n_steps=8, n_items=8, batch_size=4,
                       lr=loop.constant(0.01), own_lr=own_lr, stage="test", seed=23, folder=folder, save_every=1,
                       ema_decay=0.5, log=lambda line: None)
    return prompts.vectors().detach(), head.weight.detach(), history


def test_a_run_killed_after_the_prompts_froze_ends_in_the_same_bits(frozen, tmp_path):
    own_lr = {"prompts": loop.one_cycle(0.1, 3)}
    whole = fitted(frozen, tmp_path / "whole", 3, own_lr)
    with pytest.raises(KeyboardInterrupt):
        fitted(frozen, tmp_path / "killed", 3, own_lr, killed_at=6)
    resumed = fitted(frozen, tmp_path / "killed", 3, own_lr)
    assert all(torch.equal(a, b) for a, b in zip(whole[:2], resumed[:2], strict=True))
    assert not torch.equal(whole[0], SoftPrompts.begin(frozen[0], 2, 2, seed=23).vectors())


@pytest.mark.parametrize(("prompt_steps", "least", "most"), [(0, 0, 0), (1, 0.01, 0.06), (-1, 0.08, 0.5)])
def test_prompts_move_in_the_steps_that_train_them_and_not_at_all_when_frozen(frozen, tmp_path, prompt_steps, least,
                                                                              most):
    begun = SoftPrompts.begin(frozen[0], 2, 2, seed=23).vectors()
    ended, *_ = fitted(frozen, tmp_path, prompt_steps, {"prompts": loop.constant(0.005)})
    assert least <= (ended - begun).norm() / begun.norm() <= most
