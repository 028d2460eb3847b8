"""Decision curves: what is drawn is what was computed."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from namd.evaluation.figures import curves
from namd.evaluation.stats import intervals


def test_decision_curves_draw_net_benefit_and_gain():
    label, t = np.array([1, 0, 1, 0] * 10), np.array([0.2, 0.5])
    scores = {"base": np.full(40, 0.3), "perfect": label.astype(float)}
    counts = intervals.resample_counts(np.zeros(40), 20, 1)
    fig = curves.decision_curves(label, scores, counts, "base", t, synthetic=True)
    lines = {line.get_label(): line.get_ydata() for line in fig.axes[0].lines}
    assert lines["perfect"] == pytest.approx([0.5, 0.5]) and lines["base"] == pytest.approx([0.5 - 0.5 / 4, 0])
    assert lines["work up everybody"] == pytest.approx([0.5 - 0.5 / 4, 0.5 - 0.5])
    gain = {line.get_label(): line.get_ydata() for line in fig.axes[1].lines}
    assert gain["perfect"] == pytest.approx([0.125, 0.5]) and "base" not in gain
    plt.close(fig)
