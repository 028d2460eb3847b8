"""What the three-class figures draw, on which axes, and what they say to a reader who cannot see them."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from namd.evaluation.figures import alt, three_class


def texts(thing):
    return [t.get_text() for t in thing.findobj(matplotlib.text.Text)]


def test_confusions_show_nodules_and_the_share_of_their_true_class():
    cells = np.array([[8, 2, 0], [5, 15, 0], [0, 1, 3]])
    arms = {"static": cells, "guided": cells.T, "a": cells, "b": cells, "c": cells}
    fig = three_class.confusions(arms, "Who?", synthetic=True)
    first = fig.axes[0]
    assert texts(first)[:3] == ["8\n80%", "2\n20%", "0\n0%"] and "15\n75%" in texts(first)
    assert first.get_title() == "static" and first.get_ylabel() == "true class"
    assert np.asarray(first.collections[0].get_array()).ravel()[:2] == pytest.approx([0.8, 0.2])
    assert [bool(ax.get_xlabel()) for ax in fig.axes] == [False, True, True, True, True, False, False, False]
    assert sum(bool(ax.collections) for ax in fig.axes) == 5 and "phantom data" in texts(fig)
    said = alt.describe(fig, "autorad_confusion")
    assert "Who?" in said and "guided" in said and "true class" in said


DIFFERENCES = pd.DataFrame([dict(row=row, beside=beside, statistic=name, value=value, low=value - 0.1, high=value + 0.1)
                            for row, beside, value in (("guided", "static", 0.2), ("guided", "logistic", -0.05))
                            for name in ("macro_f1", "f1_unsure", "accuracy")])


def test_differences_are_named_by_both_arms_and_share_their_lines():
    fig = three_class.difference_forests(DIFFERENCES, ["macro_f1", "f1_unsure"], "Gains")
    assert [ax.get_xlabel() for ax in fig.axes] == ["macro F1", "unsure F1"]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["guided - static", "guided - logistic"]
    assert fig.axes[1].containers[0].lines[0].get_xdata() == pytest.approx([0.2, -0.05])
    assert "macro F1" in alt.describe(fig, "gains")


def test_the_sweep_has_bars_and_its_lengths_in_order():
    table = pd.DataFrame(dict(tokens=[70, 10, 50], accuracy=[0.6, 0.5, 0.7])).assign(
        accuracy_low=lambda t: t["accuracy"] - 0.1, accuracy_high=lambda t: t["accuracy"] + 0.05)
    ax = three_class.token_sweep(table, ["accuracy"], {50: 0.661}).axes[0]
    assert list(ax.lines[0].get_xdata()) == [10, 50, 70] and list(ax.lines[0].get_ydata()) == [0.5, 0.7, 0.6]
    bars = ax.containers[0][2][0].get_segments()
    assert bars[0][:, 1] == pytest.approx([0.4, 0.55]) and bars[1][:, 1] == pytest.approx([0.6, 0.75])
    assert list(ax.lines[-1].get_ydata()) == [0.661] and ax.get_xlabel() == "context tokens"
    lines = len(ax.lines)
    assert len(three_class.token_sweep(table, ["accuracy"]).axes[0].lines) == lines - 1     # no crosses of a paper
    two = three_class.token_sweep(table.assign(**{f"macro_f1{end}": 0.5 for end in ("", "_low", "_high")}),
                                  ["accuracy", "macro_f1"]).axes[0]
    assert min(two.containers[0][0].get_xdata()) < 10 < min(two.containers[1][0].get_xdata())


def test_moves_are_bars_with_the_largest_on_top():
    table = pd.DataFrame(dict(group=["shape", "size"], value=[0.5, 0.1], low=[0.4, 0.05], high=[0.6, 0.2]))
    fig = three_class.moves(table)
    ax = fig.axes[0]
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.1]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["shape", "size"] and list(ax.get_yticks()) == [1, 0]
    assert "change of δ" in alt.describe(fig, "moves")
