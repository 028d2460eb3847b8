"""Bars hang on training, drawing and reading from outside; what comes out is the same."""

import time

import pandas as pd
import pytest
import torch
from torch import nn
from tqdm import tqdm

from namd.forecasters import drawing
from namd.forecasters.base import Forecaster
from namd.ground.workers import in_order
from namd.study.lab import progress
from namd.training import loop

BARS = []


class Seen(tqdm):
    """A bar that the test can look at after it was closed."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        BARS.append(self)


@pytest.fixture(autouse=True)
def bars(monkeypatch):
    monkeypatch.setattr(progress, "tqdm", Seen)
    BARS.clear()


def trained(folder, fit, dies=None, **more):
    torch.manual_seed(0)
    layer = nn.Linear(2, 1)

    def step(idx, g, i):
        if i == dies:
            raise InterruptedError
        return {"loss": (layer(torch.randn(len(idx), 2, generator=g)) - 1).square().mean()}
    fit(step, layer, n_steps=10, n_items=6, batch_size=3, lr=loop.constant(0.05), stage="vae", seed=0, folder=folder,
        save_every=3, **more)
    return layer.weight.detach()


def test_a_bar_counts_the_steps_of_a_training_and_changes_none(tmp_path, capsys):
    plain = trained(tmp_path / "a", loop.fit)
    printed = capsys.readouterr().out
    barred = trained(tmp_path / "b", progress.training(loop.fit))
    assert torch.equal(plain, barred) and "step 10/10" in printed and not capsys.readouterr().out
    (bar,) = BARS
    assert (bar.n, bar.total, bar.desc.strip(": ")) == (10, 10, "vae") and bar.postfix.startswith("loss ")


def test_a_resumed_training_begins_where_it_was_and_a_finished_one_shows_none(tmp_path, capsys):
    fit = progress.training(loop.fit)
    with pytest.raises(InterruptedError):
        trained(tmp_path, fit, dies=7)
    trained(tmp_path, fit)
    assert [(bar.initial, bar.n) for bar in BARS] == [(0, 7), (6, 10)]
    assert "resumed at step 6 of 10" in capsys.readouterr().out
    trained(tmp_path, fit)
    assert len(BARS) == 2


def test_whoever_says_what_to_log_gets_lines(tmp_path):
    lines = []
    trained(tmp_path, progress.training(loop.fit), log=lines.append)
    assert len(lines) == 10 and not BARS


class Slow(Forecaster):
    """The baseline again, after a while."""

    def fit(self, pairs, params):
        """Nothing to learn."""

    def sample(self, x1, ehr, seeds):
        time.sleep(0.1)
        return torch.stack([x1 for _ in seeds])


def test_a_bar_counts_the_pieces_that_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.02)
    x1 = torch.zeros(6, 1, 4, 4)
    ehr = pd.DataFrame(index=list("abcdef"))
    rows = {"one": Slow, "two": Slow}
    for _ in range(2):          # what is there already is not drawn and shows no bar
        progress.drawing(drawing.draw_rows)(rows, x1, ehr, dict.fromkeys(rows, [1, 2]), tmp_path, 4,
                                            keys=dict.fromkeys(rows, "k"))
    (bar,) = BARS
    assert bar.total == 6 and 3 <= bar.n <= 6
    assert drawing.load_row(tmp_path, "two").shape == (2, 6, 1, 4, 4)


def test_a_bar_counts_the_jobs_of_a_reading():
    jobs = ((n,) for n in (-1, 2, -3))
    assert list(progress.jobs_of("series", in_order)(abs, jobs, 1)) == [1, 2, 3]
    assert (BARS[0].n, BARS[0].total) == (3, 3)


def test_headless_nothing_is_hung_on_anything():
    before = loop.fit
    progress.watch()
    assert loop.fit is before
