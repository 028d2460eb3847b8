import pandas as pd
from matplotlib import pyplot as plt

from namd.evaluation.figures.dial import dial as draw
from namd.evaluation.tables import dial

QUANTITIES = [*dial.aurocs("namd"), *dial.gains("namd")]
POSITION = pd.DataFrame(dict(quantity=QUANTITIES, value=0.7, low=0.6, high=0.8))


def test_the_nulls_stand_apart_behind_the_dial():
    laws = [("none", 2.0), ("none", 0.2), ("no_record_effect", 0.45), ("none", 0.45), ("growth_given_label", 0.45)]
    table = pd.concat([POSITION.assign(null=null, eps=eps) for null, eps in laws])
    fig = draw(table, dial.aurocs("namd"), dial.gains("namd"))
    for ax in fig.axes:
        assert [text.get_text().split("\n")[0] for text in ax.get_xticklabels()] == [
            "0.2", "0.45", "2", "null:", "null:"]
        assert list(ax.get_xticks()) == [0, 1, 2, 3.6, 4.6]
    joined = [line for line in fig.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(joined) == 4
    plt.close(fig)
