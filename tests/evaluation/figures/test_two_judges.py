import pandas as pd
import pytest

from namd.evaluation.figures import alt
from namd.evaluation.figures.two_judges import unsure_by_variance


def test_doubt_is_drawn_part_by_part_with_its_interval():
    table = pd.DataFrame(dict(part=[1, 2], n=[3, 1], variance=[0.001, 0.02], value=[0.2, 0.6], low=[0.1, 0.5],
                              high=[0.25, 0.9]))
    fig = unsure_by_variance(table, synthetic=True)
    ax = fig.axes[0]
    assert list(ax.lines[0].get_ydata()) == [0.2, 0.6]
    bars = ax.containers[0][2][0].get_segments()
    assert bars[0][:, 1] == pytest.approx([0.1, 0.25]) and bars[1][:, 1] == pytest.approx([0.5, 0.9])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1\n0.001", "2\n0.02"]
    mean = next(line for line in ax.lines if line.get_label() == "all nodules")
    assert mean.get_ydata()[0] == pytest.approx(0.3)
    assert "P(unsure)" in alt.describe(fig, "unsure_by_variance") and "Var(p)" in alt.describe(fig, "x")
