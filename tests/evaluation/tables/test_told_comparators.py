"""Each sentence of 08 says its numbers, and turns when they do."""

import pandas as pd
import pytest

from namd.evaluation.tables import told_comparators as told

CHANGE = pd.DataFrame(dict(delta_rmae=[1.10, 1.47, 1.08, 1.30], spread=[0.028, 0, 0.016, 0]),
                      ["namd", "mean follow-up", "brlp", "mcwgan"])


def test_a_stage_that_fell_to_its_end_is_named():
    early = pd.DataFrame(dict(step=[50, 100], val_loss=[0.1, 0.2]))
    late = pd.DataFrame(dict(step=[50, 100], val_loss=[0.2, 0.1]))
    assert told.still_falling({"flux, flow": late, "brlp, unet": early}).startswith("1 of 2 stages")
    assert "flux, flow." in told.still_falling({"flux, flow": late, "brlp, unet": early})
    assert "All 1 stages" in told.still_falling({"brlp, unet": early})


def test_the_change_is_told_beside_namd_and_the_mean_image():
    assert told.change_found(CHANGE, ["brlp", "mcwgan"], "namd") == (
        "In the change, Δ-RMAE, the best system is BrLP with 1.08; NAMD has 1.10, with 1 of 2 systems below it, and one"
        " mean image 1.47.")


def test_spread_leaves_out_rows_that_draw_once():
    assert "NAMD 0.028 and BrLP 0.016 (window" in told.spread_found(CHANGE, "namd")
    assert "No row draws twice" in told.spread_found(CHANGE.assign(spread=0), "namd")


@pytest.mark.parametrize(("cheap", "said"), [(0.1, "BrLP at 1.59 GFLOP a follow-up; the cheapest row, McWGAN at 0.10"),
                                             (9.0, "cheapest row as well, 1.59 GFLOP")])
def test_the_best_row_stands_beside_the_cheapest(cheap, said):
    table = pd.DataFrame(dict(auroc_kmean=[0.758, 0.702, 0.694]), ["brlp", "mcwgan", "real baseline"])
    assert said in told.cost_found(table, pd.DataFrame(dict(gflops=[1.59, cheap]), ["brlp", "mcwgan"]))


def test_the_record_is_told_from_the_method():
    record = pd.DataFrame([("namd", "sd15_report", 0.01, -0.01, 0.03), ("sd15_report", "sd15", 0.06, 0.04, 0.08)],
                          columns=["row", "beside", "value", "low", "high"])
    said = told.record_or_method(record)
    assert "NAMD - SD1.5 + report (ours) +0.010 [-0.010, +0.030], undecided" in said
    assert "- SD1.5 +0.060 [+0.040, +0.080], better." in said
    assert "cannot be told" in told.record_or_method(record[:0])
