"""Reading reports behind m prompt sets in one call: each set read once, and the last layer at <eos> alone."""

from contextlib import contextmanager

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.models.gemma3.modeling_gemma3 import apply_rotary_pos_emb


class PrefixLayer(DynamicLayer):
    """One layer's keys and values of the m prompt sets; puts them in front of every report's and keeps no joined copy.

    Source: ours, because transformers' own layer would hold B*m copies of them in all layers at once.
    """

    def __init__(self, read: DynamicLayer):
        super().__init__()
        self.lazy_initialization(read.keys, read.values)
        self.keys = read.keys
        self.values = read.values
        self.told = None        # keys and values of the reports, where a layer that sees one token of each cannot say

    def update(self, key_states, value_states, *args, **kwargs):
        """Two (B*m, heads, L, d) -> two (B*m, heads, n+L, d), sets fastest."""
        key_states, value_states = self.told or (key_states, value_states)
        return _behind(self.keys, key_states), _behind(self.values, value_states)


def _behind(front, rows):
    """(B*m, heads, n+L, d): the (m, heads, n, d) of each prompt set before its (B*m, heads, L, d) rows."""
    rows = rows.unflatten(0, (-1, len(front)))      # (B, m, heads, L, d)
    front = front.expand(len(rows), *front.shape)
    return torch.cat([front, rows], dim=-2).flatten(0, 1)


@contextmanager
def ending_at(layer, last):
    """Inside, `layer` of a Gemma 3 answers for one token of each row alone: (B*m, 1, D) in place of (B*m, L, D).

    Args:
        layer: the last one of the model, called with a cache of PrefixLayer; last: (B*m,) int64, the token's place.

    Source: ours, because nobody reads the other tokens' last states: of them the layer owes its keys and values.
    """
    handle = layer.register_forward_pre_hook(lambda layer, given, named: _narrowed(layer, *given, last, named),
                                             with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _narrowed(layer, hidden, last, named):
    """Arguments of `layer` for the tokens at `last`; the keys and values of all go to its place in the cache."""
    cos, sin = named["position_embeddings"]         # (1, L, d)
    kept = named["past_key_values"].layers[layer.self_attn.layer_idx]
    kept.told = _keys_and_values(layer, hidden, cos, sin)
    rows = torch.arange(len(last), device=last.device)
    named["position_embeddings"] = cos[0, last, None], sin[0, last, None]
    named["attention_mask"] = _seen(layer.self_attn, kept.keys.shape[-2] + last, kept.keys.shape[-2] + hidden.shape[1])
    return (hidden[rows, last, None],), named


def _keys_and_values(layer, hidden, cos, sin):
    """Two (B*m, heads, L, d), as the layer's attention makes them of its input (B*m, L, D)."""
    attention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    heads = [part(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
             for part in (attention.k_proj, attention.v_proj)]
    keys = attention.k_norm(heads[0])
    return apply_rotary_pos_emb(keys, keys, cos, sin)[1], heads[1]


def _seen(attention, place, n_places):
    """(B*m, 1, 1, n+L) bool: what the token at `place` (B*m,) sees of `n_places`."""
    places = torch.arange(n_places, device=place.device)
    seen = places <= place[:, None]
    if attention.is_sliding:
        seen &= places > place[:, None] - attention.sliding_window
    return seen[:, None, None]


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
    if soft_prompt is None:
        hidden = lm(inputs_embeds=emb, use_cache=False).last_hidden_state                   # (B, L, D)
        return hidden[torch.arange(len(last), device=last.device), last, None].float()
    n_sets = len(soft_prompt)
    read = DynamicCache()
    lm(inputs_embeds=soft_prompt.to(emb.dtype), past_key_values=read)
    shared = Cache(layers=[PrefixLayer(layer) for layer in read.layers])
    emb = emb.repeat_interleave(n_sets, dim=0)      # (B*m, L, D)
    last = last.repeat_interleave(n_sets, dim=0)    # (B*m,)
    with ending_at(lm.layers[-1], last):
        hidden = lm(inputs_embeds=emb, past_key_values=shared, use_cache=False).last_hidden_state   # (B*m, 1, D)
    return hidden[:, 0].float().unflatten(0, (-1, n_sets))
