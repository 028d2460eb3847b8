"""The forward process, its two targets and the DDIM sampler (Eq. 1, 9, 10); the schedule is diffusers'."""

import torch
from diffusers import DDIMScheduler

from namd.ground.errors import UserError


def schedule(p) -> DDIMScheduler:
    """DDIM scheduler with CompVis' settings, from the flat parameters.

    Args:
        p: has n_timesteps, beta_start, beta_end, beta_schedule, prediction_type, zero_terminal_snr,
            timestep_spacing.

    Raises:
        UserError: epsilon prediction together with zero terminal SNR.

    Source: Sec. 3.3.2, App. B; the settings that differ from diffusers' defaults (no clipping, an offset of
    one step, the last step to alpha_bar[0]) are those of the authors' code.
    """
    if p.zero_terminal_snr and p.prediction_type == "epsilon":
        raise UserError(
            "zero_terminal_snr is true and prediction_type is epsilon: at t = T the input holds no image, so "
            "the noise says nothing about it; set prediction_type: v_prediction or zero_terminal_snr: false"
        )
    return DDIMScheduler(
        num_train_timesteps=p.n_timesteps,
        beta_start=p.beta_start,
        beta_end=p.beta_end,
        beta_schedule=p.beta_schedule,
        prediction_type=p.prediction_type,
        rescale_betas_zero_snr=p.zero_terminal_snr,
        timestep_spacing=p.timestep_spacing,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def alpha_bar(scheduler: DDIMScheduler) -> torch.Tensor:
    """Share of the image's variance left at each t: (n_timesteps,) float32 in [0, 1], decreasing."""
    return scheduler.alphas_cumprod


def _roots(alpha_bar_t: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), shaped to broadcast over `like`."""
    alpha_bar_t = alpha_bar_t.to(like).reshape(-1, *[1] * (like.ndim - 1))
    return alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt()


def q_sample(z: torch.Tensor, eps: torch.Tensor, t: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """Noisy latent z_t = sqrt(alpha_bar_t) z + sqrt(1 - alpha_bar_t) eps (Sec. 3.3.2).

    Args:
        z, eps: (B, ...) float, scaled latents and standard normal noise.
        t: (B,) int, steps in [0, n_timesteps).
        alpha_bar: (n_timesteps,) float.

    Returns:
        (B, ...) float, dimensionless; z where alpha_bar_t = 1, eps where alpha_bar_t = 0.

    Source: Sec. 3.3.2.
    """
    signal, noise = _roots(alpha_bar[t.to(alpha_bar.device)], z)
    return signal * z + noise * eps


def target(z: torch.Tensor, eps: torch.Tensor, t: torch.Tensor, scheduler: DDIMScheduler) -> torch.Tensor:
    """What the U-Net must say about z_t: eps (Eq. 9, 10) or v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) z.

    Args:
        z, eps: (B, ...) float, as in q_sample.
        t: (B,) int.
        scheduler: its prediction_type chooses.

    Returns:
        (B, ...) float, dimensionless.

    Source: Eq. 10 for epsilon; v is ours for the quick profile, because it stays defined at zero terminal SNR.
    """
    if scheduler.config.prediction_type == "epsilon":
        return eps
    signal, noise = _roots(alpha_bar(scheduler)[t.to(scheduler.alphas_cumprod.device)], z)
    return signal * eps - noise * z


def clean_and_noise(
    z_t: torch.Tensor, prediction: torch.Tensor, alpha_bar_t: torch.Tensor, prediction_type: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The (z_0, eps) that a prediction implies, so that z_t = sqrt(alpha_bar_t) z_0 + sqrt(1 - alpha_bar_t) eps.

    Args:
        z_t, prediction: (B, ...) float.
        alpha_bar_t: () or (B,) float, > 0 when prediction_type is epsilon.
        prediction_type: "epsilon" or "v_prediction".

    Source: Song et al. 2021, Eq. 9, for epsilon; Salimans and Ho 2022 for v.
    """
    signal, noise = _roots(alpha_bar_t, z_t)
    if prediction_type == "epsilon":
        return (z_t - noise * prediction) / signal, prediction
    return signal * z_t - noise * prediction, signal * prediction + noise * z_t


def ddim_timesteps(scheduler: DDIMScheduler, ddim_steps: int) -> list[int]:
    """Steps that the sampler visits, from noise to image: 981, 961, ..., 1 for 50 leading steps of 1,000.

    Raises:
        UserError: ddim_steps leaves [1, n_timesteps).
    """
    n_timesteps = scheduler.config.num_train_timesteps
    if not 1 <= ddim_steps < n_timesteps:
        raise UserError(f"ddim_steps is {ddim_steps}: choose it between 1 and {n_timesteps - 1}")
    scheduler.set_timesteps(ddim_steps)
    return scheduler.timesteps.tolist()


@torch.no_grad()
def ddim_sample(model, z_T: torch.Tensor, scheduler: DDIMScheduler, ddim_steps: int, eta=0.0,
                noise=None) -> torch.Tensor:
    """DDIM from noise to a latent; deterministic at eta = 0.

    Args:
        model: function (z_t (B, ...), t (B,) int64) -> prediction (B, ...), the U-Net with its conditions.
        z_T: (B, ...) float, standard normal.
        scheduler: from `schedule`.
        ddim_steps: number of calls of `model`.
        eta: share of DDPM's own noise that every step adds; noise: step -> standard normal like z_T, where eta > 0.

    Returns:
        (B, ...) float, the sampled z_0.

    Source: Sec. 3.3.2 (DDIM, 50 steps); Song et al. 2021, Eq. 12 and 16, for eta. Each step goes to the next t of the
    list; diffusers goes to t - n_timesteps // ddim_steps, which is the same wherever ddim_steps divides n_timesteps.
    """
    steps = ddim_timesteps(scheduler, ddim_steps)
    following = [*steps[1:], 0]                     # alpha_bar[0] ends, as in CompVis
    bar = alpha_bar(scheduler).to(z_T.device)
    z_t = z_T
    for i, (t, t_next) in enumerate(zip(steps, following, strict=True)):
        prediction = model(z_t, torch.full((len(z_t),), t, device=z_t.device))
        z_0, eps = clean_and_noise(z_t, prediction, bar[t], scheduler.config.prediction_type)
        variance = eta**2 * (1 - bar[t_next]) / (1 - bar[t]) * (1 - bar[t] / bar[t_next])
        z_t = bar[t_next].sqrt() * z_0 + (1 - bar[t_next] - variance).clamp(min=0).sqrt() * eps
        if eta:
            z_t = z_t + variance.sqrt() * noise(i)
    return z_t
