"""Every place that augments turns both images of a pair alike, and to the side that its name says."""

import numpy as np
import pandas as pd
import pytest
import torch

from namd.data.cohort import Pairs
from namd.data.images import AUGMENTATIONS, ROTATIONS, augment


def marked(row, column, size=128):
    """A crop of air with one bright block around (row, column)."""
    crop = np.full((size, size), -1000, np.int16)
    crop[row - 2:row + 3, column - 2:column + 3] = 400
    return crop


def place(image):
    """(row, column) of the bright block, from the centre of the image."""
    rows, columns = np.nonzero(np.asarray(image) > np.asarray(image).max() - 1e-3)
    return np.array([rows.mean(), columns.mean()]) - (np.array(np.shape(image)) - 1) / 2


@pytest.fixture
def pairs():
    """One pair: x1 has its block to the right of the centre, x2 above it."""
    table = pd.DataFrame({"t0_index": [0], "t1_index": [1]}, index=["a"])
    return Pairs(table, np.stack([marked(64, 84), marked(44, 64)]))


@pytest.mark.parametrize("k", range(5))
def test_rotations_turn_counter_clockwise_by_their_degrees(k):
    turned = place(augment(marked(64, 84)[None], "rotations", k)[0])
    angle = np.degrees(np.arctan2(-turned[0], turned[1]))       # rows run down
    assert (angle - ROTATIONS[k] + 180) % 360 - 180 == pytest.approx(0, abs=2.5)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_both_images_of_a_pair_are_turned_alike(pairs, kind):
    for k in range(AUGMENTATIONS[kind]):
        x1, x2 = pairs.augmented(k, kind, 64, -1000, 400)
        first, second = (place(x[0, 0]) for x in (x1, x2))
        expected = [place(augment(marked(*at)[None], kind, k)[0]) for at in ((64, 84), (44, 64))]
        np.testing.assert_allclose([first, second], expected, atol=1)
        assert abs(first @ second) < 25                          # a right angle stays one


def test_the_square_has_four_turns_and_their_mirror_images(pairs):
    for k in range(8):
        x1, x2 = pairs.augmented(k, "square", 64, -1000, 400)
        for x, plain in ((x1, pairs.images(64, -1000, 400)[0]), (x2, pairs.images(64, -1000, 400)[1])):
            turned = torch.rot90(plain, k % 4, (-2, -1))
            assert torch.equal(x, turned.flip(-1) if k >= 4 else turned)
