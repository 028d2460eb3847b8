"""Plots of the worked examples: one line or one patch for each thing that is given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from namd.evaluation.figures import worked


def test_each_latent_and_each_schedule_is_a_line_of_its_own_style():
    fig = worked.perplexities(np.geomspace(0.1, 10, 5), {4: range(5), 256: range(5)})
    lines = fig.axes[0].get_lines()[:2]
    assert [line.get_label() for line in lines] == ["4 numbers", "256 numbers"]
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    other = worked.schedules({"linear": torch.linspace(1, 0.1, 9), "zero": torch.linspace(1, 0, 9)})
    assert [len(ax.get_lines()) for ax in other.axes] == [2, 2]
    assert np.isclose(other.axes[1].get_lines()[1].get_ydata()[-1], 1e-4)
    plt.close("all")


def test_size_and_growth_are_drawn_and_nothing_is_no_error():
    growth = pd.DataFrame({"longest diameter at T0 (mm)": [5.0, 9.0, 12.0], "growth": [0.0, 0.1, 0.5],
                           "label": ["benign", "benign", "malignant"]})
    fig = worked.size_and_growth(growth, "Size and growth", True)
    assert [ax.get_xlabel() for ax in fig.axes] == list(growth.columns[:2])
    assert worked.size_and_growth(growth.head(0), "", True)
    plt.close("all")
