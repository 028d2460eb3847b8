"""Numbers in sentences."""

from namd.evaluation.tables.wording import listed, measured, signed


def test_numbers_and_lists():
    assert measured(0.881, 0.6, 1.19) == "0.88 [0.60, 1.19]"
    assert signed(0.041, -0.02, 0.061) == "+0.041 [-0.020, +0.061]"
    assert [listed(parts) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
