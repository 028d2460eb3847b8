"""Sentences and the table of notebook 01 hold the numbers of the cohort, and turn when these do."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.tables import told_pairs

NODULES = pd.DataFrame({"sct_pre_att": [1, 1, 1, 1, 2, 3, 3, np.nan],
                        "sct_long_dia": [5, 7, 12, 20, 20, 5, 9, 9],
                        "sct_perp_dia": [5, 7, 10, 18, 20, 5, 9, 9],
                        "label": [0, 0, 1, 1, 0, 0, 1, 0]})


def test_the_commonest_reason_is_named():
    lost = pd.DataFrame({"code": ["E11", "E08", "E11"]})
    assert told_pairs.kept(1200, lost) == "1,200 pairs, 3 nodules refused; the commonest reason is E11, 2 times."
    assert told_pairs.kept(5, lost.head(2)) == "5 pairs, 2 nodules refused, each for another reason."
    assert told_pairs.kept(5, lost.head(0)) == "5 pairs, 0 nodules refused."


def test_the_interval_leaves_missing_days_out():
    days = [*range(300, 401), None]
    assert told_pairs.interval(days) == "Between the two scans lie 350 days (median; 90 % of the pairs: 305 to 395)."
    assert told_pairs.interval([None]) == ""


def test_overlap_of_growth_is_counted():
    said = told_pairs.size_and_growth([10, 10, 10, 10], [11, 11, 12, 10], [0, 0, 1, 1])
    assert "A benign nodule has 10 mm at T0, and +10% at T1" in said
    assert "50% of the malignant ones grow no more" in said
    assert told_pairs.size_and_growth([10], [11], [1]) == ""


def test_every_nodule_has_a_category_or_a_reason():
    table = told_pairs.categories(NODULES)
    assert table.loc["2", "benign"] == 3 and table.loc["3", "benign"] == 1
    assert table.loc["4A", "malignant"] == table.loc["4B", "malignant"] == 1
    assert table.loc[told_pairs.BY_CORE, "malignant"] == 1 and table.loc[told_pairs.UNKNOWN, "benign"] == 1
    assert table[["benign", "malignant"]].to_numpy().sum() == len(NODULES)
    assert table.loc["4A", "what follows"] == "CT in 3 months"


def test_those_that_would_not_wait_are_counted():
    assert told_pairs.at_once(told_pairs.categories(NODULES)).startswith("2 of 3 malignant nodules")
    assert told_pairs.at_once(told_pairs.categories(NODULES[NODULES.label == 0])) == ""


def test_without_a_size_there_is_no_selection_by_size():
    assert told_pairs.selected([None, None], [0, 1], [0, 0]) == "No size is known."


@pytest.mark.parametrize(("gone", "said"), [([0, 0, 0, 1], "33.3% malignant"), ([0, 0, 1, 1], "one class alone")])
def test_selection_changes_share_and_auroc(gone, said):
    told = told_pairs.selected([4, 8, 6, 20], [0, 0, 1, 1], gone)
    assert told.startswith("all: 50.0% malignant, AUROC of the size 0.750 and those who come back: ") and said in told


@pytest.mark.parametrize(("after", "said"), [
    ([11, 12, 10, 13], "least here goes from 10 to 10 mm, the benign one that grows most from 10 to 12 mm: by growth"
                       " alone one would take them for each other."),
    ([11, 10, 12, 13], "from 10 to 12 mm, the benign one that grows most from 10 to 11 mm: among these, growth tells"),
    ([11, 12, 12, 13], "nobody could tell them apart")])
def test_the_exceptions_among_pictured_pairs_are_named(after, said):
    assert said in told_pairs.shown([10] * 4, after, [0, 0, 1, 1])
    assert told_pairs.shown([10, None], [11, 12], [1, 0]) == ""


def test_growth_is_a_ratio_and_no_size():
    said = told_pairs.shown([10, 40, 20, 20], [15, 42, 21, 30], [0, 0, 1, 1])
    assert "goes from 20 to 21 mm, the benign one that grows most from 10 to 15 mm" in said
