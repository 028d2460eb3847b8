"""Contracts of the variance figures: what is drawn, on which axes, and from which numbers."""

import matplotlib
import numpy as np
import pytest

from namd.evaluation.figures import variance_figures
from namd.evaluation.stats import boundary, referral, variance

RNG = np.random.default_rng(0)


def texts(fig):
    return " ".join(t.get_text() for t in fig.findobj(matplotlib.text.Text))


@pytest.fixture
def table():
    label = np.array([0] * 8 + [1] * 4)
    return variance.spread(RNG.random((4, 12)), label)


def test_error_and_variance_draws_every_nodule_twice_on_one_axis(table):
    regime = variance.regimes(table["error"], table["prob_var"], 0.5, 0.08)
    cloud, labels = variance_figures.error_and_variance(table, regime, 0.5, 0.08, k_runs=4).axes
    for ax in (cloud, labels):
        drawn = np.concatenate([c.get_offsets()[:, 1] for c in ax.collections])
        assert sorted(drawn) == pytest.approx(sorted(table["prob_var"]))
    assert cloud.get_ylim() == labels.get_ylim()
    ceiling = next(line for line in cloud.lines if line.get_label().startswith("ceiling"))
    assert cloud.get_ylim()[0] <= 0 and cloud.get_ylim()[1] > ceiling.get_ydata().max() > 0.33
    assert "Var(p)" in cloud.get_ylabel() and "error" in cloud.get_xlabel()
    assert [t.get_text() for t in labels.get_xticklabels()] == ["benign\n(n = 8)", "malignant\n(n = 4)"]


def test_case_panel_keeps_an_empty_cell():
    image = RNG.random((8, 8))
    full = {"name": "unsure", "note": "p 0.4", "x1": image, "x2": image, "samples": RNG.random((4, 8, 8))}
    fig = variance_figures.case_panel([full, {"name": "correct", "note": "no such nodule"}], k_runs=4)
    drawn = [len(ax.images) for ax in fig.axes[:14]]
    assert drawn == [1] * 7 + [0] * 7
    shown = np.asarray(fig.axes[6].images[0].get_array())
    assert shown == pytest.approx(np.abs(full["samples"] - image).mean(0))
    assert "no such nodule" in texts(fig)


def test_boundary_draws_a_bin_that_half_of_the_nodules_have():
    values = np.array([[np.nan, 1.0, 5.0], [np.nan, np.nan, 7.0], [2.0, 2.0, 6.0]])
    distance = boundary.signed_distance([4.0, 6.0], 21)
    within = boundary.share_within(RNG.random((2, 21, 21)), distance, [0.6, 1.8], np.ones((3, 2)))
    fig = variance_figures.boundary({"all": (values, ["a", "b", "b"])}, [-3, -1, 1, 3], within, 1.8, k_runs=4)
    profile, share = fig.axes
    bar = profile.containers[0][2][0].get_segments()[1][:, 1]
    assert bar == pytest.approx([6 - 1.96 * 2 / 3, 6 + 1.96 * 2 / 3])        # deviations of a and b: -1 and 1
    line = profile.containers[0].lines[0]
    assert line.get_xdata().tolist() == [0, 2] and line.get_ydata() == pytest.approx([1.5, 6])
    assert share.lines[0].get_ydata() == pytest.approx(within["share"])
    assert share.lines[1].get_ydata() == pytest.approx(within["flat"])
    assert "all (n = 3)" in texts(fig) and "mm" in profile.get_xlabel()


def test_running_variance_draws_one_curve_a_nodule():
    running = variance.running_variance(RNG.random((6, 5)))
    top, low = variance_figures.running_variance(running, {"all": variance.settled(running, 0.2)}).axes
    assert len(top.lines) == 5 + 2  # nodules, median, the paper's K
    assert low.get_xlabel() == "number of runs K"


def test_precision_draws_dots_line_and_target():
    panel = dict(name="mean p", n=50, k=[1, 2], measured=[0.1, 0.07], grid=np.arange(2, 5), line=np.full(3, 0.05),
                 law="theory", target=0.02)
    fig = variance_figures.precision([panel, panel | dict(name="AUROC", law="last point")])
    ax = fig.axes[0]
    assert [line.get_label() for line in ax.lines] == ["theory", "measured", "target 0.02", "the paper's K = 20"]
    assert ax.lines[1].get_ydata() == pytest.approx([0.1, 0.07])
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert "(n = 50)" in texts(fig) and "last point" in texts(fig)


def test_referral_draws_each_order_beside_the_random_one(table):
    counts = np.ones((5, 12), dtype=int)
    curves = {name: referral.referral_curve(table, order, 0.5, [0, 0.25], counts)
              for name, order in (("variance", table["prob_var"]), ("error", table["error"]))}
    fig = variance_figures.referral(curves, 12)
    for ax, column in zip(fig.axes, ("auroc", "error"), strict=True):
        assert [line.get_label() for line in ax.lines][:3] == ["variance", "error", "referred at random"]
        assert ax.lines[1].get_ydata() == pytest.approx(curves["error"][column])
        assert set(ax.lines[2].get_ydata()) == {curves["variance"][column][0]}
    assert "n = 12" in texts(fig)
