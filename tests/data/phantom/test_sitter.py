"""One phantom subject, scanned on its own, is the one that a delivery holds; the chest around it is to scale."""

import numpy as np
import pytest

from namd.data.images import MM_PER_PX
from namd.data.phantom.chest import LUNG_X, SIDE_MM, chest
from namd.data.phantom.delivery import draw_cohort
from namd.data.phantom.sitter import Sitter

SITTER = Sitter(100, 112)


def test_the_subject_is_that_of_a_delivery_of_the_same_seed():
    rows = draw_cohort(4, 100, .45, .8, "none")
    row = Sitter(100, 3).row
    for name in ("age", "longest_mm", "label", "t1_longest_mm", "risk"):
        assert row[name] == pytest.approx(rows.loc[3, name])


def test_another_nodule_stands_in_the_same_body():
    own = SITTER.crop(SITTER.nodule())
    small = SITTER.crop(SITTER.nodule(longest=5.0))
    middle = np.hypot(*np.mgrid[-63.5:64, -63.5:64]) * MM_PER_PX
    assert np.abs(own - small)[middle > 20].max() <= 1                      # the kernel's rounding
    assert (own > -300)[middle < 9].sum() > 2 * (small > -300)[middle < 9].sum()
    assert SITTER.nodule(longest=5.0).perpendicular == pytest.approx(
        5 * SITTER.row["perpendicular_mm"] / SITTER.row["longest_mm"])


def test_a_record_keeps_what_is_not_changed_and_rounds_the_diameters():
    ehr = SITTER.record(age=70, sct_long_dia=20.0)
    own = SITTER.record()
    assert (ehr["age"].item(), ehr["sct_long_dia"].item(), own["sct_long_dia"].item()) == (70, 20, 10)
    assert ehr["sct_perp_dia"].item() <= 20 and ehr.index.equals(own.index)
    assert ehr["diagemph"].item() == own["diagemph"].item()


def test_the_chest_holds_the_tile_in_the_lung_of_its_lobe():
    crop = SITTER.crop(SITTER.nodule())
    hu, (column, row) = chest(SITTER, crop)
    assert hu.shape == (SIDE_MM / MM_PER_PX,) * 2
    middle = (column - hu.shape[1] / 2 + .5) * MM_PER_PX
    assert middle == pytest.approx(-LUNG_X, abs=MM_PER_PX)                  # the right lung, on the left of the picture
    inner = np.s_[row - 40:row + 40, column - 40:column + 40]
    assert np.array_equal(hu[inner], crop[24:104, 24:104].astype(np.float32))
    body = np.flatnonzero(hu[:, 300] > -500)
    assert 200 < (body[-1] - body[0]) * MM_PER_PX < 300                     # front to back, the table too
