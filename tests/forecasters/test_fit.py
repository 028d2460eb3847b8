"""How a compared system is tuned and trained: each rate from the first weights, by val, under its stage's settings."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn

from namd.data.cohort import Pairs
from namd.forecasters import trained, tuning
from namd.forecasters.trained import ComparedSystem, TrainingStage
from namd.ground import files

P = SimpleNamespace(seed=23, device="cpu", system_steps=8, system_tune_steps=3, system_rates=[1e-3, 1e-2, 1e-1],
                    system_batch=2, ema_decay=0.9, grad_clip=1.0, save_every=5)
VAL_LOSS = {1e-3: 0.3, 1e-2: 0.1, 1e-1: 0.2}


class System(ComparedSystem):
    """One number that learns."""

    def build(self):
        return {"net": nn.Linear(1, 1)}

    def stages(self, train, val):
        self.given = list(train.table.index), list(val.table.index)
        yield TrainingStage("one", dict(self.nets), None, None, settings=dict(ema_decay=0.25))

    def draw(self, x1, ehr, noise):
        return x1


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """A fitted System, and what each call of loop.fit was given."""
    calls = []

    def fit(step, nets, **given):
        rate = max(given["lr"](i) for i in range(given["n_steps"]))
        calls.append(given | dict(start=nets["net"].weight.item(), rate=rate))
        with torch.no_grad():
            nets["net"].weight.add_(1)
        return pd.DataFrame(dict(step=[1, 2], val_loss=[9.0, VAL_LOSS[min(VAL_LOSS, key=lambda r: abs(r - rate))]]))
    monkeypatch.setattr(trained.loop, "fit", fit)
    table = pd.DataFrame(dict(split=["train", "val", "train", "train", "val"]), index=list("abcde"))
    made = System(tmp_path, P, key="k")
    made.fit(Pairs(table, None))
    return made, calls


def test_val_is_held_out_of_training(fitted):
    assert fitted[0].given == (list("acd"), list("be"))


def test_every_rate_and_the_last_training_start_from_the_first_weights(fitted):
    made, calls = fitted
    assert len({call["start"] for call in calls}) == 1 and made.nets["net"].weight.item() == calls[0]["start"] + 1
    assert [call["n_steps"] for call in calls] == [3, 3, 3, 8]


def test_the_rate_of_the_lowest_loss_trains_under_the_settings_of_its_stage(fitted):
    calls = fitted[1]
    assert calls[-1]["rate"] == calls[1]["rate"] and len({call["rate"] for call in calls}) == 3
    assert all((call["ema_decay"], call["grad_clip"]) == (0.25, 1.0) for call in calls)


def test_a_kill_during_the_tries_leaves_none_of_their_checkpoints(fitted, tmp_path):
    made, calls = fitted
    tries = sorted(path.name for path in made.checkpoints.glob("one-*.json"))
    assert tries == ["one-0.001.json", "one-0.01.json", "one-0.1.json"]
    left = made.checkpoints / "one-0.01"            # the kill came when its loss was kept and it still there
    files.write_json(left / "state.json", {})
    (made.folder / trained.WEIGHTS).unlink()
    n_before = len(calls)
    again = System(tmp_path, P, key="k")
    again.fit(Pairs(pd.DataFrame(dict(split=["train", "val"])), None))
    assert [call["n_steps"] for call in calls[n_before:]] == [8] and calls[-1]["start"] == calls[0]["start"]
    assert not left.exists() and not (made.checkpoints / "one.safetensors").exists()


def test_tries_of_another_key_do_not_count(fitted, tmp_path):
    _, calls = fitted
    n_before = len(calls)
    System(tmp_path, P, key="another").fit(Pairs(pd.DataFrame(dict(split=["train", "val"])), None))
    assert [call["n_steps"] for call in calls[n_before:]] == [3, 3, 3, 8]


def test_a_rate_that_diverges_is_not_taken(tmp_path):
    def diverges():
        raise FloatingPointError
    tried = tuning.Tried(tmp_path / "one.json", "k")
    tried.keep(diverges)
    assert tried.loss == float("inf") and tuning.Tried(tmp_path / "one.json", "k").loss == float("inf")
