"""Sentences of notebook 03 hold the numbers of their arrays, and turn when these do."""

import pandas as pd
import pytest
import torch

from namd.evaluation.tables import told_noise

ALPHA_BAR = torch.linspace(1, 0, 1000)


def test_a_decoded_pixel_is_told_in_window_units_and_in_hu():
    x = torch.zeros(2, 1, 4, 4)
    assert told_noise.decoder_error(x, x + 0.1, -1000, 400) == (
        "A decoded pixel misses the image's by 0.100 on average, 70 HU (n = 2).")


def test_noise_takes_over_where_half_of_the_variance_is_gone():
    said = told_noise.fading(ALPHA_BAR)
    assert "From step 500 of 1000 on" in said
    assert "At step 100 a latent keeps 0.95 of its amplitude, at step 800 0.45" in said


def test_a_schedule_that_ends_at_zero_lets_nothing_through():
    said = told_noise.leaks({"one": torch.tensor([1, 0.5, 0.04]), "zero": torch.tensor([1, 0.5, 0.0])})
    assert "keep: `one` 50% and 0.200 (0.60); `zero` 50% and 0.000 (0.00). In brackets" in said


@pytest.mark.parametrize(("val", "kept", "said"), [
    ([0.9, 0.6], 0.6, "the last step's, is 0.600, 40% below the yardstick of 1.000"),
    ([0.6, 0.9], 0.6, "those of step 10 of 20, is 0.600"),
    ([1.2, 1.1], 1.1, "in 20 steps the U-Net has not learnt more than the spread")])
def test_the_loss_stands_beside_the_yardstick(val, kept, said):
    assert said in told_noise.below_yardstick(pd.DataFrame({"step": [10, 20], "val_loss": val}), kept, 1.0)


@pytest.mark.parametrize(("apart", "said"), [(0.3, "near-copies"), (0.72, "more alike"), (1.0, "as different as real")])
def test_copies_are_called_copies(apart, said):
    assert said in told_noise.variety(0.86, apart)


def test_a_sampled_image_has_a_nodule_where_its_middle_is_tissue():
    lung = torch.full((3, 1, 64, 64), -0.8)                 # -860 HU
    nodule = lung.clone()
    nodule[:2, :, 28:36, 28:36] = 0.4                       # -20 HU
    said = told_noise.with_a_nodule(lung, nodule, -1000, 400)
    assert said.endswith("lies in the middle of 0 of 3 sampled images and of 2 of 3 decoded ones.")
