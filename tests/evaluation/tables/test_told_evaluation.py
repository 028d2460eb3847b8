"""Each sentence says the number that its table holds, and turns when the interval does."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.stats import bootstrap
from namd.evaluation.tables import told_evaluation as told

LABEL = np.repeat([1, 0], [20, 80])
GOOD = LABEL + np.linspace(0, 0.9, 100)                    # every malignant nodule above every benign one
CHANCE = np.tile([0.2, 0.8], 50)


@pytest.mark.parametrize(("before", "after", "said"), [
    (CHANCE, GOOD, "0.500 on real baselines and 1.000 on real follow-ups"), (CHANCE, GOOD, "a forecast may win"),
    (GOOD, CHANCE, "nothing to win"), (CHANCE, CHANCE, "undecided")])
def test_the_worth_of_the_year_is_worded_by_its_interval(before, after, said):
    prob = {"real baseline": before[None], "real follow-up": after[None]}
    assert said in told.worth_of_the_year(LABEL, prob, None)


@pytest.mark.parametrize(("offset", "said"), [(-0.2, "darker than the follow-up, so growth is under-shot"),
                                              (0.2, "over-shot"), (0, "neither darker nor brighter")])
def test_growth_is_shot_by_the_middle_alone(offset, said):
    x2 = np.zeros((30, 1, 8, 8))
    x2_hat = np.random.default_rng(0).normal(0, 0.01, (2, 30, 1, 8, 8))
    x2_hat[..., 2:6, 2:6] += offset
    x2_hat[..., :2, :] = 1                                  # a rib at the rim is no growth
    assert said in told.middle_error(x2_hat, x2, bootstrap.resample_counts(np.zeros(30), 200, 1))


IMAGES = pd.DataFrame(dict(lpips_mean=[0.58, 0.55], delta_rmae_mean=[1.09, 2.0], fid_mean=[0.6, 0.76],
                           fid_lite0_mean=[188.7, 5.6]), ["namd", "copy-baseline"])
FLOORS = pd.DataFrame(dict(FID=[0.22, 0.76]), ["floor", "baseline"])


def test_likeness_names_the_nearer_one_and_the_texture_where_it_was_measured():
    said = told.likeness(IMAGES, FLOORS, "namd")
    assert "farther from" in said and "188.7 against 5.6" in said
    assert "features is 0.60; real images have 0.22 among themselves, the copy has 0.76." in said
    nearer = told.likeness(IMAGES.drop(columns="fid_lite0_mean").assign(lpips_mean=[0.5, 0.55]), FLOORS, "namd")
    assert "nearer to" in nearer and "texture" not in nearer


@pytest.mark.parametrize(("low", "high", "said"), [(0.51, 0.57, "too alike (0.60)"), (0.65, 0.7, "too far apart"),
                                                   (0.55, 0.65, "as often as honest draws")])
def test_coverage_is_held_against_honest_draws(low, high, said):
    of = pd.DataFrame(dict(diameter_error=[1.86, 2.06], coverage=[0.6, np.nan], coverage_low=[low, np.nan],
                           coverage_high=[high, np.nan], coverage_nominal=[0.6, np.nan]), ["namd", "copy-baseline"])
    assert said in told.known_growth(of, "namd")
    assert "diameter: NAMD 1.86 mm and copied baseline 2.06 mm." in told.known_growth(of, "namd")


def test_the_rows_are_told_from_the_best_down():
    table = pd.DataFrame(dict(auroc_mean=[0.748, 0.802], auroc_kmean=[0.76, 0.802], k=[4, 1]), ["namd", "record only"])
    assert told.standing(table, "namd").endswith("record only 0.802 and NAMD 0.748. NAMD is number 2 of 2.")
    assert told.headline(table, "namd") == "AUROC: NAMD 0.76, record only 0.80"
    assert "4 readings of each nodule moves NAMD's AUROC from 0.748 to 0.760" in told.averaged(table, "namd")


def test_other_judges_are_told_where_there_are_some():
    read = pd.DataFrame({"judge 1": [0.75, 0.71], "judge 2": [0.75, 0.68], "sd": [0.0, 0.021]},
                        ["namd", "real baseline"])
    assert "0.000 for NAMD and 0.021 for the real baseline" in told.other_judges(read, "namd")
    assert "+0.040 and +0.070" in told.other_judges(read, "namd")
    assert "One judge" in told.other_judges(read.drop(columns="judge 2"), "namd")


def test_verdicts_name_every_row_by_the_mean_over_runs():
    rows = [("direct", "auroc", "mean over runs", "better"), ("direct", "auroc", "K-mean", "worse"),
            ("oracle", "auroc", "mean over runs", "undecided"), ("oracle", "lpips", "mean over runs", "worse")]
    said = told.verdicts(pd.DataFrame(rows, columns=["row", "metric", "statistic", "verdict"]), "namd")
    assert "better than NAMD: baseline + record (direct); worse: none; undecided: oracle" in said


def test_gaps_are_told_for_each_ceiling_that_exists():
    gaps = pd.DataFrame([("namd", "real follow-up", 0.77, 0.48, 1.26), ("namd", "oracle", 0.99, 0.62, 1.69),
                         ("direct", "oracle", 2.28, 1.6, 3.85)], columns=["row", "ceiling", "value", "low", "high"])
    said = told.gaps_closed(gaps, "namd")
    assert "0.77 [0.48, 1.26] of the way to the real follow-up and 0.99 [0.62, 1.69]" in said and "2.28" in said
    assert "no gap" in told.gaps_closed(gaps.assign(value=np.nan), "namd")


def test_without_an_oracle_the_real_follow_up_is_the_ceiling_of_direct_too():
    gaps = pd.DataFrame([("namd", "real follow-up", 0.77, 0.48, 1.26), ("direct", "real follow-up", 1.9, 1.2, 3.1)],
                        columns=["row", "ceiling", "value", "low", "high"])
    said = told.gaps_closed(gaps, "namd")
    assert "closes 0.77 [0.48, 1.26] of the way to the real follow-up;" in said and "(direct) close 1.90 [1.20" in said


def test_found_at_a_tenth_of_false_positives():
    said = told.found_at(LABEL, {"namd": GOOD, "real baseline": np.ones(100)})
    assert "NAMD 100% and real baseline 0%" in said


def test_calibration_is_worded_by_its_intervals():
    fits = pd.DataFrame(dict(slope_low=[0.6, 0.8], slope_high=[0.9, 1.2], intercept_low=[0.2, -0.1],
                             intercept_high=[0.5, 0.1]), ["real baseline", "namd"])
    assert told.calibrated(fits) == ("By their intervals, real baseline: overconfident and too low on average;"
                                     " NAMD: nothing against it.")


def test_the_useful_range_is_where_the_band_leaves_0():
    counts = bootstrap.resample_counts(np.zeros(100), 200, 2)
    scores = {"namd": np.where(LABEL, 0.9, 0.01), "real baseline": np.full(100, 0.5)}
    said = told.useful_range(LABEL, scores, counts, "real baseline", np.array([0.005, 0.1, 0.2]), "namd")
    assert "at 2 of 3 thresholds, between 0.10 and 0.20" in said
    assert "no stretch" in told.useful_range(LABEL, scores, counts, "namd", np.array([0.1, 0.2]), "real baseline")
