"""Both ways of every benchmark compute the same thing: the ratios compare like with like."""

import importlib
from types import SimpleNamespace

import pytest
import stand_ins
import torch

from namd.study import params

CPU = torch.device("cpu")
FEW = dict(N_SUBJECTS=3, K_RUNS=2)      # of sampling.py
TINY = dict(image_size=32, vae_channels=[8, 8, 8], llm_hidden=32, unet_channels=[16, 32], ddim_steps=4, cond_batch=4,
            text_n_sets=2, text_n_tokens=3, eval_batch=7)


@pytest.mark.parametrize(("name", "tolerance"), [("conditional", 1e-5), ("prompts", 1e-5), ("sampling", 1e-3)])
def test_both_ways_agree_call_after_call(name, tolerance, monkeypatch):
    module = importlib.import_module(name)
    tiny = SimpleNamespace(**params.load(stand_ins.QUICK) | TINY)
    monkeypatch.setattr(module, "sizes", lambda device, size: {"tiny": tiny})
    for constant in FEW.keys() & vars(module).keys():
        monkeypatch.setattr(module, constant, FEW[constant])
    for pair in module.pairs(CPU):
        outputs = [(pair.common(i), pair.ours(i)) for i in range(3)]
        for common, ours in outputs:
            torch.testing.assert_close(common, ours, rtol=tolerance, atol=tolerance)
        assert not torch.equal(outputs[0][1], outputs[1][1]), "every call has its own draws"


def test_both_ways_find_the_slices_of_a_series_in_one_order(monkeypatch):
    headers = importlib.import_module("headers")
    monkeypatch.setattr(headers, "N_SLICES", 5)
    *_, used = headers.pairs(CPU)
    assert used.common(0).tolist() == used.ours(0).tolist() == sorted(used.ours(0).tolist())
