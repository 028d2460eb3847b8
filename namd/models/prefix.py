"""Reading reports behind m prompt sets in one call, each set read once and not once a report."""

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer


class PrefixLayer(DynamicLayer):
    """One layer's keys and values of the m prompt sets; puts them in front of every report's and keeps no joined copy.

    Source: ours, because transformers' own layer would hold B*m copies of them in all layers at once.
    """

    def __init__(self, read: DynamicLayer):
        super().__init__()
        self.lazy_initialization(read.keys, read.values)
        self.keys = read.keys
        self.values = read.values

    def update(self, key_states, value_states, *args, **kwargs):
        """Two (B*m, heads, L, d) -> two (B*m, heads, n+L, d), sets fastest."""
        return _behind(self.keys, key_states), _behind(self.values, value_states)


def _behind(front, rows):
    """(B*m, heads, n+L, d): the (m, heads, n, d) of each prompt set before its (B*m, heads, L, d) rows."""
    rows = rows.unflatten(0, (-1, len(front)))      # (B, m, heads, L, d)
    front = front.expand(len(rows), *front.shape)
    return torch.cat([front, rows], dim=-2).flatten(0, 1)


def states_at(lm, ids, last, soft_prompt=None):
    """Hidden states of B token rows in the last layer, each row read behind each of m prompt sets.

    Args:
        ids: (B, L) int64, padded to the right.
        last: (B,) int64, the place in each row to read.
        soft_prompt: (m, n, D) prompt vectors, or None for no prompt.

    Returns:
        (B, m, D) float32 on the device of `lm`; m = 1 without prompts.

    Source: ours. No token sees what follows it, so the prompts are read once and not once a report: m n + B m L tokens
    in place of B m (n + L), equal up to rounding, in values and in the gradient of the prompts.
    """
    emb = lm.embed_tokens(ids)                      # (B, L, D), already times sqrt(D)
    shared = None
    n_sets = 1
    if soft_prompt is not None:
        n_sets = len(soft_prompt)
        read = DynamicCache()
        lm(inputs_embeds=soft_prompt.to(emb.dtype), past_key_values=read)
        shared = Cache(layers=[PrefixLayer(layer) for layer in read.layers])
    emb = emb.repeat_interleave(n_sets, dim=0)      # (B*m, L, D)
    last = last.repeat_interleave(n_sets, dim=0)    # (B*m,)
    hidden = lm(inputs_embeds=emb, past_key_values=shared, use_cache=False).last_hidden_state  # (B*m, L, D)
    read_there = hidden[torch.arange(len(last), device=last.device), last]                     # (B*m, D)
    return read_there.float().unflatten(0, (-1, n_sets))
