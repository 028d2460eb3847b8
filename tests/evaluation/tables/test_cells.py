"""Differences, intervals and marks as text."""

import numpy as np
import pandas as pd

from namd.evaluation.tables import cells


def test_differences_and_intervals_as_text():
    long = pd.DataFrame([dict(row="copy", metric="auroc", statistic=statistic, difference=-0.05, low=-0.1, high=0.002,
                              verdict="undecided") for statistic in ("mean over runs", "K-mean")])
    wide = cells.difference_cells(pd.concat([long, long[:1].assign(row="direct")]))
    assert wide.loc["copy", "AUROC ↑, K-mean"] == "-0.050 [-0.100, +0.002] undecided"
    assert list(wide.columns) == ["AUROC ↑", "AUROC ↑, K-mean"] and wide.loc["direct", "AUROC ↑, K-mean"] == "–"
    values = pd.DataFrame(dict(a=[1.25, np.nan], a_low=[1, np.nan], a_high=[2, np.nan]))
    shown = cells.interval_cells(values, dict(a=1))
    assert shown["a"].tolist() == ["1.2 [1.0, 2.0]", "–"]


def test_marks_are_styles_on_a_page_and_signs_in_plain_text_and_text_is_escaped():
    index = ["A group", "a", "b & c"]
    text = pd.DataFrame({("x", "here"): ["", "1", "2"], ("why", ""): ["", "<odd>", ""]}, index=index)
    marks = pd.DataFrame({("x", "here"): ["", "best", "second"], ("why", ""): ["", "", ""]}, index=index)
    shown = cells.MarkedTable(text, marks, headings=("A group",))
    page = shown._repr_html_()
    assert "&lt;odd&gt;" in page and "<odd>" not in page and "b &amp; c" in page
    assert page.count("font-weight: bold") == page.count("underline") == page.count("italic") == 1
    assert repr(shown).split()[-5:-1] == ["<odd>", "b", "&", "c"] and "**1**" in repr(shown) and "_2_" in repr(shown)
