"""Contracts of the figures: what is drawn, how it is named, and that phantom data say so."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from namd.evaluation.figures import plots

RNG = np.random.default_rng(0)


def texts(fig):
    return " ".join(t.get_text() for t in fig.findobj(matplotlib.text.Text))


def test_phantom_mark_only_on_phantom_data():
    images = [[np.zeros((4, 4))]]
    assert "phantom data" in texts(plots.image_grid(images, synthetic=True))
    assert "phantom data" not in texts(plots.image_grid(images))


def test_image_grid_leaves_gaps_blank():
    image = np.full((4, 4), 0.5)
    fig = plots.image_grid([[image, None], [image]], col_titles=["a", "b"], row_titles=["x1", "x2"], title="grid")
    assert [len(ax.images) for ax in fig.axes] == [1, 0, 1, 0]
    assert fig.axes[0].images[0].get_clim() == (-1, 1)
    assert {"a", "b", "x1", "x2", "grid"} <= set(texts(fig).split())


def test_image_grid_has_a_bar_of_10_mm_and_a_scale_of_the_difference():
    image = np.full((64, 64), 0.5)
    fig = plots.image_grid([[image, image]], ["x1", "mean - x2"], mm_per_px=0.5, difference="units")
    first, last, bar = fig.axes
    assert np.ptp(first.lines[0].get_xdata()) == 20 and "10 mm" in texts(fig)
    assert last.images[0].get_cmap().name == "RdBu_r" and bar.get_ylabel() == "units"


def test_training_curves_skip_missing_values():
    history = pd.DataFrame({"step": [0, 1, 2, 3], "loss": [4.0, 3, 2, 1], "val_loss": [np.nan, 3, np.nan, 2]})
    loss, val = plots.training_curves(history, ["loss", "val_loss"]).axes
    assert len(loss.lines[0].get_xdata()) == 4
    assert val.lines[0].get_xdata().tolist() == [1, 3]
    assert (val.get_xlabel(), val.get_ylabel()) == ("training step", "val_loss")


def test_training_curves_stand_three_a_row():
    history = pd.DataFrame({name: [1.0, 2.0] for name in ("step", *"abcde")})
    fig = plots.training_curves(history, list("abcde"))
    assert [ax.get_ylabel() for ax in fig.axes] == list("abcde") and fig.get_figwidth() < 10


def test_matrices_print_their_values():
    fig = plots.matrices([np.eye(3), np.full((3, 3), 0.25)], ["P", "Q"])
    assert texts(fig).split().count("0.25") == 9


def test_forest_draws_each_row_with_its_interval():
    rows = pd.DataFrame({"row": ["a", "b"], "value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.3, 0.4]})
    ax = plots.forest(rows, "difference", reference=0).axes[0]
    segments = ax.containers[0].lines[2][0].get_segments()
    assert segments[0][:, 0] == pytest.approx([0.0, 0.3])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_latent_maps_share_one_colour_scale():
    fig = plots.latent_maps([RNG.random((9, 2))] * 2, np.linspace(4, 20, 9), ["with", "without"], ["s1", "s2"])
    left, right, bar = fig.axes
    assert left.collections[0].norm is right.collections[0].norm
    assert len(left.collections[0].get_offsets()) == 9
    assert bar.get_ylabel() == "longest diameter (mm)"
    assert "n = 9" in texts(fig)
