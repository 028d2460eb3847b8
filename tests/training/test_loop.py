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
    assert {f.name for f in kept.iterdir()} == {".namd", "weights.safetensors", "state.json"}
    again, remembered = trained(tmp_path, steps, validate=lambda: 0.0)
    assert steps == list(range(10)) and torch.equal(again, weights) and remembered.equals(history)


def test_the_best_weights_are_those_of_the_lowest_validation_loss(tmp_path):
    losses = iter([3.0, 1.0, 2.0])
    steps, whole = [], []
    best, history = trained(tmp_path / "a", steps, validate=lambda: next(losses), val_every=4)
    last, _ = trained(tmp_path / "b", whole)
    assert history["val_loss"].dropna().tolist() == [3.0, 1.0, 2.0] and not torch.equal(best, last)


def test_a_module_with_a_rate_of_its_own_moves_by_it_and_does_not_decay(tmp_path):
    def moved(folder, **more):
        parts = {name: nn.Linear(3, 1, bias=False) for name in ("net", "prompts", "resting")}
        for part in parts.values():
            nn.init.ones_(part.weight)

        def step(idx, g, i):
            x = torch.ones(len(idx), 3)
            return {"loss": (parts["net"](x) + parts["prompts"](x) + 0 * parts["resting"](x)).mean()}
        history = loop.fit(step, parts, n_steps=2, n_items=4, batch_size=2, lr=loop.constant(1e-3), stage="s", seed=0,
                           folder=tmp_path / folder, log=lambda line: None, **more)
        return {name: (1 - part.weight).mean().item() for name, part in parts.items()}, history

    alike, history = moved("alike", weight_decay=0.1)
    assert alike["net"] == alike["prompts"] > 1.9e-3 and 0 < alike["resting"] < 3e-4 and "lr_prompts" not in history
    own = {"prompts": lambda step: 0.01 * (step + 1), "resting": loop.constant(0.5)}
    apart, history = moved("apart", weight_decay=0.1, own_lr=own)
    assert apart["net"] == alike["net"] and abs(apart["prompts"] - 0.03) < 1e-5 and apart["resting"] == 0
    assert history["lr_prompts"].tolist() == [0.01, 0.02] and history["lr"].tolist() == [1e-3, 1e-3]
