"""Decision curves: what is drawn is what was computed."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import binomtest

from namd.evaluation.figures import curves
from namd.evaluation.stats import bootstrap


def test_decision_curves_draw_net_benefit_and_gain():
    label, t = np.array([1, 0, 1, 0] * 10), np.array([0.2, 0.5])
    scores = {"base": np.full(40, 0.3), "perfect": label.astype(float)}
    counts = bootstrap.resample_counts(np.zeros(40), 20, 1)
    fig = curves.decision_curves(label, scores, counts, "base", t, synthetic=True)
    lines = {line.get_label(): line.get_ydata() for line in fig.axes[0].lines}
    assert lines["perfect"] == pytest.approx([0.5, 0.5]) and lines["base"] == pytest.approx([0.5 - 0.5 / 4, 0])
    assert lines["work up everybody"] == pytest.approx([0.5 - 0.5 / 4, 0.5 - 0.5])
    gain = {line.get_label(): line.get_ydata() for line in fig.axes[1].lines}
    assert gain["perfect"] == pytest.approx([0.125, 0.5]) and "base" not in gain
    plt.close(fig)


def test_reliability_bins_by_hand():
    predicted, observed, low, high = curves.reliability_bins([0, 1, 0, 1], [0.1, 0.3, 0.8, 0.6], n_bins=2)
    assert predicted == pytest.approx([0.2, 0.7]) and observed == pytest.approx([0.5, 0.5])
    wilson = binomtest(1, 2).proportion_ci(method="wilson")
    assert low == pytest.approx([wilson.low] * 2) and high == pytest.approx([wilson.high] * 2)


def test_a_bin_without_malignant_nodules_is_not_known_to_be_free_of_them():
    label, prob = np.repeat([0, 1], [30, 10]), np.linspace(0, 1, 40)
    _, observed, low, high = curves.reliability_bins(label, prob, n_bins=4)
    assert observed[0] == low[0] == 0 and high[0] == pytest.approx(0.2775, abs=1e-4)         # 0 of 10
    fig = curves.reliability(label, {"row": prob}, n_bins=4)
    bars = fig.axes[0].containers[0][2][0].get_segments()
    assert bars[0][:, 1] == pytest.approx([0, high[0]]) and "95 %" in fig.get_suptitle()
