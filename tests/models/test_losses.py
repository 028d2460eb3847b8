"""Eq. 2-6 against values worked out by hand."""

import math

import pytest
import torch

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.models import losses

THREE = torch.tensor([[0.0], [1.0], [3.0]])


def test_neighbour_rows_of_three_nodules_by_hand():
    P = losses.neighbour_rows(THREE, sigma=1.0)
    a, b, c = math.exp(-0.5), math.exp(-4.5), math.exp(-2.0)
    by_hand = torch.tensor(
        [[0, a / (a + b), b / (a + b)], [a / (a + c), 0, c / (a + c)], [b / (b + c), c / (b + c), 0]])
    torch.testing.assert_close(P, by_hand)


def test_temperature_widens_sigma_by_its_square_root():
    torch.testing.assert_close(
        losses.neighbour_rows(THREE, 2.0, temperature=0.5), losses.neighbour_rows(THREE, math.sqrt(2.0))
    )


def test_alignment_by_hand_and_not_symmetric():
    f, z = THREE, torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    P, Q = losses.neighbour_rows(f, 1.0), losses.neighbour_rows(z, 1.0)
    by_hand = sum(P[i, j] * (P[i, j] / Q[i, j]).log() for i in range(3) for j in range(3) if i != j) / 3
    torch.testing.assert_close(losses.alignment_loss(f, z, 1.0, 1.0), by_hand)
    assert abs(by_hand - losses.alignment_loss(z, f, 1.0, 1.0)) > 0.1


def test_the_temperature_divides_on_both_sides():
    f, z = THREE, torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    warm = losses.alignment_loss(f, z, 1.0, 2.0, temperature=0.5)
    torch.testing.assert_close(warm, losses.alignment_loss(f, z, math.sqrt(0.5), math.sqrt(2.0)))
    assert abs(warm - losses.alignment_loss(f, z, math.sqrt(0.5), 2.0)) > 0.01
    assert abs(warm - losses.alignment_loss(f, z, 1.0, math.sqrt(2.0))) > 0.01
    assert losses.alignment_loss(f, f, 1.0, 1.0, temperature=0.5).item() == pytest.approx(0.0, abs=1e-6)


def test_alignment_is_zero_when_the_orders_agree_and_ignores_a_shift():
    z = 5 * THREE + 7
    assert losses.alignment_loss(THREE, z, 1.0, 5.0).item() == pytest.approx(0.0, abs=1e-6)
    assert losses.alignment_loss(THREE, -THREE.flip(0), 1.0, 1.0) > 0.1


def test_alignment_gradient_is_finite_and_reaches_z_only_when_it_should():
    z = torch.zeros(3, 2, 2, requires_grad=True)
    losses.alignment_loss(THREE, z + torch.arange(3.0)[:, None, None], 1.0, 1.0).backward()
    assert z.grad.isfinite().all() and z.grad.abs().sum() > 0


def test_alignment_far_apart_latents_stay_finite():
    z = (1e3 * THREE).requires_grad_()
    loss = losses.alignment_loss(THREE, z, 1.0, 1.0)
    loss.backward()
    assert loss.isfinite() and z.grad.isfinite().all()


def test_the_floor_is_added_before_the_rows_are_rescaled_and_again_inside_the_logarithm():
    f, z = THREE, torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    P, Q = ((losses.neighbour_rows(v, 1.0) + 0.01) / (1 + 3 * 0.01) for v in (f, z))
    by_hand = sum(P[i, j] * math.log((P[i, j] + 0.01) / (Q[i, j] + 0.01)) for i in range(3) for j in range(3)) / 3
    torch.testing.assert_close(losses.alignment_loss(f, z, 1.0, 1.0, floor=0.01), by_hand)


@pytest.mark.parametrize("n_latent", [4, 256])
def test_a_floor_bounds_the_price_and_the_pull_and_leaves_near_latents_alone(n_latent):
    f = seeding.noise((16, 5), "f")
    for spread, bound in ((0.1, False), (30.0, True)):
        z = (spread * seeding.noise((16, n_latent), "z")).requires_grad_()
        free, floored = losses.alignment_loss(f, z, 1.0, 1.0), losses.alignment_loss(f, z, 1.0, 1.0, floor=1e-8)
        pull_free, pull_floored = (torch.autograd.grad(loss, z)[0].norm() for loss in (free, floored))
        if bound:
            assert 10 < floored < math.log(1 / 2e-8) < 100 < free and pull_floored < pull_free / 10
        else:
            torch.testing.assert_close((floored, pull_floored), (free, pull_free), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("floor", [0.0, 1e-8])
def test_unknown_nodules_leave_the_loss_and_its_pull_to_the_others_and_none_leaves_every_bit(floor):
    f, z = seeding.noise((7, 5), "f"), seeding.noise((7, 4, 2, 2), "z").requires_grad_()
    known = torch.tensor([True, False, True, True, False, True, True])

    def priced(f, z, known=None):
        loss = losses.alignment_loss(f, z, 1.0, 2.0, 0.5, floor, known)
        return loss, torch.autograd.grad(loss, z)[0]

    (loss, pull), others = priced(f, z, known), z[known].detach().requires_grad_()
    alone, pull_alone = priced(f[known], others)
    assert loss > 0 and torch.equal(loss, alone) and torch.equal(pull[known], pull_alone) and not pull[~known].any()
    assert all(map(torch.equal, priced(f, z, known | True), priced(f, z)))
    for few in (known & False, torch.arange(7) == 3):
        nothing, pull = priced(f, z, few)
        assert nothing == 0 and not pull.any()


@pytest.mark.parametrize(("v", "sigma", "temperature"), [(THREE[:1], 1, 1), (THREE, 0, 1), (THREE, 1, -1)])
def test_neighbour_rows_refuses(v, sigma, temperature):
    with pytest.raises(ValueError, match="B >= 2|above 0"):
        losses.neighbour_rows(v, sigma, temperature)


def test_prediction_loss_by_hand():
    logit, label = torch.tensor([0.0, math.log(3)]), torch.tensor([1, 0])
    assert losses.prediction_loss(logit, label).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_kl_sums_over_the_latent_and_averages_over_the_batch():
    mean, logvar = torch.zeros(2, 4, 8, 8), torch.zeros(2, 4, 8, 8)
    assert losses.kl_loss(mean, logvar) == 0
    mean[0] = 1.0
    assert losses.kl_loss(mean, logvar).item() == pytest.approx(0.5 * 256 / 2)
    logvar[1, 0, 0, 0] = math.log(4)
    assert losses.kl_loss(mean, logvar).item() == pytest.approx(64 + 0.5 * (4 - 1 - math.log(4)) / 2)


def test_reconstruction_loss_is_the_mean_absolute_difference():
    x = torch.tensor([[[[0.0, 1.0]]], [[[-1.0, 0.5]]]])
    assert losses.reconstruction_loss(x, torch.zeros_like(x)).item() == pytest.approx(2.5 / 4)


def test_perplexity_counts_neighbours():
    P = torch.tensor([[0, 0.5, 0.5], [1.0, 0, 0], [0.25, 0.75, 0]])
    third = math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    torch.testing.assert_close(losses.perplexity(P), torch.tensor([2.0, 1.0, third]))


def test_sigma_for_perplexity_reaches_it_with_and_without_temperature():
    f = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    for temperature in (1.0, 0.5):
        sigma = losses.sigma_for_perplexity(f, 30.0, temperature)
        reached = losses.perplexity(losses.neighbour_rows(f, sigma, temperature)).median().item()
        assert reached == pytest.approx(30.0, abs=0.05)


def test_sigma_for_perplexity_names_the_range():
    with pytest.raises(UserError, match="align_perplexity = 30 .* between"):
        losses.sigma_for_perplexity(torch.randn(8, 2), 30.0)
