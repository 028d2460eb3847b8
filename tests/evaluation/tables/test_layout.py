"""Table 1 and its neighbours as a reader sees them."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from namd.evaluation.tables import layout, table1
from namd.ground.paper import PAPER


def table():
    """Two methods, the real baseline and two controls, one of them without images."""
    rows = pd.DataFrame(dict(row=["real baseline", "namd", "no_align", "copy-baseline", "direct"], k=[1, 4, 4, 1, 1]))
    lpips, auroc = [np.nan, 0.2204, 0.2196, 0.1, np.nan], [0.7, 0.75, 0.72, 0.7, 0.9]
    for name, mean in (("lpips", lpips), ("fid", lpips), ("kid", lpips), ("auroc", auroc), ("auprc", auroc)):
        rows[f"{name}_mean"], rows[f"{name}_sd"] = mean, 0.01
    return table1.beside_the_paper(rows.set_index("row"), True, "random")


def test_equal_printed_values_share_a_mark():
    assert layout.marks([0.2196, 0.2204, 0.3, np.nan, 0.4], -1) == ["best", "best", "second", "", ""]
    assert layout.marks([0.2, 0.3, 0.3, 0.1], 1) == ["second", "best", "best", ""]
    assert layout.marks([np.nan], 1) == [""] and layout.marks([-0.0001, 0.0001], -1) == ["best", "best"]


def test_only_generators_are_ranked_and_ties_share_the_bold():
    shown = layout.table1(table(), ["namd", "no_align"])
    lpips, auroc = shown["LPIPS ↓", "here"], shown["AUROC ↑", "here"]
    assert lpips["NAMD"].startswith("<b>0.220") and lpips["no_align"].startswith("<b>0.220")
    assert lpips["copy-baseline"] == "0.100" and lpips["direct"] == "–"
    assert auroc["NAMD"].startswith("<b>0.750") and auroc["no_align"].startswith("<u>0.720")
    assert auroc["direct"] == "0.900" and auroc["Real baseline LDCT"] == "0.700"


def test_the_papers_own_columns_are_there_with_its_marks():
    shown = layout.table1(table(), ["namd", "no_align"])
    assert set(PAPER["table1"]) <= set(shown.index)
    auroc = shown["AUROC ↑", "paper"]
    assert "0.805" in auroc["NAMD"] and auroc["NAMD"].startswith("<b>") and auroc["no_align"] == "–"
    assert auroc["ImageFlowNet (SDE)"].startswith("<u>") and not auroc["Real follow-up LDCT"].startswith("<")
    lpips = shown["LPIPS ↓", "paper"]                                        # the paper marks one of two equal values
    assert lpips["CorrFlowNet (ODE)"].startswith("<b>0.202") and lpips["CorrFlowNet (SDE)"].startswith("<b>0.202")
    verdicts = shown["comparable?", ""]
    assert "phantom data" in verdicts["NAMD"] and "not run here" in verdicts["McWGAN"]


def test_the_papers_fid_stands_beside_inceptions_where_it_was_computed():
    alone, both = (layout.table1(part, ["namd", "no_align"]) for part in
                   (table(), table().assign(fid_inception_mean=84.0, fid_inception_sd=0.5)))
    papers = alone["FID ↓, judge", "paper"]
    assert ("FID ↓, judge", "paper") not in both and "KID ↓, Inception" not in both.columns.get_level_values(0)
    assert both["FID ↓, Inception", "paper"].equals(papers.rename(("FID ↓, Inception", "paper")))
    assert "84.000" in both["FID ↓, Inception", "here"]["NAMD"]
    assert both["FID ↓, judge", "here"].equals(alone["FID ↓, judge", "here"])


def test_groups_come_in_the_papers_order_with_the_controls_last():
    names = list(layout.table1(table(), ["namd", "no_align"]).index)
    groups = [name for name in names if name.startswith("<i>")]
    assert groups == [f"<i>{name}</i>" for name in ("Real image baselines", *layout.RANKED, layout.CONTROLS)]
    assert names.index("no_align") < names.index(groups[3]) < names.index("copy-baseline")


def test_a_generator_of_ours_stands_among_the_deterministic_ones_where_it_draws_once():
    known = table()
    line = known.iloc[[-1]].assign(paper_row="", comparable="")
    added = pd.concat([known, *(line.set_axis([row]).assign(k=k) for row, k in (("once", 1), ("often", 4)))])
    lines = [str(name) for name in layout.table1(added, ["once", "often"]).index]
    stochastic = next(i for i, name in enumerate(lines) if "Stochastic" in name)
    assert lines.index("once") < stochastic < lines.index("often")


def test_the_table_is_html_on_a_page_and_text_elsewhere():
    shown = layout.table1(table(), ["namd", "no_align"])
    html, text = shown._repr_html_(), repr(shown)
    assert "<b>0.750<small>" in html and "&lt;" not in html
    assert "**0.750\u00a0±\u00a0" in text and "_0.720" in text and "<" not in text


def test_differences_and_intervals_as_text():
    long = pd.DataFrame([dict(row="copy", metric="auroc", statistic=statistic, difference=-0.05, low=-0.1, high=0.002,
                              verdict="undecided") for statistic in ("mean over runs", "K-mean")])
    wide = layout.difference_cells(pd.concat([long, long[:1].assign(row="direct")]))
    assert wide.loc["copy", "AUROC ↑, K-mean"] == "-0.050 [-0.100, +0.002] undecided"
    assert list(wide.columns) == ["AUROC ↑", "AUROC ↑, K-mean"] and wide.loc["direct", "AUROC ↑, K-mean"] == "–"
    values = pd.DataFrame(dict(a=[1.25, np.nan], a_low=[1, np.nan], a_high=[2, np.nan]))
    cells = layout.interval_cells(values, dict(a=1))
    assert cells["a"].tolist() == ["1.2 [1.0, 2.0]", "–"]


@pytest.fixture
def closing():
    yield
    plt.close("all")


def test_forests_share_their_rows_and_leave_out_what_a_panel_lacks(closing):
    one = pd.DataFrame(dict(row=["a", "b"], value=[1., 2], low=[0., 1], high=[2., 4]))
    fig = layout.forests({"first": (one, 0), "second": (one[1:], 0.5)}, synthetic=True)
    left, right = fig.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["a", "b"]
    assert list(left.get_yticks()) == list(left.containers[0].lines[0].get_ydata()) == [0, -1]
    assert right.containers[0].lines[0].get_ydata() == [-1]                  # row b lies where it lies on the left


@pytest.mark.parametrize(("low", "high"), [(-0.103, 0.028), (-0.0037, 0.0068), (0.581, 0.833), (-0.4, 0.02),
                                           (-12.5, 3.1), (0.0001, 0.0004), (-0.051, 0.049)])
def test_labels_of_a_forest_keep_apart(low, high, closing):
    one = pd.DataFrame(dict(row=["a"], value=[(low + high) / 2], low=[low], high=[high]))
    fig = layout.forests({name: (one, 0) for name in "abcd"})
    fig.canvas.draw()
    for ax in fig.axes:
        x0, x1 = ax.get_xlim()
        ends = [label.get_window_extent() for tick, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
                if x0 <= tick <= x1]
        assert len(ends) > 1 and all(left.x1 + 3 < right.x0 for left, right in pairwise(ends))


def test_difference_forests_show_both_statistics_of_auroc(closing):
    lines = [("auroc", "mean over runs"), ("auroc", "K-mean"), ("lpips", "mean over runs")]
    long = pd.DataFrame([dict(row="copy", metric=metric, statistic=statistic, difference=0.1, low=0.0, high=0.2)
                         for metric, statistic in lines])
    left, right = layout.difference_forests(long, "namd").axes
    assert len(left.containers) == 2 and len(right.containers) == 1 and "LPIPS" in right.get_xlabel()
