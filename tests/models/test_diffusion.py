"""Eq. 1, 9, 10 and DDIM on cases whose answer is known without the code under test."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.models import diffusion

EPSILON = dict(prediction_type="epsilon", zero_terminal_snr=False, timestep_spacing="leading")
TERMINAL = dict(prediction_type="v_prediction", zero_terminal_snr=True, timestep_spacing="trailing")


def parameters(beta_schedule="scaled_linear", n_timesteps=1000, **kind):
    return SimpleNamespace(
        n_timesteps=n_timesteps, beta_start=8.5e-4, beta_end=1.2e-2, beta_schedule=beta_schedule, **kind
    )


@pytest.mark.parametrize(
    ("beta_schedule", "beta", "terminal"),
    [
        ("scaled_linear", np.linspace(8.5e-4**0.5, 1.2e-2**0.5, 1000) ** 2, 0.0047),
        ("linear", np.linspace(8.5e-4, 1.2e-2, 1000), 0.0016),
    ],
)
def test_alpha_bar_is_the_published_formula(beta_schedule, beta, terminal):
    alpha_bar = diffusion.alpha_bar(diffusion.schedule(parameters(beta_schedule, **EPSILON))).numpy()
    np.testing.assert_allclose(alpha_bar, np.cumprod(1 - beta), atol=1e-6)
    assert round(float(alpha_bar[-1]), 4) == terminal


def test_timesteps_are_those_of_compvis():
    scheduler = diffusion.schedule(parameters(**EPSILON))
    assert diffusion.ddim_timesteps(scheduler, 50) == list(range(981, 0, -20))


def test_trailing_timesteps_start_at_pure_noise():
    scheduler = diffusion.schedule(parameters(**TERMINAL))
    assert diffusion.ddim_timesteps(scheduler, 4) == [999, 749, 499, 249]
    assert diffusion.alpha_bar(scheduler)[-1] == 0


def test_rescaled_roots_keep_their_shape_and_reach_zero():
    plain = diffusion.alpha_bar(diffusion.schedule(parameters(**EPSILON))).double().sqrt()
    rescaled = diffusion.alpha_bar(diffusion.schedule(parameters(**TERMINAL))).double().sqrt()
    by_hand = (plain - plain[-1]) * plain[0] / (plain[0] - plain[-1])
    torch.testing.assert_close(rescaled, by_hand, atol=1e-5, rtol=0)


def test_q_sample_by_hand():
    alpha_bar = torch.tensor([1.0, 0.64, 0.0])
    z, eps = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[5.0], [10.0], [7.0]])
    z_t = diffusion.q_sample(z, eps, torch.tensor([0, 1, 2]), alpha_bar)
    torch.testing.assert_close(z_t, torch.tensor([[1.0], [0.8 * 2 + 0.6 * 10], [7.0]]))


def test_q_sample_keeps_the_variance_of_a_unit_latent():
    scheduler = diffusion.schedule(parameters(**EPSILON))
    z, eps = seeding.noise((4000, 4, 4, 4), "q", "z"), seeding.noise((4000, 4, 4, 4), "q", "eps")
    t = seeding.integers(1000, (4000,), "q", "t")
    assert abs(diffusion.q_sample(z, eps, t, diffusion.alpha_bar(scheduler)).var() - 1) < 0.01


def test_targets_by_hand():
    z, eps, t = torch.tensor([[2.0]]), torch.tensor([[10.0]]), torch.tensor([1])
    noise_model, v_model = diffusion.schedule(parameters(**EPSILON)), diffusion.schedule(parameters(**TERMINAL))
    v_model.alphas_cumprod[1] = 0.64
    assert diffusion.target(z, eps, t, noise_model) == 10
    torch.testing.assert_close(diffusion.target(z, eps, t, v_model), torch.tensor([[0.8 * 10 - 0.6 * 2]]))


@pytest.mark.parametrize("kind", [EPSILON, TERMINAL])
def test_the_true_target_gives_back_latent_and_noise(kind):
    scheduler = diffusion.schedule(parameters(**kind))
    z, eps, t = seeding.noise((5, 4, 8, 8), "z"), seeding.noise((5, 4, 8, 8), "eps"), torch.tensor([0, 9, 99, 500, 900])
    bar = diffusion.alpha_bar(scheduler)
    z_t, said = diffusion.q_sample(z, eps, t, bar), diffusion.target(z, eps, t, scheduler)
    clean, noise = diffusion.clean_and_noise(z_t, said, bar[t], kind["prediction_type"])
    torch.testing.assert_close(clean, z, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(noise, eps, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "eta"), [*((EPSILON, eta) for eta in (0.0, 0.3, 1.0)), (TERMINAL, 0.0),
                                           (TERMINAL, 0.3)])
@pytest.mark.parametrize("ddim_steps", [1, 4, 20, 50])
def test_ddim_matches_the_step_of_diffusers(kind, ddim_steps, eta):
    scheduler = diffusion.schedule(parameters(**kind))
    z_T = seeding.noise((3, 4, 8, 8), "z_T")
    noise = [seeding.noise(z_T.shape, "step", i) for i in range(ddim_steps)]
    ours = diffusion.ddim_sample(wavy, z_T, scheduler, ddim_steps, eta, lambda i: noise[i])
    z_t = z_T
    for i, t in enumerate(diffusion.ddim_timesteps(scheduler, ddim_steps)):
        z_t = scheduler.step(wavy(z_t, torch.full((3,), t)), t, z_t, eta, variance_noise=noise[i]).prev_sample
    torch.testing.assert_close(ours, z_t, atol=1e-6 if eta == 0 else 1e-5, rtol=1e-6)


def test_at_eta_one_the_first_step_from_pure_noise_is_drawn_anew():
    scheduler = diffusion.schedule(parameters(**TERMINAL))
    z_T, drawn = seeding.noise((3, 4, 8, 8), "z_T"), torch.zeros(3, 4, 8, 8)
    ends = [diffusion.ddim_sample(lambda z_t, t: -torch.ones_like(z_t), start, scheduler, 2, 1.0, lambda i: drawn)
            for start in (z_T, 2 * z_T)]
    assert ends[0].isfinite().all() and (ends[0] == ends[0][0, 0, 0, 0]).all() and torch.equal(*ends)


def wavy(z_t, t):
    return 0.5 * z_t + 0.1 * torch.sin(z_t + t.reshape(-1, 1, 1, 1) / 300)


def gaussian_expert(scheduler, mean, spread):
    """The best possible model of z_0 ~ N(mean, spread^2): its prediction follows from E[z_0 | z_t]."""
    bar = diffusion.alpha_bar(scheduler).double()

    def model(z_t, t):
        alpha = bar[t[0]]
        gain = spread**2 * alpha.sqrt() / (alpha * spread**2 + 1 - alpha)
        clean = mean + gain * (z_t - alpha.sqrt() * mean)
        if scheduler.config.prediction_type == "epsilon":
            return (z_t - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return (alpha.sqrt() * z_t - clean) / (1 - alpha).sqrt()

    return model


def moments(scheduler, ddim_steps, mean=1.5, spread=0.5):
    """Exact mean and sd of the samples: DDIM on this expert is affine in z_T, two points fix it."""
    ends = diffusion.ddim_sample(
        gaussian_expert(scheduler, mean, spread), torch.tensor([[0.0], [1.0]]).double(), scheduler, ddim_steps
    )
    return float(ends[0]), float(ends[1] - ends[0])


def test_ddim_reaches_a_known_gaussian_as_steps_grow():
    scheduler = diffusion.schedule(parameters(**TERMINAL))
    errors = [
        max(abs(mean - 1.5), abs(spread - 0.5))
        for mean, spread in (moments(scheduler, n) for n in (10, 50, 200, 500))
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.005


def test_without_zero_terminal_snr_the_mean_is_missed_by_the_known_amount():
    scheduler = diffusion.schedule(parameters(timestep_spacing="trailing", prediction_type="epsilon",
                                              zero_terminal_snr=False))
    start = float(diffusion.alpha_bar(scheduler)[-1])
    shrink = 0.5 / (start * 0.25 + 1 - start) ** 0.5      # slope of the exact flow from t = T to 0
    mean, spread = moments(scheduler, 500)
    assert mean == pytest.approx(1.5 - shrink * start**0.5 * 1.5, abs=0.003)
    assert spread == pytest.approx(shrink, abs=0.003)


def test_steps_that_do_not_divide_still_end_at_the_first_alpha_bar():
    scheduler = diffusion.schedule(parameters(**TERMINAL))
    mean, spread = moments(scheduler, 300)
    assert (mean, spread) == (pytest.approx(1.5, abs=0.01), pytest.approx(0.5, abs=0.01))


def test_epsilon_at_zero_terminal_snr_is_refused():
    with pytest.raises(UserError, match="v_prediction"):
        diffusion.schedule(parameters(prediction_type="epsilon", zero_terminal_snr=True, timestep_spacing="trailing"))


@pytest.mark.parametrize("ddim_steps", [0, 1000])
def test_impossible_step_counts_are_refused(ddim_steps):
    with pytest.raises(UserError, match="ddim_steps"):
        diffusion.ddim_timesteps(diffusion.schedule(parameters(**EPSILON)), ddim_steps)
