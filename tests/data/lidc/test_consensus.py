"""Outlines to masks by counting pixels: what an outline encloses, what half of the readers share, which slice."""

import numpy as np
import pytest
from small_lidc import square

from namd.data.lidc.consensus import Outline, area_mm2, consensus, diameters_mm, fits, flaw, mark_mask, resample_mask

ALL = (np.zeros(2, dtype=int), (60, 60))            # corner and shape


def line(column, row, side, place=0, inclusion=True):
    return Outline(place, np.array(square(column, row, side)), inclusion)


def drawn(*lines):
    """A reader with one mark."""
    return [list(lines)]


def test_an_outline_is_no_part_of_the_nodule():
    expected = np.zeros((60, 60), bool)
    expected[20:25, 10:15] = True
    np.testing.assert_array_equal(mark_mask([line(10, 20, 5)], 0, *ALL), expected)
    assert not mark_mask([line(10, 20, 5)], 1, *ALL).any()


def test_neither_a_hole_nor_the_line_around_it_belongs_to_the_nodule():
    mask = mark_mask([line(10, 20, 9), line(13, 23, 3, inclusion=False)], 0, *ALL)
    assert mask.sum() == 81 - 25 and not mask[22:27, 12:17].any()


def test_two_outlines_of_a_slice_add_up_where_one_runs_through_the_other():
    mask = mark_mask([line(10, 20, 6), line(14, 20, 6)], 0, *ALL)
    assert mask.sum() == 6 * 10


@pytest.mark.parametrize("turn", [lambda p: p, lambda p: p[::-1], lambda p: np.roll(p[:-1], 7, axis=0)])
def test_an_outline_may_run_either_way_begin_anywhere_and_stay_open(turn):
    ring = np.array([(3, 1), (4, 1), (5, 2), (6, 3), (5, 4), (4, 5), (3, 5), (2, 4), (1, 3), (2, 2), (3, 1)])
    mask = mark_mask([Outline(0, turn(ring))], 0, np.zeros(2, int), (7, 8))
    assert ["".join(".#"[int(x)] for x in row) for row in mask] == [
        "........", "........", "...##...", "..####..", "...##...", "........", "........"]


RING = square(10, 20, 12)
ACROSS = [*[(i, i) for i in range(20)], *[(20, i) for i in range(20, 0, -1)], *[(20 - i, i) for i in range(20)],
          *[(0, i) for i in range(20, 0, -1)]]
PINCHED = [*square(2, 2, 6)[:14], *square(9, 9, 6)[:-1], *square(2, 2, 6)[14:]]       # two squares, a corner in common


@pytest.mark.parametrize("points,words", [
    (RING, ""), (RING[:-1], ""), (RING[:-5], ""), (RING[:20] + RING[24:], ""), (RING[::-1], ""), (PINCHED, ""),
    ([(3, 3), (8, 3)], ""), (RING[:26], "has a gap of 13 pixels; at most 5 are"), (RING[:-6], "has a gap of 6"),
    (RING[:8] + RING[20:], "has a gap of 7"), (ACROSS, "crosses itself"), (RING[:-1] * 2, "crosses itself")])
def test_a_closed_line_goes_once_round_its_pixels(points, words):
    assert flaw(np.array(points)).startswith(words) and bool(flaw(np.array(points))) == bool(words)


def test_long_edges_of_a_polygon():
    mask = mark_mask([Outline(0, np.array([(2, 2), (12, 2), (12, 12), (2, 12)]))], 0, np.zeros(2, int), (15, 15))
    assert mask[3:12, 3:12].all() and mask.sum() == 81
    slanted = mark_mask([Outline(0, np.array([(7, 2), (11, 6), (7, 10), (3, 6)]))], 0, np.zeros(2, int), (15, 15))
    assert slanted.sum(1).tolist() == [0, 0, 0, 1, 3, 5, 7, 5, 3, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("sides,expected", [((5, 5, 9, 9), 81), ((5, 5, 5, 9), 25), ((5, 9, 9), 81), ((5, 9), 81),
                                            ((5, 5, 9), 25), ((7,), 49)])
def test_half_of_the_readers_are_enough(sides, expected):
    found = consensus([drawn(line(20, 20, side)) for side in sides], {0: 0.0})
    assert found.mask.sum() == expected and found.readers.sum((1, 2)).tolist() == [side**2 for side in sides]


def test_a_reader_counts_in_slices_that_he_left_out():
    one = drawn(line(20, 20, 9, place=0), line(20, 20, 9, place=1))
    other = drawn(line(20, 20, 9, place=0))
    found = consensus([one, other, other], {0: 0.0, 1: 2.0})
    assert found.place == 0
    assert consensus([drawn(line(5 + 10 * i, 5, 5)) for i in range(3)], {0: 0.0}) is None


@pytest.mark.parametrize("sides,middle", [((3, 5, 7), 1), ((9, 5, 3), 1), ((3, 5, 7, 9), 2), ((3, 7, 5, 9), 1),
                                          ((3, 5, 5, 9), 1), ((3, 5), 1)])
def test_the_middle_slice_is_next_to_the_median_and_of_two_the_larger_then_the_lower(sides, middle):
    mark = [line(20, 20, side, place=i) for i, side in enumerate(sides)]
    found = consensus([[mark]], {i: 2.0 * i for i in range(len(sides))})
    assert found.place == middle and found.mask.sum() == sides[middle] ** 2


def test_the_median_is_of_z_not_of_numbers_and_of_slices_with_a_consensus():
    mark = [line(20, 20, 5, place=i) for i in range(3)]
    assert consensus([[mark]], {0: 0.0, 1: 1.0, 2: 9.0}).place == 1
    last_far_off = [line(20, 20, 5, place=i) for i in range(5)]
    assert consensus([[last_far_off]], {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 20.0}).place == 2      # the mean is 5.2
    alone = drawn(*[line(20, 20, 5, place=i) for i in range(7)])
    others = [drawn(*[line(20, 20, 5, place=i) for i in range(3)])] * 2
    assert consensus([alone, *others], {i: float(i) for i in range(7)}).place == 1


def test_pieces_of_one_reader_are_one_mask():
    found = consensus([[[line(10, 10, 5)], [line(30, 10, 5)]], drawn(line(10, 10, 5), line(30, 10, 5))], {0: 0.0})
    assert found.mask.sum() == 50
    np.testing.assert_allclose(found.centre, (10 + 30 + 4) / 2 + np.array([0, -10]))


def test_area_and_diameters_of_a_rectangle_by_hand():
    mask = np.zeros((20, 20), bool)
    mask[4:10, 3:11] = True                                             # 6 x 8 pixels
    assert area_mm2(mask, 0.5) == 12
    longest, across = diameters_mm(mask, 0.5)
    np.testing.assert_allclose([longest, across], [5, 2 * 6 * 8 / 10 * 0.5])
    one = np.zeros((3, 3), bool)
    one[1, 1] = True
    np.testing.assert_allclose(diameters_mm(one, 0.7), [0.7 * 2**0.5] * 2)


def disc(radius_px, size=101):
    rows, columns = np.mgrid[:size, :size] - size // 2
    return rows**2 + columns**2 <= radius_px**2


@pytest.mark.parametrize("spacing", [0.46, 0.6, 0.7, 0.98])
@pytest.mark.parametrize("mm", [3, 6, 20])
def test_a_resampled_mask_keeps_its_area_and_place(spacing, mm):
    mask = disc(mm / 2 / spacing)
    areas = []
    for shift in np.linspace(-0.5, 0.5, 7):
        made = resample_mask(mask, (50 + shift, 50 - 0.7 * shift), 0.6 / spacing)
        areas.append(made.sum() * 0.36)
        off = np.argwhere(made).mean(0) - 63.5 + np.array([-0.7, 1]) * shift * spacing / 0.6
        np.testing.assert_allclose(off, 0, atol=0.35)
    assert np.mean(areas) == pytest.approx(area_mm2(mask, spacing), rel=0.12)


def test_a_mask_runs_with_the_crop_of_a_turned_series():
    mask = np.zeros((40, 40), bool)
    mask[12:16, 10:24] = True
    upright = resample_mask(mask, (20.5, 18.5), 1.0)
    np.testing.assert_array_equal(resample_mask(mask, (20.5, 18.5), 1.0, (-1, 1)), upright[:, ::-1])
    np.testing.assert_array_equal(resample_mask(mask, (20.5, 18.5), 1.0, (1, -1)), upright[::-1])
    assert upright.sum() == 56 and np.argwhere(upright).min(0).tolist() == [57, 53]


def test_a_mask_of_one_pixel_stays_one_and_one_between_the_pixels_is_lost():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    for spacing in (0.46, 0.6, 0.98):
        assert 1 <= resample_mask(mask, (4, 4), 0.6 / spacing).sum() <= 4
    assert not resample_mask(mask, (4, 4), 0.6 / 0.1).any()


def test_what_reaches_beyond_the_crop_does_not_fit():
    def found(columns):
        return consensus([drawn(Outline(0, np.array([(1, 1), (columns + 2, 1), (columns + 2, 9), (1, 9)])))], {0: 0.0})

    assert fits(found(126), 0.6) and not fits(found(126), 0.61)
    assert not fits(found(127), 0.6) and not fits(found(128), 0.6)
    seen = found(126)
    made = resample_mask(seen.mask, seen.centre - seen.corner, 1.0)
    assert made.any(0).sum() == 126 and not made[:, [0, -1]].any()
