"""The compared systems' pictures: every stage's curve, cost beside AUROC."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from namd.evaluation.figures import training_and_cost


def test_every_stage_gets_a_panel_with_its_validation_points():
    table = pd.DataFrame(dict(step=[1, 2, 3], val_loss=[3.0, np.nan, 1.0]))
    fig = training_and_cost.histories({f"system, {i}": table for i in range(6)}, "title", True)
    drawn = [ax for ax in fig.axes if ax.axison]
    assert len(drawn) == 6 and list(drawn[5].lines[0].get_ydata()) == [3.0, 1.0]


def test_cost_figure_draws_each_row_with_its_interval_and_the_baseline_dashed():
    rows = ["real baseline", "a", "b"]
    table = pd.DataFrame(dict(auroc_kmean=[0.7, 0.8, 0.6], auroc_low=[0.6, 0.75, 0.5], auroc_high=[0.8, 0.9, 0.7]),
                         index=rows)
    costs = pd.DataFrame(dict(parameters=[1e5, 1e6], gflops=[1.0, 10.0], train_seconds=[60, 600.0]), index=rows[1:])
    fig = training_and_cost.cost_against_auroc(table, costs)
    assert len(fig.axes) == 3 and all(ax.get_xscale() == "log" for ax in fig.axes)
    low, high = fig.axes[0].containers[0][2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.75, 0.9))
    assert fig.axes[0].lines[-1].get_ydata()[0] == 0.7


def test_cost_figure_fills_one_marker_and_keeps_its_ticks_apart():
    rows = ["real baseline", "namd", "flux"]
    table = pd.DataFrame(dict(auroc_kmean=0.7, auroc_low=0.6, auroc_high=0.8), index=rows)
    costs = pd.DataFrame(dict(parameters=[1e5, 1e7], gflops=[1.0, 2.0], train_seconds=[60, 600.0]), index=rows[1:])
    flop, parameters, _ = training_and_cost.cost_against_auroc(table, costs, bold="namd").axes
    namd, flux = (bar.lines[0] for bar in flop.containers)
    assert namd.get_markerfacecolor() == namd.get_color() and flux.get_markerfacecolor() == "none"
    assert len(parameters.get_xticks()) <= 6 and set(np.log10(parameters.get_xticks()) % 1) == {0}


def test_cost_figure_hides_no_row_behind_another_and_none_is_pale():
    rows = ["real baseline", *"abcdefghijkl"]
    table = pd.DataFrame(dict(auroc_kmean=0.7, auroc_low=0.6, auroc_high=0.8), index=rows)
    costs = pd.DataFrame(dict(parameters=1e5, gflops=1.0, train_seconds=60.0), index=rows[1:])
    points = [bar.lines[0] for bar in training_and_cost.cost_against_auroc(table, costs).axes[0].containers]
    assert {point.get_markerfacecolor() for point in points} == {"none"}
    assert len({(point.get_marker(), point.get_color()) for point in points}) == 12
    for point in points:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(point.get_color())]
        assert 1.05 / (np.dot(linear, [0.2126, 0.7152, 0.0722]) + 0.05) >= 3        # WCAG's contrast with white
