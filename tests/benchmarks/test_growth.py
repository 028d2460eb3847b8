"""The exponent of a curve that is known, with a start that every process pays."""

import growth
import pandas as pd
import pytest


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_and_what_lies_beyond_are_those_of_the_curve(power):
    sizes = [10, 20, 40]
    values = [7 + 3 * n**power for n in sizes]
    assert growth.exponent(values) == pytest.approx(power)
    assert growth.extrapolated(sizes, values, growth.exponent(values), 1000) == pytest.approx(7 + 3 * 1000**power)


def test_what_does_not_grow_has_none():
    assert growth.exponent([5.0, 5.0, 5.001]) is None and growth.exponent([5.0, 4.0, 6.0]) is None


def test_all_of_nlst_is_reached_over_subjects_and_over_bytes():
    found = pd.DataFrame([dict(axis=axis.name, notebook=axis.notebook, size=size, cpu_s=10.0 + size / 4, held_gib=1.0,
                               disk_mb=2.0 * size, read_mb=8.0 * size) for axis in growth.AXES for size in axis.sizes])
    table = growth.exponents(found).set_index(["axis", "quantity"])
    assert table.loc[("subjects", "cpu_s"), "all_of_nlst"] == pytest.approx(10 + 26_410 / 4)
    assert table.loc[("bytes of CT", "cpu_s"), "all_of_nlst"] == pytest.approx(11.14e6 / 32)
    assert table.loc["K", "all_of_nlst"].isna().all() and pd.isna(table.loc[("K", "held_gib"), "exponent"])
