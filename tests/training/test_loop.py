"""What a finished stage leaves on the disk, and what a second call makes of it."""

import torch
from torch import nn

from namd.training import checkpoint, loop


def trained(folder, log, **more):
    torch.manual_seed(0)
    layer = nn.Linear(2, 1)

    def step(idx, g, i):
        log.append(i)
        return {"loss": (layer(torch.randn(len(idx), 2, generator=g)) - 1).square().mean()}
    history = loop.fit(step, layer, n_steps=10, n_items=6, batch_size=3, lr=loop.constant(0.05), stage="s", seed=0,
                       folder=folder, save_every=3, ema_decay=0.9, log=lambda line: None, **more)
    return layer.weight.detach().clone(), history


def test_a_finished_stage_keeps_its_weights_alone_and_is_not_trained_again(tmp_path):
    steps = []
    weights, history = trained(tmp_path, steps, validate=lambda: -float(len(steps)))
    (kept,) = checkpoint.complete(tmp_path)
    assert kept.name == "step-00000010" and loop.finished(tmp_path, "")
    assert {f.name for f in kept.iterdir()} == {".namd", "weights.safetensors", "state.json", "MANIFEST.json"}
    again, remembered = trained(tmp_path, steps, validate=lambda: 0.0)
    assert steps == list(range(10)) and torch.equal(again, weights) and remembered.equals(history)


def test_the_best_weights_are_those_of_the_lowest_validation_loss(tmp_path):
    losses = iter([3.0, 1.0, 2.0])
    steps, whole = [], []
    best, history = trained(tmp_path / "a", steps, validate=lambda: next(losses), val_every=4)
    last, _ = trained(tmp_path / "b", whole)
    assert history["val_loss"].dropna().tolist() == [3.0, 1.0, 2.0] and not torch.equal(best, last)
