import pandas as pd
import pytest

from namd.evaluation.tables import doses

STAMPS = pd.DataFrame({"namd": ["0.05", "4.0", "flat"], "half": ["0.2", "4.0", "flat"], "none": ["0.0", "4.0", "flat"],
                       "wide": ["0.05", "16.0", "flat"], "pooled": ["0.05", "1.0", "pooled"]},
                      ["lambda_align", "sigma_z", "align_latent"])


def test_a_curve_holds_the_arms_that_move_one_parameter_alone_and_the_reference():
    table = doses.doses(STAMPS, "namd", ["lambda_align", "sigma_z"])
    curves = {name: list(zip(rows["dose"], rows["arm"], strict=True)) for name, rows in table.groupby("parameter")}
    assert curves == {"lambda_align": [(0.0, "none"), (0.05, "namd"), (0.2, "half")],
                      "sigma_z": [(4.0, "namd"), (16.0, "wide")]}


def test_a_parameter_that_no_arm_moves_has_no_curve():
    assert doses.doses(STAMPS[["namd", "pooled"]], "namd", ["lambda_align", "sigma_z"]).empty


def test_differences_are_turned_round_and_the_reference_lies_at_zero():
    table = doses.doses(STAMPS, "namd", ["lambda_align"])
    found = pd.DataFrame(dict(value=[0.02, -0.01], low=[-0.01, -0.03], high=[0.05, 0.01]), ["none", "half"])
    turned = doses.against(table, found, "namd", "AUROC").set_index("arm")[["value", "low", "high"]]
    assert turned.loc["none"].tolist() == pytest.approx([-0.02, -0.05, 0.01])
    assert turned.loc["half"].tolist() == pytest.approx([0.01, -0.01, 0.03])
    assert turned.loc["namd"].tolist() == [0, 0, 0]
