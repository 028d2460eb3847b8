import pandas as pd

from namd.evaluation.figures.doses import dose_curves
from namd.evaluation.tables import doses

STAMPS = pd.DataFrame({"namd": ["0.05", "4.0", "flat"], "half": ["0.2", "4.0", "flat"], "none": ["0.0", "4.0", "flat"],
                       "wide": ["0.05", "16.0", "flat"], "pooled": ["0.05", "1.0", "pooled"]},
                      ["lambda_align", "sigma_z", "align_latent"])


def test_dose_zero_has_a_place_on_the_logarithmic_axis():
    ladder = doses.doses(STAMPS, "namd", ["lambda_align", "sigma_z"])
    found = pd.DataFrame(dict(value=0.01, low=-0.01, high=0.03), ["none", "half", "wide"])
    table = pd.concat([doses.against(ladder, found, "namd", name) for name in ("AUROC", "R2")])
    fig = dose_curves(table, "namd", "n = 3", synthetic=True)
    assert len(fig.axes) == 4 and fig.axes[0].get_ylabel() == "AUROC, arm - namd"
    lowest = fig.axes[2]
    assert [text.get_text() for text in lowest.get_xticklabels()] == ["0", "0.05", "0.2"]
    assert (lowest.get_xticks() > 0).all() and lowest.get_xscale() == "log"
