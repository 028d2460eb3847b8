"""Lung-RADS v2022 at a baseline screen, threshold by threshold."""

import pytest

from namd.data.lung_rads import FOLLOWS, category

SOLID, GLASS, PART = 1, 2, 3


@pytest.mark.parametrize(("attenuation", "mean_mm", "core_mm", "wanted"), [
    (SOLID, 5.9, None, "2"), (SOLID, 6, None, "3"), (SOLID, 7.9, None, "3"), (SOLID, 8, None, "4A"),
    (SOLID, 14.9, None, "4A"), (SOLID, 15, None, "4B"), (GLASS, 29.9, None, "2"), (GLASS, 30, None, "3"),
    (PART, 5.9, None, "2"), (PART, 6, 5.9, "3"), (PART, 20, 6, "4A"), (PART, 20, 8, "4B"), (4, 8, None, "4A"),
    (SOLID, 5.96, None, "3"),
])
def test_a_threshold_belongs_to_the_higher_category(attenuation, mean_mm, core_mm, wanted):
    assert category(attenuation, mean_mm, core_mm) == wanted
    assert wanted in FOLLOWS


def test_a_part_solid_nodule_asks_for_its_core():
    with pytest.raises(ValueError, match="give core_mm"):
        category(PART, 12)
