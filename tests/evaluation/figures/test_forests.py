"""Forests share their rows, keep their labels apart and show both statistics."""

from itertools import pairwise

import pandas as pd
import pytest

from namd.evaluation.figures import forests


def test_forests_share_their_rows_and_leave_out_what_a_panel_lacks():
    one = pd.DataFrame(dict(row=["a", "b"], value=[1., 2], low=[0., 1], high=[2., 4]))
    fig = forests.forests({"first": (one, 0), "second": (one[1:], 0.5)}, synthetic=True)
    left, right = fig.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["a", "b"]
    assert list(left.get_yticks()) == list(left.containers[0].lines[0].get_ydata()) == [0, -1]
    assert right.containers[0].lines[0].get_ydata() == [-1]                  # row b lies where it lies on the left


@pytest.mark.parametrize(("low", "high"), [(-0.103, 0.028), (-0.0037, 0.0068), (0.581, 0.833), (-0.4, 0.02),
                                           (-12.5, 3.1), (0.0001, 0.0004), (-0.051, 0.049)])
def test_labels_of_a_forest_keep_apart(low, high):
    one = pd.DataFrame(dict(row=["a"], value=[(low + high) / 2], low=[low], high=[high]))
    fig = forests.forests({name: (one, 0) for name in "abcd"})
    fig.canvas.draw()
    for ax in fig.axes:
        x0, x1 = ax.get_xlim()
        ends = [label.get_window_extent() for tick, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
                if x0 <= tick <= x1]
        assert len(ends) > 1 and all(left.x1 + 3 < right.x0 for left, right in pairwise(ends))


def test_difference_forests_show_both_statistics_of_auroc():
    lines = [("auroc", "mean over runs"), ("auroc", "K-mean"), ("lpips", "mean over runs")]
    long = pd.DataFrame([dict(row="copy", metric=metric, statistic=statistic, difference=0.1, low=0.0, high=0.2)
                         for metric, statistic in lines])
    left, right = forests.difference_forests(long, "namd", "n = 9").axes
    assert len(left.containers) == 2 and len(right.containers) == 1 and "LPIPS" in right.get_xlabel()


def one_panel(values):
    rows = [dict(row=row, value=value, low=value - 0.01, high=value + 0.01) for row, value in values.items()]
    return pd.DataFrame(rows)


def test_a_row_that_would_halve_the_scale_is_an_arrow_with_its_value():
    values = {"namd": 0.02, "oracle": 0.0, "direct": 0.05, "permuted records": -0.04, "mean follow-up": -0.26}
    far = one_panel(values)
    assert forests.far_off(far, 0) == ["mean follow-up"]
    assert forests.far_off(far[far["row"] != "mean follow-up"], 0) == []
    (ax,) = forests.effect_forest(far, "difference").axes
    assert "-0.26" in [text.get_text() for text in ax.texts] and ax.get_xlim()[0] > -0.1


def test_grouped_rows_have_headings_plain_names_and_namd_stands_out():
    table = pd.DataFrame(dict(auroc_kmean=[0.7, 0.76], auroc_low=[0.6, 0.7], auroc_high=[0.8, 0.8],
                              auprc_kmean=[0.3, 0.4], auprc_low=[0.2, 0.3], auprc_high=[0.4, 0.5]),
                         pd.Index(["namd", "real baseline"], name="row"))
    left, _ = forests.row_forests(table, bold="namd").axes
    names = {label.get_text(): (label.get_fontweight(), label.get_fontstyle()) for label in left.get_yticklabels()}
    assert list(names) == ["real images", "real baseline", "drawn from image and record", "NAMD"]
    assert names["NAMD"] == ("bold", "normal") and names["real images"] == ("normal", "italic")
    assert left.containers[0].lines[0].get_ydata().tolist() == [-3, -1]     # below their headings
