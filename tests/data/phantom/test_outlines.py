"""What readers draw: as alike as in LIDC, and a contour holds exactly the mask that it was drawn around."""

from types import SimpleNamespace

import numpy as np
import pytest
from ring import filled
from scipy import ndimage

from namd.data.phantom import outlines
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import nodule_at
from namd.data.phantom.law import draw_subjects

N, SEED, SPACING = 60, 61, .68
GRID = (np.arange(120) - 59.3) * SPACING
HEIGHTS = 1.25 * (np.arange(5) - 2)


@pytest.fixture(scope="module")
def drawn():
    """Per nodule: the masks of four readers, and the true one, (4, 5, H, W) and (5, H, W)."""
    found = []
    for row in draw_subjects(N, SEED).reset_index().to_dict("records"):
        shape, nodule = draw_anatomy(row, SEED, row["subject"]).shape, nodule_at(row, 0)
        masks = outlines.outlines(shape, nodule, SEED, row["subject"], GRID, GRID, HEIGHTS, 1.25)
        true = outlines.draw(outlines.truth(shape, nodule), GRID, GRID, HEIGHTS, 1.25)
        found.append(SimpleNamespace(masks=masks, true=true, nodule=nodule))
    return found


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_readers_draw_as_differently_as_in_lidc(drawn):
    middle = [one.masks[:, 2] for one in drawn]
    others = [dice(masks[r], np.delete(masks, r, 0).sum(0) >= 2) for masks in middle for r in range(4)]
    all_four = [dice(mask, masks.sum(0) >= 2) for masks in middle for mask in masks]
    root_area = np.sqrt([masks.sum((1, 2)) for masks in middle])
    assert np.mean(others) == pytest.approx(.87, abs=.02) and np.mean(all_four) == pytest.approx(.91, abs=.02)
    assert np.mean(root_area.std(axis=1) / root_area.mean(axis=1)) == pytest.approx(.08, abs=.01)


def test_the_consensus_is_near_the_true_outline_and_that_has_the_true_size(drawn):
    assert np.mean([dice(one.masks[:, 2].sum(0) >= 2, one.true[2]) for one in drawn]) == pytest.approx(.935, abs=.015)
    smooth = [one for one in drawn if one.nodule.margin == 2]
    ratio = [one.true[2].sum() * SPACING ** 2 / (np.pi / 4 * one.nodule.longest * one.nodule.perpendicular)
             for one in smooth]
    assert np.mean(ratio) == pytest.approx(1, abs=.05)


def test_small_nodules_end_within_the_slices(drawn):
    small = [one for one in drawn if one.nodule.longest < 5]
    assert small and all(one.masks[:, 2].any((1, 2)).all() for one in drawn)
    assert not any(one.masks[:, [0, 4]].any() for one in small)


def test_a_contour_holds_exactly_its_mask(drawn):
    for one in drawn:
        for mask in one.masks.reshape(-1, 120, 120):
            if mask.any():
                assert (filled(outlines.contour(mask), mask.shape) == mask).all()


def test_a_contour_is_a_closed_ring_of_background_pixels_whatever_the_mask():
    rng = np.random.default_rng(1)
    for width in np.linspace(.4, 3, 60):
        field = ndimage.gaussian_filter(rng.normal(size=(28, 33)), width)
        field[[0, 1, -2, -1]] = field[:, [0, 1, -2, -1]] = field.min()
        mask = outlines.whole(field > np.quantile(field, rng.uniform(.5, .95)))
        ring = outlines.contour(mask)
        assert (ring[0] == ring[-1]).all() and not mask[ring[:, 1], ring[:, 0]].any()
        assert (np.abs(np.diff(ring, axis=0)).max(axis=1) == 1).all()
        assert (filled(ring, mask.shape) == mask).all()


def test_one_pixel_has_a_contour_of_four():
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True
    ring = outlines.contour(outlines.whole(mask))
    assert {tuple(point) for point in ring.tolist()} == {(3, 1), (4, 2), (3, 3), (2, 2)} and len(ring) == 5


def test_the_largest_piece_is_kept_and_its_holes_filled():
    mask = np.zeros((12, 12), bool)
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    mask[9, 9] = True
    square = np.zeros_like(mask)
    square[2:7, 2:7] = True
    assert (outlines.whole(mask) == square).all()
    assert not outlines.whole(np.zeros((4, 4), bool)).any()
