"""What notebook 08 adds: the change on validation data, the best system, the record's worth."""

import numpy as np
import pandas as pd
import pytest
import torch

from namd.evaluation.stats import bootstrap
from namd.evaluation.tables import comparators, probabilities
from namd.forecasters.controls import CopyBaseline


class Seen(CopyBaseline):
    """Forecasts x2 itself, and another image at an odd seed."""

    def __init__(self, x2):
        self.x2 = x2

    def sample(self, x1, ehr, seeds):
        return torch.stack([self.x2 if seed % 2 == 0 else -self.x2 for seed in seeds])


def test_a_copy_forecasts_no_change_and_the_truth_all_of_it():
    g = torch.Generator().manual_seed(0)
    x1, x2 = (torch.rand(4, 1, 64, 64, generator=g) - 0.5 for _ in range(2))
    table = comparators.change_on_validation({"copy": CopyBaseline, "truth": lambda: Seen(x2)}, x1, x2, None, [0, 2])
    assert table.loc["copy", "delta_rmae"] == pytest.approx(2) and table.loc["truth", "delta_rmae"] == 0
    assert table.loc["copy", "spread"] == table.loc["truth", "spread"] == 0
    other = comparators.change_on_validation({"truth": lambda: Seen(x2)}, x1, x2, None, [0, 1])
    assert other.loc["truth", "spread"] == pytest.approx(x2.abs().mean().item(), rel=1e-5)


def test_the_best_system_is_chosen_anew_in_every_resample():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 60)
    prob = {row: (label + s * rng.normal(size=(2, 120))) for row, s in dict(namd=0.5, a=1.5, b=1.6, c=9).items()}
    counts = bootstrap.resample_counts(label, 400, "t")
    found = comparators.against_best(label, prob, ["a", "b", "c"], counts, "namd").iloc[0]
    single = comparators.against_best(label, prob, ["a"], counts, "namd").iloc[0]
    assert found["row"] in ("a", "b") and 0 < found["low"] < found["value"] < found["high"]
    assert single["value"] >= found["value"] and single["low"] >= found["low"] - 1e-9
    equal = comparators.against_best(label, prob | {"a": prob["namd"]}, ["a", "b"], counts, "namd").iloc[0]
    assert equal["value"] == 0 and equal["high"] <= 0 + 1e-12


def test_the_interval_knows_that_the_best_was_chosen():
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], 60)
    prob = {row: label + 1.5 * rng.permuted(np.tile(np.linspace(-2, 2, 60), (1, 2, 1)), axis=2).reshape(1, 120)
            for row in ("namd", "a", "b", "c")}                             # four rows of much the same worth
    counts = bootstrap.resample_counts(label, 400, "t")
    found = comparators.against_best(label, prob, ["a", "b", "c"], counts, "namd").iloc[0]
    drawn = {row: bootstrap.auroc_draws(label, prob[row], counts) for row in prob}
    best = [max(drawn[row][i] for row in "abc") for i in range(400)]
    assert (found["low"], found["high"]) == pytest.approx(bootstrap.percentile_interval(drawn["namd"] - best))
    fixed = bootstrap.percentile_interval(drawn["namd"] - drawn[found["row"]])
    assert found["low"] < fixed[0] - 0.005 and found["high"] < fixed[1] - 0.005, fixed


def test_the_way_from_a_system_to_namd_is_the_record_and_the_rest():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 60)
    prob = {row: label + s * rng.normal(size=(2, 120)) for row, s in dict(namd=0.5, sd15_report=0.9, sd15=3.0).items()}
    counts = bootstrap.resample_counts(label, 400, "t")
    rest, record = comparators.record_controls(label, prob, counts, "namd").itertuples()
    assert (rest.row, rest.beside, record.row, record.beside) == ("namd", "sd15_report", "sd15_report", "sd15")
    whole = comparators.against_best(label, prob, ["sd15"], counts, "namd").iloc[0]
    assert rest.value + record.value == pytest.approx(whole["value"]) and 0 < record.low < record.value < record.high
    assert comparators.record_controls(label, {row: prob[row] for row in ("namd", "sd15")}, counts, "namd").empty


def test_the_systems_readings_count_where_they_stand_beside_this_table1_alone(tmp_path, capsys):
    def together():
        return set(comparators.with_systems(ours, table1, table, theirs)["row"]), capsys.readouterr().out

    ours, table1, table, theirs = (tmp_path / name for name in ("a.parquet", "b.csv", "c.csv", "d.parquet"))
    probabilities.save_probabilities(ours, {"namd": np.full((2, 3), 0.5)}, "abc", "abc")
    pd.DataFrame(dict(row=["namd"], digest="now")).to_csv(table1)
    assert together() == ({"namd"}, "")                             # 08 has not run
    probabilities.save_probabilities(theirs, {"sd15": np.full((1, 3), 0.5)}, "abc", "abc")
    pd.DataFrame(dict(row=["sd15"], table1_digest="now")).to_csv(table)
    assert together() == ({"namd", "sd15"}, "")
    for leave in (lambda: pd.DataFrame(dict(row=["sd15"], table1_digest="then")).to_csv(table), table.unlink):
        leave()
        rows, said = together()
        assert rows == {"namd"} and said.count("\n") == 1 and "run 08 again" in said
