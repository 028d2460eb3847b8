"""Each sentence of 07 says its numbers, and turns when its interval does."""

import pandas as pd
import pytest

from namd.evaluation.tables import told_ablations as told

EFFECTS = pd.DataFrame([("no_align", 0.002, -0.006, 0.009), ("real baseline", 0.041, 0.022, 0.061),
                        ("direct", -0.054, -0.078, -0.031), ("alignment", 0.01, 0.002, 0.02)],
                       columns=["row", "value", "low", "high"]).assign(over="patients")


def test_rows_are_sorted_by_their_intervals_and_contrasts_stand_apart():
    assert told.effects_found(EFFECTS) == (
        "In AUROC, NAMD is ahead of real baseline; it is behind baseline + record (direct);"
        " it cannot be told from NAMD without alignment. Alignment: +0.010 [+0.002, +0.020].")


def test_a_part_says_over_which_chance_it_was_asked():
    assert told.part_effects(EFFECTS, ["no_align"]) == (
        "NAMD without alignment: NAMD - arm +0.002 [-0.006, +0.009] over patients, undecided.")
    assert "No arm but NAMD" in told.part_effects(EFFECTS, [])


@pytest.mark.parametrize(("knn", "linear", "said"), [
    ((0.2, 0.18, 0.23), (0.05, 0.03, 0.07), "was in the latent already"),
    ((0.2, 0.05, 0.3), (0.1, 0.05, 0.2), "Both readers gain"),
    ((0.0, -0.1, 0.1), (0.0, -0.1, 0.1), "not certainly gain")])
def test_order_tells_what_moved(knn, linear, said):
    lines = [dict(arm="no_align", latent="flat", reader=reader, r2_reference=0.83, r2_arm=0.62, value=v, low=a, high=b)
             for reader, (v, a, b) in (("knn", knn), ("linear", linear))]
    words = told.order_found(pd.DataFrame(lines), "no_align", "flat")
    assert said in words and "by its neighbours with R2 0.83 instead of 0.62" in words


def test_doses_tell_the_most_ordered_one_and_what_differs():
    lines = [("lambda_align", name, dose, arm, value, value - 0.01, value + 0.01) for name, dose, arm, value in (
        ("AUROC", 0.1, "namd", 0.0), ("AUROC", 1.0, "lambda_align1", -0.03), ("AUROC", 0.01, "lambda_align0.01", 0.005),
        ("R2", 0.1, "namd", 0.0), ("R2", 1.0, "lambda_align1", 0.1), ("R2", 0.01, "lambda_align0.01", -0.1))]
    curves = pd.DataFrame(lines, columns=["parameter", "quantity", "dose", "arm", "value", "low", "high"])
    assert told.doses_found(curves, "namd") == (
        "lambda_align: order is highest at 1; AUROC differs from NAMD's at 1 (-0.030 [-0.040, -0.020]).")
    assert "no dose has certainly another AUROC" in told.doses_found(curves.assign(low=-1, high=1), "namd")


def test_maps_and_claims_are_counted():
    assert told.maps_found({"namd": (0.8, 0.97)}) == "NAMD: R2 of the map 0.80, trustworthiness 0.97."
    claims = pd.DataFrame(dict(verdict=["holds", "holds", "fails", "not run here"]))
    assert told.claims_found(claims) == ("Of 3 claims 2 hold, 1 fail and 0 are undecided in this run."
                                         " 1 more have no number here to be settled by.")
