"""K runs on disk: the right seeds, the same images for any number of processes, a long table of probabilities."""

import numpy as np
import pandas as pd
import pytest
import torch

from namd.evaluation import runs
from namd.forecasters.base import Forecaster
from namd.training.seeding import noise


class Speckle(Forecaster):
    """x1 plus noise keyed by (seed, pair_id)."""

    def fit(self, pairs, params):
        """Nothing to learn."""

    def sample(self, x1, ehr, seeds):
        return torch.stack([x1 + torch.stack([noise(x1.shape[1:], seed, i) for i in ehr.index]) for seed in seeds])


def test_run_seeds_are_the_authors_then_ours():
    assert runs.run_seeds(3) == [642, 115, 893]
    assert len(set(runs.run_seeds(40))) == 40
    assert runs.run_seeds(22)[19:] == [974, 1000, 1001]


def test_rows_do_not_depend_on_the_number_of_processes(tmp_path):
    x1, ehr = torch.zeros(3, 1, 4, 4), pd.DataFrame({"age": [60, 61, 62]}, index=["a", "b", "c"])
    makers, seeds = {"first": Speckle, "second": Speckle}, {"first": [1, 2], "second": [2]}
    for workers in (1, 2):
        runs.draw_rows(makers, x1, ehr, seeds, tmp_path / str(workers), threads=1, workers=workers)
    one, two = (runs.load_row(tmp_path / str(w), "first") for w in (1, 2))
    assert one.shape == (2, 3, 1, 4, 4) and torch.equal(one, two)
    assert torch.equal(one[1], runs.load_row(tmp_path / "1", "second")[0])
    assert sorted(f.name for f in (tmp_path / "1").iterdir()) == ["first.npy", "second.npy"]


def test_a_row_is_drawn_again_only_under_another_key(tmp_path):
    ehr = pd.DataFrame({"age": [60]}, index=["a"])
    drawn = []
    for bright, key in ((0.0, "k1"), (0.5, "k1"), (0.5, "k2"), (0.25, "")):
        runs.draw_rows({"row": Speckle}, torch.full((1, 1, 2, 2), bright), ehr, {"row": [1]}, tmp_path, key=key)
        drawn.append(runs.load_row(tmp_path, "row"))
    assert torch.equal(drawn[0], drawn[1])
    assert (drawn[2] - drawn[1]).mean().item() == pytest.approx(0.5, abs=1e-3)
    assert (drawn[3] - drawn[1]).mean().item() == pytest.approx(0.25, abs=1e-3)


def test_probability_table_is_long_and_keeps_the_order():
    table = runs.probability_table({"namd": np.array([[0.1, 0.2], [0.3, 0.4]]), "direct": np.array([[0.5, 0.6]])},
                                   ["a", "b"])
    assert len(table) == 6 and list(table.columns) == ["row", "run", "seed", "pair_id", "prob"]
    assert table.query("row == 'namd' and run == 1 and pair_id == 'b'")["prob"].item() == 0.4
    assert table.query("run == 1")["seed"].unique() == [115]
