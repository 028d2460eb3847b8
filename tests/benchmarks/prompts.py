"""The soft-prompt encoder (Eq. 7-8), forward and backward: prompts read once, or once for every report.

Two common ways: all m*B sequences of n+L tokens in one call, as most write it; and one call per adapter, peft's way.
"""

import torch
from stand_ins import encode_set_by_set, language, peft_sets, records, sizes

from namd.ground import seeding
from namd.models.llm import EOS_ID, eos_states
from namd.study.benchmark import Pair


def pairs(device, size=""):
    """Two rows for each size."""
    for name, p in sizes(device, size).items():
        text = language(p, records(4 * p.cond_batch), device)
        vectors = text.prompts.carrier.embedding.weight
        adapters = peft_sets(text.lm, text.prompts)
        sets = [part.embedding.weight for part in adapters.prompt_encoder.values()]

        def shared(texts, text=text):
            return eos_states(text.lm, text.tokenizer, texts, text.prompts.vectors())

        def naive(texts, text=text):
            return naive_states(text.lm, *tokens(text, texts), text.prompts.vectors())

        def set_by_set(texts, text=text, adapters=adapters):
            return encode_set_by_set(adapters, text.tokenizer, texts, padding=True)

        yield Pair(f"prompts {name} naive", Encoder(p, text, naive, [vectors]), Encoder(p, text, shared, [vectors]))
        yield Pair(f"prompts {name} peft", Encoder(p, text, set_by_set, sets), Encoder(p, text, shared, [vectors]))


class Encoder:
    """States of a batch of reports and the gradient of the prompts, in one vector."""

    def __init__(self, p, text, states, prompts):
        self.p, self.text, self.states, self.prompts = p, text, states, prompts

    def __call__(self, i):
        first = i * self.p.cond_batch % len(self.text.texts)
        states = self.states(self.text.texts[first : first + self.p.cond_batch])
        push = seeding.noise(states.shape, "benchmark", i).to(states) / len(states)
        gradient = torch.autograd.grad((states * push).sum(), self.prompts)
        return torch.cat([states.detach().flatten(), torch.cat(gradient).flatten()])


def tokens(text, texts):
    """(ids (B, L), last (B,)): reports with <bos> and <eos>, padded to the right, and the place of <eos>."""
    rows = [torch.tensor(text.tokenizer(report).input_ids + [EOS_ID]) for report in texts]
    last = torch.tensor([len(row) - 1 for row in rows])
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return ids.to(text.lm.device), last.to(text.lm.device)


def naive_states(lm, ids, last, soft_prompt):
    """(B, m, D): prompts in front of every report, all m*B sequences in one call; no mask, right padding needs none."""
    m, n, _ = soft_prompt.shape
    report = lm.embed_tokens(ids).repeat_interleave(m, dim=0)  # (B*m, L, D), sets fastest
    front = soft_prompt.to(report.dtype).repeat(len(ids), 1, 1)
    hidden = lm(inputs_embeds=torch.cat([front, report], dim=1), use_cache=False,
                attention_mask={"full_attention": None, "sliding_attention": None}).last_hidden_state
    rows = torch.arange(len(hidden), device=hidden.device)
    return hidden[rows, n + last.repeat_interleave(m)].float().unflatten(0, (-1, m))
