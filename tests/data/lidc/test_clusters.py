"""Which outlines are one nodule, on points placed by hand."""

import numpy as np
import pytest

from namd.data.lidc.clusters import group


def at(x, z=0.0, y=0.0, n=3):
    """n points within 1 mm."""
    return np.column_stack([x + np.linspace(0, 1, n), np.full(n, y), np.full(n, z)])


def test_nothing_and_one():
    assert group([], 2.0) == [] and group([at(0)], 2.0) == [[0]]


def test_neighbours_of_neighbours_are_one_nodule_and_order_is_by_place():
    outlines = [at(50, z=9), at(0), at(2.9), at(5.8), at(50, z=3)]
    assert group(outlines, 2.0) == [[1, 2, 3], [4], [0]]
    assert group(outlines, 1.8) == [[1], [2], [3], [4], [0]]


@pytest.mark.parametrize("gap,expected", [(2.0, [[0, 1]]), (2.001, [[0], [1]])])
def test_the_tolerance_itself_counts(gap, expected):
    assert group([at(0), at(1 + gap)], 2.0) == expected


def test_one_slice_further_is_the_same_nodule():
    assert group([at(0, z=0), at(0, z=2.5)], 2.5) == [[0, 1]]


def test_a_crowd_is_divided_and_the_rest_of_the_scan_is_not():
    crowd = [at(0), at(0.1), at(0.2), at(2.7), at(2.8), at(2.9)]        # 1.5 mm apart
    apart = [at(60), at(62.9)]                                          # 1.9 mm apart
    assert group([*crowd, *apart], 2.0) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_groups_lie_along_z_then_y_then_x():
    assert group([at(50), at(0, z=30), at(20, y=10), at(70, y=5)], 2.0) == [[0], [3], [2], [1]]


def test_a_crowd_is_divided_no_further_than_it_must_be_and_down_to_a_tenth_of_a_millimetre():
    first = [at(0)] * 3
    assert group([*first, *[at(2.9)] * 2, *[at(5.4)] * 2], 2.0) == [[0, 1, 2], [3, 4, 5, 6]]   # 1.9 and 1.5 mm apart
    assert group([*first, *[at(1.2)] * 3], 2.0) == [[0, 1, 2], [3, 4, 5]]                       # 0.2 mm apart


def test_four_readers_are_no_crowd_and_five_are():
    assert group([*[at(0)] * 2, *[at(2.5)] * 2], 2.0) == [[0, 1, 2, 3]]         # 1.5 mm apart
    assert group([*[at(0)] * 3, *[at(2.5)] * 2], 2.0) == [[0, 1, 2], [3, 4]]


def test_a_crowd_that_cannot_be_divided_stays_one():
    assert group([at(0.05 * i) for i in range(6)], 2.0) == [[0, 1, 2, 3, 4, 5]]
