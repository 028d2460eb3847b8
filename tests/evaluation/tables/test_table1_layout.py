"""Table 1 as a reader sees it, in a notebook and on the page."""

import numpy as np
import pandas as pd

from namd.evaluation.stats.columns import COLUMNS, Column
from namd.evaluation.tables import beside_paper, table1_layout
from namd.ground.paper import PAPER


def table():
    """Two methods, the real baseline and two controls, one of them without images."""
    rows = pd.DataFrame(dict(row=["real baseline", "namd", "no_align", "copy-baseline", "direct"], k=[1, 4, 4, 1, 1]))
    lpips, auroc = [np.nan, 0.2204, 0.2196, 0.1, np.nan], [0.7, 0.75, 0.72, 0.7, 0.9]
    for name, mean in (("lpips", lpips), ("fid", lpips), ("kid", lpips), ("auroc", auroc), ("auprc", auroc)):
        rows[f"{name}_mean"], rows[f"{name}_sd"] = mean, 0.01
    known_as = beside_paper.paper_rows("namd")
    return beside_paper.beside_the_paper(rows.set_index("row"), "phantom", ("alex", "random"), known_as)


def test_equal_printed_values_share_a_mark():
    assert table1_layout.marks([0.2196, 0.2204, 0.3, np.nan, 0.4], -1) == ["best", "best", "second", "", ""]
    assert table1_layout.marks([0.2, 0.3, 0.3, 0.1], 1) == ["second", "best", "best", ""]
    assert table1_layout.marks([np.nan], 1) == [""] and table1_layout.marks([-0.0001, 0.0001], -1) == ["best", "best"]


def shown(part=None):
    """The notebook's table of `table`."""
    return table1_layout.paper_table(table() if part is None else part, ["namd", "no_align"])


def test_only_generators_are_ranked_and_ties_share_the_bold():
    found = shown()
    lpips, auroc = found.cells["LPIPS ↓", "here"], found.cells["AUROC ↑", "here"]
    assert lpips["NAMD"] == lpips["no_align"] == "0.220\u00a0±\u00a00.010"
    assert lpips["copy-baseline"] == "0.100" and lpips["direct"] == "–"
    assert auroc["direct"] == "0.900" and auroc["Real baseline LDCT"] == "0.700"
    marks = found.marks["LPIPS ↓", "here"]
    assert marks["NAMD"] == marks["no_align"] == "best" and marks["copy-baseline"] == marks["direct"] == ""
    marks = found.marks["AUROC ↑", "here"]
    assert marks[["NAMD", "no_align", "direct"]].tolist() == ["best", "second", ""]


def test_the_papers_own_columns_are_there_with_its_marks():
    found = shown()
    assert set(PAPER["table1"]) <= set(found.cells.index)
    auroc, marks = found.cells["AUROC ↑", "paper"], found.marks["AUROC ↑", "paper"]
    assert "0.805" in auroc["NAMD"] and marks["NAMD"] == "best" and auroc["no_align"] == "–"
    assert marks["ImageFlowNet (SDE)"] == "second" and marks["Real follow-up LDCT"] == ""
    lpips = found.marks["LPIPS ↓", "paper"]                                  # the paper marks one of two equal values
    assert lpips["CorrFlowNet (ODE)"] == lpips["CorrFlowNet (SDE)"] == "best"
    assert found.cells["LPIPS ↓", "paper"]["CorrFlowNet (SDE)"].startswith("0.202")
    verdicts = found.cells["comparable?", ""]
    assert "phantom data" in verdicts["NAMD"] and "not run here" in verdicts["McWGAN"]


def test_the_papers_fid_stands_beside_inceptions_where_it_was_computed():
    alone = shown().cells
    both = shown(table().assign(fid_inception_mean=84.0, fid_inception_sd=0.5)).cells
    judges, inceptions = "FID ↓, judge's features", "FID ↓, Inception"
    papers = alone[judges, "paper"]
    assert (judges, "paper") not in both and "KID ↓, Inception" not in both.columns.get_level_values(0)
    assert both[inceptions, "paper"].equals(papers.rename((inceptions, "paper")))
    assert "84.000" in both[inceptions, "here"]["NAMD"]
    assert both[judges, "here"].equals(alone[judges, "here"])


def test_groups_come_in_the_papers_order_with_the_controls_last():
    found = shown()
    names = list(found.cells.index)
    groups = ("Real image baselines", *table1_layout.RANKED, table1_layout.CONTROLS)
    assert found.headings == groups and [name for name in names if name in groups] == list(groups)
    assert names.index("no_align") < names.index(groups[3]) < names.index("copy-baseline")


def test_a_generator_of_ours_stands_among_the_deterministic_ones_where_it_draws_once():
    known = table()
    line = known.iloc[[-1]].assign(paper_row="", comparable="")
    added = pd.concat([known, *(line.set_axis([row]).assign(k=k) for row, k in (("once", 1), ("often", 4)))])
    lines = list(table1_layout.paper_table(added, ["once", "often"]).cells.index)
    stochastic = lines.index("Stochastic methods")
    assert lines.index("once") < stochastic < lines.index("often")


def test_a_row_of_ours_is_read_alike_from_memory_and_from_a_file(tmp_path):
    table().to_csv(tmp_path / "table1.csv")
    again = pd.read_csv(tmp_path / "table1.csv").set_index("row")
    assert repr(shown(again)) == repr(shown())


def test_the_page_shows_the_papers_columns_run_here_or_not_and_ours_that_ask_for_it(monkeypatch):
    beside = table1_layout.page_columns(table().drop(columns=["fid_mean", "fid_sd"]))
    assert [one.column.name for one in beside] == [one.paper for one in beside] == ["lpips", "fid", "auroc", "auprc"]
    own = Column("kid", "KID ↓", -1, page_digits=4)
    monkeypatch.setattr(table1_layout, "COLUMNS", (*COLUMNS, own))
    assert table1_layout.page_columns(table())[-1] == table1_layout.Beside(own, None)
    inception = table1_layout.page_columns(table().assign(fid_inception_mean=84.0))
    assert [one.column.name for one in inception if one.paper == "fid"] == ["fid_inception"]


def test_a_net_without_heads_gives_no_lpips_and_its_frechet_distance_bears_its_name():
    lite0 = table().assign(lpips_net="efficientnet_lite0", fid_lite0_mean=1.5, fid_lite0_sd=0.25)
    cells = shown(lite0).cells
    assert "LPIPS ↓" not in cells.columns and "0.100" in cells["LPIPS-like ↓, EfficientNet-Lite0", "here"].to_list()
    assert cells["FID ↓, EfficientNet-Lite0", "here"]["NAMD"] == "1.500\u00a0±\u00a00.250"
    titles = [one.column.title for one in table1_layout.page_columns(lite0)]
    assert "LPIPS-like ↓, EfficientNet-Lite0" in titles and "FID ↓, EfficientNet-Lite0" in titles


def test_a_value_is_a_dash_where_there_is_none_and_has_no_spread_where_it_is_one():
    assert table1_layout.Value().text(3) == "–" and table1_layout.Value(sd=0.1).spread(3) == ""
    value = table1_layout.Value(-0.0001, 0.0049, 0.71, 0.78)
    assert (value.text(3), value.spread(3), value.interval()) == ("0.000", " ± 0.005", "[0.71, 0.78]")
    assert table1_layout.Value(1.0).spread(3) == table1_layout.Value(1.0).interval() == ""


def test_the_table_is_html_on_a_page_and_text_elsewhere():
    html, text = shown()._repr_html_(), repr(shown())
    assert "0.750\u00a0±\u00a00.010" in html and "&lt;" not in html and "bold" in html
    assert "**0.750\u00a0±\u00a0" in text and "_0.720" in text and "<" not in text
