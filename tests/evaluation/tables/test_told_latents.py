"""Sentences of notebook 02 hold the numbers of their tables, and turn when these do."""

import numpy as np
import pandas as pd
import pytest
import torch

from namd.evaluation.tables import told_latents

P = np.array([[0, 0.9, 0.1], [0.8, 0, 0.2], [0.5, 0.5, 0]])
Q = np.array([[0, 0.1, 0.9], [0.8, 0, 0.2], [0.5, 0.5, 0]])


def history(align=(1.0, 0.2), val=(0.5, 0.4, 0.45)):
    table = pd.DataFrame({"step": [1, 2, 3], "rec": 0.03, "align": np.linspace(*align, 3), "val_loss": val})
    return pd.concat([table, pd.DataFrame({"step": [4], "rec": [0.03], "align": [align[1]]})])


def test_the_dearest_row_is_named_with_the_neighbour_it_wants_and_the_one_it_gets():
    said = told_latents.rows(P, Q, np.array([1.76, 0.0, 0.0]))
    assert said == ("Nodule 1 pays most, 1.76 of 1.76 nats: P gives 0.90 of the row to nodule 2, Q gives 0.90 to"
                    " nodule 3.")
    assert "both rows point to nodule 1" in told_latents.rows(P, Q, np.array([0.0, 1.0, 0.5]))


def test_neighbours_are_read_at_a_width_of_one():
    sigmas = np.array([0.1, 1.0, 10.0])
    said = told_latents.neighbours(sigmas, {4: [1, 30, 60], 256: [1, 1.2, 50]})
    assert "are 30.0 where the latent has 4 numbers and 1.2 where the latent has 256 numbers" in said
    assert said.endswith("256 need a width of 10.0 to have 10.")
    assert "need a width" not in told_latents.neighbours(sigmas, {4: [1, 2, 3]})


def test_a_term_is_told_as_its_share_of_the_loss():
    said = told_latents.terms(pd.DataFrame({"rec": [0.03], "align": [0.1]}), {"rec": 1, "align": 0.1})
    assert said == "At the end the loss is 0.040: L1 75% and alignment 25%."


@pytest.mark.parametrize(("align", "weight", "said"), [
    ((1.0, 0.2), 0.1, "The alignment term falls from 0.80 to 0.20."),
    ((1.0, 0.98), 0.1, "does not fall in these steps"),
    ((1.0, 0.2), 0, "has no weight here")])
def test_a_term_falls_or_does_not_or_was_not_asked_to(align, weight, said):
    assert said in told_latents.fell(history(align), "align", weight)


@pytest.mark.parametrize(("peak", "said"), [(0.04, "there is no pattern"), (3.2, "a pattern of period 2, 3.2 times")])
def test_sharpness_says_whether_a_pattern_is_there(peak, said):
    lines = pd.DataFrame({"quantity": list("abcd"), "value": [32.2, 0.88, 1.01, peak],
                          "low": [31.9] + 3 * [np.nan], "high": [32.6] + 3 * [np.nan]})
    told = told_latents.sharpness(lines)
    assert "PSNR is 32.2 [31.9, 32.6] dB" in told and "88% to 101%" in told and said in told


def test_order_is_high_where_a_latent_is_the_diameter_and_low_where_it_is_noise():
    rng = np.random.default_rng(0)
    size = rng.normal(size=120)
    views = {"flat": size[:, None] + 0.01 * rng.normal(size=(120, 1)), "pooled": rng.normal(size=(120, 1))}
    said = told_latents.order(size, views, np.arange(120), 23)
    flat, pooled = (float(part.split(" [")[0].split()[-1]) for part in said.split(" from the ")[:2])
    assert flat > 0.9 and pooled < 0.3
    assert "(n = 120;" in said and "nan" not in said


def test_a_decoded_pixel_is_told_in_the_middle_and_around_it():
    x = torch.zeros(2, 1, 16, 16)
    x_hat = x + 0.1
    x_hat[..., 6:10, 6:10] = -0.4
    assert told_latents.decoded(x_hat, x, -1000, 400) == (
        "A decoded pixel misses the image's by 83 HU on average (n = 2): by 280 HU in the middle, where the nodule"
        " lies, and by 70 HU around it.")
