"""C of a split: through the language model where the prompts have moved, and without it where numbers are read."""

import pytest
import torch
from small_llm import records

from namd.data.report import report_texts
from namd.ground.errors import UserError
from namd.models import hub
from namd.models.context import ContextBank, RecordBank
from namd.models.prompts import encode_all
from namd.models.record_numbers import RecordContext


@pytest.fixture
def calls(frozen):
    """One entry for each call of the language model."""
    made = []
    hook = frozen[0].register_forward_pre_hook(lambda *given: made.append(1))
    yield made
    hook.remove()


def test_bank_trains_the_prompts_first_and_reads_a_table_afterwards(frozen, prompts):
    texts, idx = report_texts(records(6)), torch.tensor([4, 1])
    bank = ContextBank(*frozen, prompts, texts, prompt_steps=2)
    live = bank.context(idx, 1)
    late = bank.context(idx, 2)
    assert live.requires_grad and not late.requires_grad
    assert torch.allclose(live, late, atol=1e-5)
    resumed = ContextBank(*frozen, prompts, texts, prompt_steps=2).context(idx, 5)
    assert torch.equal(resumed, late)
    assert ContextBank(*frozen, prompts, texts, prompt_steps=-1).context(idx, 10**6).requires_grad


def test_reports_are_read_again_when_the_prompts_have_moved_and_only_then(frozen, prompts, calls):
    texts = report_texts(records(6))
    bank = ContextBank(*frozen, prompts, texts, prompt_steps=2)
    first = bank.all()
    asked = len(calls)
    assert asked > 0 and torch.equal(first, encode_all(*frozen, prompts, texts))
    calls.clear()
    assert torch.equal(bank.all(), first) and torch.equal(bank.context(torch.tensor([3]), 2), first[[3]])
    assert not calls
    with torch.no_grad():
        prompts.carrier.embedding.weight[0, 0] += 0.1
    assert not torch.equal(bank.all(), first) and len(calls) == asked


def test_what_is_remembered_is_not_yet_standardised(frozen, prompts, calls):
    bank = ContextBank(*frozen, prompts, report_texts(records(30)), prompt_steps=0)
    raw = bank.all()
    calls.clear()
    prompts.fit_standardisation(raw)
    assert torch.allclose(bank.all().flatten(0, 1).std(0), torch.ones(32), atol=1e-3)
    assert torch.equal(bank.context(torch.tensor([4, 1]), 0), prompts.standardise(raw[[4, 1]])) and not calls


@pytest.fixture
def vector():
    return RecordContext.begin(records(40), 3, 32, seed=23)


def test_a_vector_has_the_shape_and_loudness_of_the_context_and_its_record_in_it(vector):
    ehr = records(4, seed=1)
    ctx = vector(vector.numbers(ehr))
    assert ctx.shape == (4, 3, 32)
    assert torch.allclose(ctx.mean(2), torch.zeros(4, 3), atol=1e-5)
    assert torch.allclose(ctx.square().mean(2), torch.ones(4, 3), atol=0.01)
    assert (ctx[0] - ctx[1]).abs().max() > 1e-2 and (ctx[:, 0] - ctx[:, 1]).abs().max() > 1e-2
    by_hand = vector.record.layers[2](torch.nn.functional.silu(vector.record.layers[0](vector.numbers(ehr))))
    by_hand = by_hand.reshape(4, 3, 32)
    by_hand = (by_hand - by_hand.mean(2, keepdim=True)) / by_hand.var(2, correction=0, keepdim=True).sqrt()
    assert torch.allclose(ctx, by_hand, atol=0.01)


def test_a_vector_starts_from_its_seed_and_the_training_records_and_comes_back_bit_equal(vector, tmp_path):
    ehr = records(5, seed=1)
    again, other = (RecordContext.begin(records(40), 3, 32, seed) for seed in (23, 24))
    assert torch.equal(again.numbers(ehr), vector.numbers(ehr))
    assert torch.equal(again(again.numbers(ehr)), vector(vector.numbers(ehr)))
    assert not torch.equal(other(other.numbers(ehr)), vector(vector.numbers(ehr)))
    vector.save_pretrained(tmp_path)
    back = hub.load(RecordContext, tmp_path, "record_context", "record context")
    assert torch.equal(back(back.numbers(ehr)), vector(vector.numbers(ehr)))
    (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="record context"):
        hub.load(RecordContext, tmp_path, "record_context", "record context")


def test_the_bank_of_numbers_learns_in_every_step_and_calls_no_language_model(vector, calls):
    ehr = records(6, seed=1)
    bank = RecordBank(vector, ehr)
    ctx = bank.context(torch.tensor([4, 1]), 10**6)
    ctx[:, :, 0].sum().backward()
    assert all(weight.grad.abs().max() > 0 for weight in vector.parameters())
    assert torch.allclose(bank.all()[[4, 1]], ctx, atol=1e-5) and not bank.all().requires_grad and not calls
