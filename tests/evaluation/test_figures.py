"""Contracts of the figures: what is drawn, how it is named, and that phantom data say so."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from namd.evaluation import figures, variance

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def close_all():
    yield
    plt.close("all")


def texts(fig):
    return " ".join(t.get_text() for t in fig.findobj(matplotlib.text.Text))


@pytest.fixture
def table():
    label = np.array([0] * 8 + [1] * 4)
    return variance.spread(RNG.random((4, 12)), label)


def test_phantom_mark_only_on_phantom_data():
    images = [[np.zeros((4, 4))]]
    assert "phantom data" in texts(figures.image_grid(images, synthetic=True))
    assert "phantom data" not in texts(figures.image_grid(images))


def test_image_grid_leaves_gaps_blank():
    image = np.full((4, 4), 0.5)
    fig = figures.image_grid([[image, None], [image]], col_titles=["a", "b"], row_titles=["x1", "x2"], title="grid")
    assert [len(ax.images) for ax in fig.axes] == [1, 0, 1, 0]
    assert fig.axes[0].images[0].get_clim() == (-1, 1)
    assert {"a", "b", "x1", "x2", "grid"} <= set(texts(fig).split())


def test_training_curves_skip_missing_values():
    history = pd.DataFrame({"step": [0, 1, 2, 3], "loss": [4.0, 3, 2, 1], "val_loss": [np.nan, 3, np.nan, 2]})
    loss, val = figures.training_curves(history, ["loss", "val_loss"]).axes
    assert len(loss.lines[0].get_xdata()) == 4
    assert val.lines[0].get_xdata().tolist() == [1, 3]
    assert (val.get_xlabel(), val.get_ylabel()) == ("training step", "val_loss")


def test_matrices_print_their_values():
    fig = figures.matrices([np.eye(3), np.full((3, 3), 0.25)], ["P", "Q"])
    assert texts(fig).split().count("0.25") == 9


def test_forest_draws_each_row_with_its_interval():
    rows = pd.DataFrame({"row": ["a", "b"], "value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.3, 0.4]})
    ax = figures.forest(rows, "difference", reference=0).axes[0]
    segments = ax.containers[0].lines[2][0].get_segments()
    assert segments[0][:, 0] == pytest.approx([0.0, 0.3])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_latent_maps_share_one_colour_scale():
    fig = figures.latent_maps([RNG.random((9, 2))] * 2, np.linspace(4, 20, 9), ["with", "without"], ["s1", "s2"])
    left, right, bar = fig.axes
    assert left.collections[0].norm is right.collections[0].norm
    assert len(left.collections[0].get_offsets()) == 9
    assert bar.get_ylabel() == "longest diameter (mm)"
    assert "n = 9" in texts(fig)


def test_error_and_variance_draws_every_nodule(table):
    regime = variance.regimes(table["error"], table["prob_var"], 0.5, 0.08)
    fig = figures.error_and_variance(table, regime, 0.5, 0.08, k_runs=4)
    top, low = fig.axes
    assert sum(len(c.get_offsets()) for c in top.collections) == 12
    assert "Var(p)" in top.get_ylabel() and "error" in top.get_xlabel()
    assert "benign (n = 8)" in texts(fig) and "malignant (n = 4)" in texts(fig)


def test_case_panel_keeps_an_empty_cell():
    image = RNG.random((8, 8))
    full = {"name": "unsure", "note": "p 0.4", "x1": image, "x2": image, "samples": RNG.random((4, 8, 8))}
    fig = figures.case_panel([full, {"name": "correct", "note": "no such nodule"}], k_runs=4)
    drawn = [len(ax.images) for ax in fig.axes[:14]]
    assert drawn == [1] * 7 + [0] * 7
    shown = np.asarray(fig.axes[6].images[0].get_array())
    assert shown == pytest.approx(np.abs(full["samples"] - image).mean(0))
    assert "no such nodule" in texts(fig)


def test_radial_profile_draws_ring_means():
    rings = np.array([[1.0, 2, 3, 4, 5, np.nan], [3.0, 4, 5, 6, 7, 9]])
    fig = figures.radial_profile({"all": rings})
    drawn = fig.axes[0].containers[0].lines[0].get_ydata()
    assert drawn == pytest.approx([2, 3, 4, 5, 6, 9])
    assert "all (n = 2)" in texts(fig)


def test_running_variance_draws_one_curve_a_nodule():
    running = variance.running_variance(RNG.random((6, 5)))
    top, low = figures.running_variance(running, {"all": variance.settled(running, 0.2)}).axes
    assert len(top.lines) == 5 + 2  # nodules, median, the paper's K
    assert low.get_xlabel() == "number of runs K"
