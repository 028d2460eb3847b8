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
    left, right = forests.difference_forests(long, "namd").axes
    assert len(left.containers) == 2 and len(right.containers) == 1 and "LPIPS" in right.get_xlabel()
