"""The paper's numbers beside ours, and the word on whether they may be compared."""

import numpy as np
import pandas as pd

from namd.evaluation.tables import beside_paper

LPIPS = ("alex", "imagenet")
KNOWN_AS = beside_paper.paper_rows("namd")


def test_the_paper_stands_beside_its_own_rows_only():
    table = pd.DataFrame(dict(n=450), index=["namd", "no_align_no_pred", "direct", "real baseline"])
    phantom = beside_paper.beside_the_paper(table, "phantom", LPIPS, KNOWN_AS)
    real = beside_paper.beside_the_paper(table, "NLST", LPIPS, KNOWN_AS)
    random = beside_paper.beside_the_paper(table, "NLST", ("alex", "random"), KNOWN_AS)
    assert phantom["paper_auroc"].tolist()[:2] == [0.805, 0.765] and np.isnan(phantom["paper_auroc"]["direct"])
    assert phantom["comparable"]["namd"] == "not comparable: phantom data" and phantom["comparable"]["direct"] == ""
    assert "FID" in real["comparable"]["namd"] and "LPIPS" not in real["comparable"]["namd"]
    assert "LPIPS" in random["comparable"]["namd"] and random["comparable"]["real baseline"] == "yes"
    lite0 = beside_paper.beside_the_paper(table, "NLST", ("efficientnet_lite0", "imagenet"), KNOWN_AS)
    assert "LPIPS (no LPIPS" in lite0["comparable"]["namd"] and set(lite0["lpips_net"]) == {"efficientnet_lite0"}


def test_inceptions_fid_is_comparable_on_as_many_real_images():
    table = pd.DataFrame(dict(fid_mean=1.0, fid_inception_mean=84.0, fid_inception_sd=0.5, n=450, k=20), index=["namd"])
    assert beside_paper.beside_the_paper(table, "NLST", LPIPS, KNOWN_AS).loc["namd", "comparable"] == "yes"
    row = beside_paper.panel_row(table, "namd", "fid", "NLST", LPIPS, KNOWN_AS)
    assert (row["paper"], row["here"], row["comparable"]) == ("83.06 ± 0.699", "84.000 ± 0.500", True)
    fewer = beside_paper.panel_row(table.assign(n=200), "namd", "fid", "NLST", LPIPS, KNOWN_AS)
    assert "200 here, 450 there" in fewer["why"]
    assert beside_paper.why_not("fid", table, "phantom", LPIPS) == "phantom data"
    assert "judge" in beside_paper.why_not("fid", table.drop(columns="fid_inception_mean"), "NLST", LPIPS)


def test_nothing_of_open_nlst_is_set_beside_the_paper_and_the_reason_names_what_the_record_lacks():
    table = pd.DataFrame(dict(auroc_mean=0.7, auroc_sd=0.01, n=450, k=4), index=["real baseline", "namd", "direct"])
    source = "open NLST, 7 of 13 features"
    found = beside_paper.beside_the_paper(table, source, LPIPS, KNOWN_AS)["comparable"]
    assert found["namd"] == found["real baseline"] and found["direct"] == ""
    assert found["namd"].startswith("not comparable: open NLST, 7 of 13 features: ")
    row = beside_paper.panel_row(table, "real baseline", "auroc", source, LPIPS, KNOWN_AS)
    assert not row["comparable"] and row["why"].startswith(source)
    assert beside_paper.other_patients("NLST") == ""


def test_the_panel_sets_one_number_beside_the_papers():
    table = pd.DataFrame(dict(auroc_mean=[0.7, 0.6], auroc_sd=[0.01, 0.0], fid_mean=[1.0, 2.0], fid_sd=[0.5, 0.0],
                              n=10, k=[4, 1]), index=["namd", "real baseline"])
    row = beside_paper.panel_row(table, "namd", "auroc", "NLST", LPIPS, KNOWN_AS)
    assert (row["paper"], row["here"], row["k"], row["comparable"]) == ("0.805 ± 0.018", "0.700 ± 0.010", 4, True)
    assert beside_paper.panel_row(table, "real baseline", "auroc", "NLST", LPIPS, KNOWN_AS)["here"] == "0.600"
    assert not beside_paper.panel_row(table, "namd", "fid", "NLST", LPIPS, KNOWN_AS)["comparable"]
    assert beside_paper.panel_row(table, "namd", "auroc", "phantom", LPIPS, KNOWN_AS)["why"] == "phantom data"


def test_a_main_arm_by_another_name_is_the_papers_namd():
    table = pd.DataFrame(dict(n=450), index=["mine", "namd"])
    found = beside_paper.beside_the_paper(table, "NLST", LPIPS, beside_paper.paper_rows("mine"))
    assert found["paper_row"].tolist() == ["NAMD", ""]
