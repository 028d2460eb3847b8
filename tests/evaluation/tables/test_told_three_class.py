"""Each sentence of 09 says its numbers, and turns when they do."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.tables import told_three_class as told


def test_what_the_crop_hides_is_told_in_millimetres():
    assert told.sizes_hidden(np.array([20.0, 5.0, 10.0]), 2, 64) == (
        "On the scan the largest of 3 nodules is 4.0 times as wide as the smallest, 20.0 mm beside 5.0. In the crop"
        " each takes 1/2 of the side, so that a pixel is worth 0.16 to 0.62 mm, and no picture says which.")


def test_rates_are_counted_by_fold():
    tuned = pd.DataFrame(dict(arm=["static"] * 2 + ["guided"] * 2 + ["CoCoOp"], chosen=[0.001, 0.001, 0.1, 0.01, 1]))
    assert told.rates_chosen(tuned) == ("Static prompts chose 0.001 in 2 of 2 folds;"
                                        " guided prompts chose 0.01 in 1 of 2 folds and 0.1 in 1 of 2 folds.")


def test_the_loss_is_told_from_its_ends():
    said = told.loss_fell(pd.DataFrame(dict(loss=[1.2, 1.0, 0.9, None, 0.8, 0.7])))
    assert "from 1.20 to 0.70 nats; a guess of thirds has 1.10" in said


def test_the_arms_come_from_the_plainest_up():
    table = pd.DataFrame(dict(arm=["guided", "static", "majority"], accuracy=[0.69, 0.671, 0.498]))
    assert told.arms_read(table) == "Accuracy: majority 0.498, static 0.671 and guided 0.690."


def test_confusion_names_the_most_frequent_mistake():
    said = told.most_confused([[6, 4, 0], [1, 8, 1], [0, 3, 7]], "guided")
    assert "60% of the benign nodules are called so, and 40% unsure" in said and "30% unsure." in said


@pytest.mark.parametrize(("low", "high", "said"), [(0.01, 0.03, "+0.020 [+0.010, +0.030], better"),
                                                   (-0.01, 0.05, "undecided"), (-0.05, -0.01, "worse")])
def test_gains_are_worded_by_their_intervals(low, high, said):
    rows = [dict(row=row, beside="static", statistic=name, value=0.02, low=low, high=high)
            for row, name in (("guided", "macro_f1"), ("CoCoOp", "macro_f1"), ("guided", "accuracy"))]
    words = told.gains(pd.DataFrame(rows))
    assert words.startswith("Macro F1, guided minus static (the paper's claim)") and said in words


@pytest.mark.parametrize(("half", "said"), [(0.03, "0.030 apart, less than one interval"), (0.005, "more than")])
def test_lengths_are_held_against_an_interval(half, said):
    sweep = pd.DataFrame(dict(tokens=[4, 16], accuracy=[0.71, 0.68])).assign(
        accuracy_low=lambda t: t["accuracy"] - half, accuracy_high=lambda t: t["accuracy"] + half)
    words = told.lengths_differ(sweep)
    assert said in words and "best with 4 tokens (0.710) and worst with 16" in words


def test_the_first_and_the_last_group_are_told():
    moves = pd.DataFrame(dict(group=["texture", "shape"], value=[0.68, 0.1], low=[0.66, 0.09], high=[0.7, 0.12]))
    said = told.moved_most(moves)
    assert "Without texture" in said and "without shape by 0.10 [0.09, 0.12]" in said


def test_doubts_are_compared_at_both_ends():
    doubt = pd.DataFrame(dict(part=[1, 2, 3], value=[0.37, 0.53, 0.5], low=[0.35, 0.5, 0.47], high=[0.39, 0.56, 0.53]))
    said = told.doubts_meet(doubt)
    assert "do not overlap. It is highest in part 2 of 3 (0.53)" in said
    assert "0.37 [0.35, 0.39] where Var(p) is least and 0.50 [0.47, 0.53] where it is largest" in said
    assert "intervals overlap" in told.doubts_meet(doubt.assign(low=0.1))
    assert "do not overlap" in told.doubts_meet(doubt[::-1])
