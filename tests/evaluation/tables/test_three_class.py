"""The three-class table, its differences, the paper's numbers beside it and what the ledger reads of it."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.stats.bootstrap import percentile_interval, resample_counts
from namd.evaluation.stats.three_class import NAMES, draws
from namd.evaluation.tables import three_class
from namd.evaluation.tables.cells import interval_cells

LABEL = np.repeat([0, 1, 2], [20, 30, 20])
PATIENT = np.repeat(np.arange(35), 2)
COUNTS = resample_counts(LABEL, 300, "t", patient=PATIENT)


def reader(skill, seed=0):
    """Probabilities that tell the truth more or less."""
    rng = np.random.default_rng(seed)
    logits = skill * np.eye(3)[LABEL] + rng.normal(size=(70, 3))
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


PROB = {"static": reader(0.5), "guided": reader(2), "logistic": reader(2.5, 1), "diameter": reader(0.5, 2)}
DRAWN = three_class.draw_arms(PROB, LABEL, COUNTS)


def test_a_line_an_arm_with_each_statistic_between_its_bounds():
    table = three_class.arm_rows(DRAWN, 70)
    assert table["arm"].tolist() == list(PROB) and (table["n"] == 70).all()
    by_hand = draws(PROB["guided"], LABEL, np.ones((1, 70)))
    line = table.set_index("arm").loc["guided"]
    for name in NAMES:
        assert line[name] == pytest.approx(by_hand[name][0])
        assert line[f"{name}_low"] <= line[name] <= line[f"{name}_high"]
    assert " [" in interval_cells(table, {"f1_unsure": 3}).iloc[0, 0]


def test_differences_are_paired_and_turned_the_way_their_names_say():
    table = three_class.differences(DRAWN, 70)
    assert list(table[["row", "beside"]].drop_duplicates().itertuples(index=False, name=None)) == [
        ("guided", "static"), ("logistic", "static"), ("diameter", "static"),
        ("guided", "logistic"), ("guided", "diameter")]
    line = table.set_index(["row", "beside", "statistic"]).loc["guided", "static", "f1_unsure"]
    drawn = {arm: draws(PROB[arm], LABEL, COUNTS)["f1_unsure"] for arm in ("guided", "static")}
    assert (line["low"], line["high"]) == pytest.approx(percentile_interval(drawn["guided"] - drawn["static"]))
    gain = percentile_interval(drawn["guided"] / drawn["static"] - 1)
    assert (line["relative_low"], line["relative_high"]) == pytest.approx(gain)
    itself = {arm: draws(PROB[arm], LABEL, np.ones((1, 70)))["f1_unsure"][0] for arm in PROB}
    assert line["value"] == pytest.approx(itself["guided"] - itself["static"]) and line["verdict"] == "better"
    assert line["relative"] == pytest.approx(itself["guided"] / itself["static"] - 1)


def test_the_papers_numbers_stand_beside_ours_and_gains_never_compare():
    lengths = {16: DRAWN["static"], 50: DRAWN["guided"]}
    beside = three_class.beside_paper(DRAWN, lengths)
    assert beside["paper"].tolist() == [0.646, 0.16, 0.24, 0.06, 0.661]
    assert beside["quantity"].tolist()[-1] == "accuracy, 50 context tokens" and "64.6 %" in beside["place"].iloc[-1]
    assert [said.split(":")[0] for said in beside["comparable"]] == ["yes", *3 * ["not comparable"], "yes"]
    whole = three_class.arm_rows(DRAWN, 70).set_index("arm")
    gain = whole.loc["guided", "recall_unsure"] / whole.loc["static", "recall_unsure"] - 1
    assert beside["here"].tolist()[:2] == pytest.approx([whole.loc["guided", "accuracy"], gain])
    told = three_class.panel_rows(three_class.beside_paper(DRAWN, lengths, "phantom data"), 70)
    assert {line["why"] for line in told} == {"phantom data"} and not any(line["comparable"] for line in told)
    assert told[0]["paper"] == "64.6%" and told[0]["quantity"] == "accuracy (Abstract)"


def test_a_length_is_set_against_the_best_other_of_each_resample():
    drawn = {number: {"accuracy": np.array(values)} for number, values in (
        (10, [0.5, 0.7, 0.1]), (50, [0.6, 0.6, 0.6]), (70, [0.4, 0.2, 0.8]))}
    assert three_class.against_other_lengths(drawn, 50) == pytest.approx([0.1, -0.1, -0.2])
    assert np.isnan(three_class.against_other_lengths(drawn, 16)).all()
    assert np.isnan(three_class.against_other_lengths({50: drawn[50]}, 50)).all()


def test_effects_hold_one_line_a_claim_and_the_published_weights_wait_without_a_number():
    table = three_class.effects(DRAWN, {}, 70, "phantom", "why").set_index(["quantity", "row", "beside"])
    assert list(table.index) == [
        ("unsure recall, relative", "guided", "static"), ("unsure F1, relative", "guided", "static"),
        ("accuracy, relative", "guided", "static"), ("macro F1", "guided", "logistic"),
        ("macro F1", "guided", "diameter"), ("accuracy", "AIMv2", "CLIP"),
        ("accuracy", "50 tokens", "best other length")]
    assert table["value"].isna().tolist() == 5 * [False] + [True, True]
    assert set(table["n"]) == {70} and set(table["data"]) == {"phantom"} and set(table["k"]) == {1}
    gain = table.loc["accuracy, relative", "guided", "static"]
    rows = three_class.arm_rows(DRAWN, 70).set_index("arm")["accuracy"]
    assert gain["value"] == pytest.approx(rows["guided"] / rows["static"] - 1) and gain["low"] > 0
    assert table.loc["macro F1", "guided", "logistic"]["value"] < 0


def test_what_a_group_moves_is_measured_in_lengths_of_delta():
    delta = np.array([[3.0, 4.0], [0.0, 5.0]])
    without = {"size": delta, "shape": np.zeros((2, 2)), "texture": delta + [[0.0, 1.0], [0.0, 0.0]]}
    counts = np.array([[2, 0], [0, 2], [1, 1]])
    table = three_class.moves(delta, without, counts).set_index("group")
    assert table.index.tolist() == ["shape", "texture", "size"]
    assert table["value"].tolist() == pytest.approx([1, 0.1, 0])
    assert 0 <= table.loc["texture", "low"] < 0.01 and 0.19 < table.loc["texture", "high"] <= 0.2


def test_seeds_stand_side_by_side_and_their_mean_has_an_interval_of_its_own():
    worse = PROB | {"guided": PROB["static"], "static": PROB["guided"]}
    table = three_class.by_seed({23: PROB, 24: worse, 25: PROB}, LABEL, COUNTS).set_index(["statistic", "seed"])
    assert list(table.loc["macro_f1"].index) == [23, 24, 25, "mean"]
    assert set(table.index.get_level_values(0)) == {"accuracy", "macro_f1", "f1_unsure"} and (table["n"] == 70).all()
    paired = three_class.differences(DRAWN, 70).set_index(["row", "beside", "statistic"]).loc["guided", "static"]
    for name in three_class.BY_SEED:
        line = table.loc[(name, 23)]
        assert line[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
            paired.loc[name, ["value", "low", "high"]].tolist())
        assert line["guided"] - line["static"] == pytest.approx(line["difference"])
        assert table.loc[(name, 24), "difference"] == pytest.approx(-line["difference"])
        mean = table.loc[(name, "mean")]
        assert mean["difference"] == pytest.approx(line["difference"] / 3)      # (1 - 1 + 1) / 3, resample by resample
        assert mean["difference_low"] == pytest.approx(line["difference_low"] / 3)
    assert table.loc["macro_f1", "verdict"].tolist() == ["better", "worse", "better", "better"]


def test_the_sentence_on_seeds_counts_lower_bounds_and_leaves_the_mean_out():
    worse = PROB | {"guided": PROB["static"], "static": PROB["guided"]}
    table = three_class.by_seed({23: PROB, 24: worse, 25: PROB}, LABEL, COUNTS)
    gain = table.loc[(table["statistic"] == "macro_f1") & (table["seed"] == 23), "difference"].iloc[0]
    assert three_class.over_seeds(table) == (
        "Macro F1, guided - static: the lower bound is above 0 on 2 of 3 seeds of folds and training; the mean"
        f" difference is {gain / 3:.3f}, from {-gain:.3f} to {gain:.3f}.")
    table = pd.DataFrame(dict(seed=[23, 24, 25, "mean"], statistic="macro_f1", difference=[0.02, 0.03, 0.04, 0.03],
                              difference_low=[-0.01, 0.01, 0.02, 0.01]))
    assert "above 0 on 2 of 3 seeds" in three_class.over_seeds(table)           # the first gains, but not for certain
    alone = three_class.by_seed({23: PROB}, LABEL, COUNTS)
    assert len(alone) == 3 and "on 1 of 1 seeds" in three_class.over_seeds(alone)
