"""Each sentence of 06 says its numbers, and turns when its interval does."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.stats.variance import REGIMES
from namd.evaluation.tables import told_variance as told

SURE, UNSURE, WRONG = REGIMES
TABLE = pd.DataFrame(dict(label=[0, 0, 1, 1], prob_mean=[0.1, 0.2, 0.56, 0.03]))


def test_regimes_are_told_with_their_mean_probability():
    said = told.regimes_found(TABLE, np.array([SURE, SURE, SURE, WRONG]))
    assert "Confidently correct: 2 benign (mean p 0.15) and 1 malignant (mean p 0.56); unsure: none" in said
    assert "No mean p exceeds 0.56: the judge is never sure of malignancy" in said
    assert "The largest mean p is 0.90" in told.regimes_found(TABLE.assign(prob_mean=0.9), np.array([SURE] * 4))


@pytest.mark.parametrize(("fall", "said"), [
    ((0.002, 0.001, 0.003), "larger than in the highest"), ((-0.002, -0.003, -0.001), "smaller than in the highest"),
    ((0.001, -0.001, 0.003), "not to be told from the highest"), ((np.nan,) * 3, "nothing to compare")])
def test_the_arch_is_worded_by_its_interval(fall, said):
    assert said in told.arch((0.004, 0.003, 0.005), fall)


@pytest.mark.parametrize(("lead", "said"), [
    ((0.5, 0.2, 0.8), "benign ones are"), ((-0.5, -0.8, -0.2), "malignant ones"),
    ((0.1, -0.2, 0.4), "no difference is certain")])
def test_confident_shares(lead, said):
    words = told.confident_shares(np.array([1.0, 1, 1, 0]), np.array([0, 0, 1, 1]), lead)
    assert said in words and "100% of the benign nodules and 50% of the malignant" in words


def test_the_cases_name_the_confident_ones_alone():
    picked = {(SURE, 0): 0, (SURE, 1): 2, (UNSURE, 0): 1, (WRONG, 1): None}
    said = told.chosen_cases(TABLE, picked)
    assert "correct benign one has 0.10 and the confidently correct malignant one has 0.56" in said
    assert "0.20" not in said


WITHIN = pd.DataFrame(dict(width=[1.8, 3.6, 5.4], share=[0.3, 0.5, 0.6]))


@pytest.mark.parametrize(("share", "inside", "said"), [
    ((0.3, 0.27, 0.31), (0.02, 0.01, 0.03), "peaks at the boundary: the ring holds 0.30 [0.27, 0.31] of it on 7%"),
    ((0.3, 0.27, 0.31), (0.02, 0.01, 0.03), "less than half of all variance; half of it lies within 3.6 mm"),
    ((0.6, 0.55, 0.7), (0.02, -0.01, 0.03), "may or may not peak"), ((0.6, 0.55, 0.7), (0.0, -1, 1), "more than half")])
def test_the_ring_is_held_against_both_sides_and_one_half(share, inside, said):
    assert said in told.ring_found(share, 0.07, inside, (0.03, 0.02, 0.04), WITHIN)


@pytest.mark.parametrize(("inside", "outside", "said"), [
    ((0.02, 0.01, 0.03), (0.01, -0.01, 0.03), "may or may not peak"),
    ((-0.02, -0.03, -0.01), (-0.02, -0.04, -0.01), "has no peak at the boundary"),
    ((0.02, 0.01, 0.03), (-0.02, -0.03, -0.01), "has no peak at the boundary"),        # one higher side is enough
    ((-0.02, -0.03, -0.01), (0.02, 0.01, 0.03), "has no peak at the boundary")])
def test_a_peak_stands_above_both_sides(inside, outside, said):
    assert said in told.ring_found((0.3, 0.27, 0.31), 0.07, inside, outside, WITHIN)


@pytest.mark.parametrize(("gap", "said"), [
    ((0.001, -0.004, 0.006), "are alike"), ((-0.05, -0.07, -0.03), "smaller where"),
    ((0.05, 0.03, 0.07), "larger where"), ((0.0, -0.02, 0.02), "not certainly alike"),
    ((np.nan,) * 3, "cannot be compared")])
def test_errors_are_alike_only_inside_the_margin(gap, said):
    assert said in told.errors_alike(*gap, 0.01)


def test_pixels_fix_less_than_half_only_by_their_interval():
    assert "0.31 [0.26, 0.35] of the order" in told.pixels_fix(0.31, 0.26, 0.35)
    ends = {"less": (0.26, 0.35), "perhaps": (0.4, 0.6), "more than": (0.6, 0.8)}
    assert all(f": {word}" in told.pixels_fix(0.5, *pair) for word, pair in ends.items())


def test_a_plateau_that_moves_is_told():
    share = {"judged against run 4": [0, 0.2, 0.6, 1], "judged against run 3": [0, 0.6, 1]}
    assert "run 4, at run 3 and judged against run 3, at run 2: the plateau follows" in told.plateau(share)
    assert "does not depend" in told.plateau({"a": [0, 1, 1, 1], "b": [0, 1, 1]})


def test_the_runs_that_each_precision_takes():
    said = told.runs_needed((8, 8, 9), 51, 3.0, 0.019)
    assert "8 [8, 9] for the mean p, 51 for its variance, 3 for the AUROC" in said and "0.019, stays" in said


@pytest.mark.parametrize(("gain", "said"), [((-0.04, -0.07, -0.01), "falls (-0.040"), ((0.04, 0.01, 0.07), "rises"),
                                            ((0.0, -0.1, 0.1), "does not certainly"), ((np.nan,) * 3, "no AUROC")])
def test_referral_is_held_against_calling_all_benign(gain, said):
    quarter = pd.Series([*gain, 0.107, 0.106], ["gain", "gain_low", "gain_high", "error", "malignant"])
    words = told.referred(quarter, 0.25)
    assert said in words and ("10.7% get a wrong answer, no fewer than" in words or np.isnan(gain[0]))


def test_fewer_wrong_answers_than_calling_all_benign_are_told():
    quarter = pd.Series([0.04, 0.01, 0.07, 0.09, 0.106], ["gain", "gain_low", "gain_high", "error", "malignant"])
    assert "9.0% get a wrong answer, fewer than if each was called benign (10.6%)" in told.referred(quarter, 0.25)


def test_verdicts_are_counted_and_the_open_ones_named():
    claims = pd.DataFrame(dict(claim=["It rises", "It is a ring", "It falls", "It leads"],
                               verdict=["holds", "fails", "undecided", "holds"]), ["rise", "ring_most", "fall", "lead"])
    assert told.settled(claims) == '2 of 4 claims hold; fails: "It is a ring"; undecided: "It falls".'
