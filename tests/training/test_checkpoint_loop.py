"""The loop resumes bit for bit, from the newest checkpoint that is sound and its own."""

import os
import shutil
from contextlib import suppress

import pytest
import torch
from torch import nn

from namd.ground import seeding
from namd.training import checkpoint, loop


def trained(folder, stop_at=-1, **settings):
    """Weights and history of a small run with dropout, averaging and selection; step `stop_at` is interrupted."""
    with seeding.fresh_weights("toy"):
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))
    x, y = seeding.noise((20, 4), "x"), seeding.noise((20, 1), "y")

    def step(idx, g, i):
        if i == stop_at:
            raise KeyboardInterrupt
        jitter = torch.randn(len(idx), 4, generator=g)
        return {"loss": ((model(x[idx] + 0.1 * jitter) - y[idx]) ** 2).mean()}

    history = loop.fit(step, model, n_steps=23, n_items=20, batch_size=6, lr=loop.one_cycle(0.1, 23), stage="toy",
                       seed=1, folder=folder, save_every=5, ema_decay=0.9, val_every=7, log=lambda line: None,
                       validate=lambda: float(((model(x) - y) ** 2).mean()), **settings)
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters()), history.to_csv()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_interrupted_run_ends_with_the_same_weights_and_history(tmp_path, optimizer):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", stop_at=13, optimizer=optimizer)
    weights = checkpoint.complete(tmp_path / "stopped")[-1] / "weights.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    assert trained(tmp_path / "stopped", optimizer=optimizer) == trained(tmp_path / "whole", optimizer=optimizer)


def test_sgd_s_momentum_is_in_the_checkpoint_and_decides_the_weights(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", stop_at=13, optimizer="sgd")
    _, tensors, _ = checkpoint.latest(tmp_path / "stopped")
    assert {name.rpartition(".")[2] for name in tensors["optimizer"]} == {"momentum_buffer"}
    assert trained(tmp_path / "other", optimizer="sgd", momentum=0.5) != trained(tmp_path / "stopped", optimizer="sgd")


def test_a_network_in_channels_last_order_is_resumed_bit_for_bit(tmp_path):
    assert in_channels_last(tmp_path / "stopped", stop_at=5) is None
    assert torch.equal(in_channels_last(tmp_path / "stopped"), in_channels_last(tmp_path / "whole"))


def in_channels_last(folder, stop_at=-1):
    """Weights (4, 3, 3, 3) of a convolution whose numbers do not lie in memory as in a checkpoint."""
    with seeding.fresh_weights("toy"):
        model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)

    def step(idx, g, i):
        if i == stop_at:
            raise KeyboardInterrupt
        return {"loss": (model(torch.randn(2, 3, 5, 5, generator=g)) - 1).square().mean()}

    with suppress(KeyboardInterrupt):
        loop.fit(step, model, n_steps=8, n_items=4, batch_size=2, lr=loop.constant(0.1), stage="conv", seed=1,
                 folder=folder, save_every=2, log=lambda line: None)
        return model.weight.detach()


def test_what_a_kill_left_beside_the_last_checkpoint_goes(tmp_path):
    first = trained(tmp_path)
    last, = checkpoint.complete(tmp_path)
    shutil.copytree(last, last.with_name("step-00000020"))
    assert trained(tmp_path) == first and checkpoint.complete(tmp_path) == [last]


def test_other_parameters_are_not_resumed(tmp_path):
    def trained(key):
        layer = nn.Linear(1, 1)
        nn.init.zeros_(layer.weight)
        steps = []
        loop.fit(lambda idx, g, i: steps.append(i) or {"loss": (layer(torch.ones(1, 1)) - 1).pow(2).mean()}, layer,
                 n_steps=3, n_items=4, batch_size=2, lr=loop.constant(0.1), stage="s", seed=0, folder=tmp_path, key=key,
                 log=lambda line: None)
        return len(steps)
    assert (trained("a"), trained("a"), trained("b")) == (3, 0, 3)


def at_key(folder, key, steps=None, stop_at=-1):
    """Train one number under `key`; `steps` is told each step that is taken, step `stop_at` is interrupted."""
    layer = nn.Linear(1, 1)
    nn.init.zeros_(layer.weight)

    def step(idx, g, i):
        if i == stop_at:
            raise KeyboardInterrupt
        if steps is not None:
            steps.append(i)
        return {"loss": (layer(torch.ones(1, 1)) - 1).pow(2).mean()}
    loop.fit(step, layer, n_steps=6, n_items=4, batch_size=2, lr=loop.constant(0.1), stage="s", seed=0, folder=folder,
             key=key, save_every=2, log=lambda line: None)


def places(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_edit_that_is_taken_back_finds_its_finished_weights(tmp_path):
    steps = []
    for key in ("before-the-edit", "after-the-edit", "before-the-edit", "after-the-edit"):
        at_key(tmp_path, key, steps)
    assert steps == 2 * list(range(6)) and places(tmp_path) == ["after-the-ed", "before-the-e"]


def test_one_finished_checkpoint_of_another_key_is_kept_the_last_one_in_use(tmp_path):
    for key in ("a", "b", "a", "c"):
        at_key(tmp_path, key)
    assert places(tmp_path) == ["a", "c"]


def test_nothing_of_another_key_goes_before_ours_is_finished(tmp_path):
    at_key(tmp_path, "finished")
    for key in ("begun", "begun too"):
        with pytest.raises(KeyboardInterrupt):
            at_key(tmp_path, key, stop_at=4)
    assert places(tmp_path) == ["begun", "begun too", "finished"]
    at_key(tmp_path, "begun too")
    assert places(tmp_path) == ["begun too", "finished"]
    assert checkpoint.is_finished(tmp_path / "finished", "finished") and loop.finished(tmp_path, "begun too")


def test_schedules():
    warm = loop.warmup_cosine(1e-4, 1e-6, 1e-5, 4000, 100000)
    assert warm(0) == pytest.approx(1e-6) and warm(4000) == pytest.approx(1e-4) and warm(100000) == pytest.approx(1e-5)
    cycle = loop.one_cycle(1.0, 100)
    assert cycle(0) == pytest.approx(1 / 25) and cycle(30) == pytest.approx(1.0) and cycle(99) < 0.01
    assert cycle(100) == cycle(101) == cycle(170) == 1 / 25 / 1e4         # its end, whatever trains on beside it


def test_every_item_once_an_epoch():
    seen = torch.cat([loop.batch_indices(s, 12, 4, 0, "s") for s in range(3)])
    assert sorted(seen.tolist()) == list(range(12))
    assert not torch.equal(seen, torch.cat([loop.batch_indices(s, 12, 4, 0, "s") for s in range(3, 6)]))


def test_keys_name_draws():
    assert torch.equal(seeding.noise(4, 1, "a"), seeding.noise(4, 1, "a"))
    assert not torch.equal(seeding.noise(4, 1, "a"), seeding.noise(4, "1", "b"))
    assert seeding.derive_seed(1, 23) != seeding.derive_seed(12, 3)


def test_fresh_weights_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeding.fresh_weights("layer"):
        first = nn.Linear(3, 3).weight
    assert torch.equal(torch.rand(2), expected)
    with seeding.fresh_weights("layer"):
        assert torch.equal(nn.Linear(3, 3).weight, first)
