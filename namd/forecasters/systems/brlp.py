"""BrLP-2D: a diffusion model of all visits, a ControlNet that ties it to a baseline, and a linear growth model."""

import numpy as np
import torch
from diffusers import ControlNetModel
from sklearn.linear_model import LinearRegression

from namd.data.report import DIAMETERS
from namd.forecasters.latent import LatentSystem
from namd.forecasters.trained import Description, TrainingStage
from namd.ground.precision import adopt
from namd.models import diffusion, unet
from namd.models.record_numbers import N_NUMBERS, RecordNumbers

INTERVAL = 1.0          # years between the visits: the rounds of the screening
M = 2                   # latents averaged in one follow-up: ours; 4 cost twice as much and gain little on validation


class Covariates(RecordNumbers):
    """The record of a visit as 39 numbers, and the linear model that foretells the follow-up's diameters.

    Source: BrLP's auxiliary model is a logistic disease course of brain volumes; log diameters, linear in the
    baseline's covariates, are ours, because two visits a patient hold no course.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("slope", torch.zeros(2, N_NUMBERS))
        self.register_buffer("offset", torch.zeros(2))

    def fit(self, pairs):
        """Keep the spreads of the baseline's numbers, and fit the linear model."""
        self.measure(pairs.ehr)
        sizes = self.sizes(pairs)
        known = ~sizes.isnan().any(1)
        law = LinearRegression().fit(self.numbers(pairs.ehr)[known].cpu(), sizes[known].cpu())
        self.slope.copy_(torch.from_numpy(law.coef_))
        self.offset.copy_(torch.from_numpy(law.intercept_))

    def sizes(self, pairs):
        """Standardised log diameters at the follow-up, (N, 2); missing is NaN."""
        mm = pairs.attributes(2)[DIAMETERS].astype("Float64").to_numpy(dtype=np.float32, na_value=np.nan)
        return (torch.from_numpy(mm).to(self.mean).log() - self.mean[:2]) / self.std[:2]

    def follow_up(self, baseline, sizes=None):
        """(B, 39) one interval later; diameters that are not given, or NaN, are those of the linear model."""
        foretold = baseline @ self.slope.T + self.offset
        if sizes is None:
            sizes = foretold
        sizes = torch.where(sizes.isnan(), foretold, sizes)
        age = baseline[:, 2:3] + INTERVAL / self.std[2]
        return torch.cat([sizes, age, baseline[:, 3:]], 1)


def stabilised(sample, noise, shape, m):
    """Mean of m samples, (B, *shape): between seeds its variance is that of one sample by m.

    Args:
        sample: (z_T (B, *shape)) -> latent; noise: as in ComparedSystem.draw.

    Source: BrLP's latent average stabilisation.
    """
    return torch.stack([sample(noise(shape, "las", i)) for i in range(m)]).mean(0)


class System(LatentSystem):
    """A U-Net that knows visits by covariates alone, then frozen; a ControlNet reads z1 and the baseline's age.

    The ControlNet's conditioning is latent-sized already: one width in conditioning_embedding_out_channels makes its
    embedding two convolutions of stride 1. Averaging m latents divides the variance between seeds by m, and with it
    what K seeds can tell of the uncertainty.

    Source: Puglisi et al. 2025 (BrLP) and their code, in two dimensions with the study's own VAE.
    """

    rows = {"brlp": ("", {})}
    description = Description(
        source="BrLP, Puglisi et al. 2025; beyond the paper's Table 1",
        conditions="z1 and the baseline's age, by a ControlNet; the follow-up's covariates, by cross-attention",
        noise=f"z_T, the start of DDIM; {M} latents are averaged: 1/{M} of the variance between seeds",
        optimises="denoising loss on both visits, then of the ControlNet alone on the frozen U-Net",
        left_open=f"covariates: the record with each visit's age and diameters; follow-up: one year on; m = {M}. Not "
                  "as the source: it starts from SD1.5's U-Net where unet_path names it, under NAMD's betas (source: "
                  "from scratch, .0015 to .0205), and diameters grow linearly, not along a logistic course")

    def build(self):
        net = unet.load_unet(self.p.unet_path or self.arm / "unet_start", self.p.precision)
        unet.widen_context(net, N_NUMBERS, self.p.seed)
        control = ControlNetModel.from_unet(net, conditioning_channels=unet.LATENT_CHANNELS + 1,
                                            conditioning_embedding_out_channels=net.config.block_out_channels[:1])
        self.scheduler = diffusion.schedule(self.p)
        return {"unet": net, "control": adopt(control, self.p.precision), "covariates": Covariates()}

    def predict(self, z_t, t, covariates, control=None):
        """The U-Net's prediction, (B, 4, h, w).

        Args:
            covariates: (B, 39) of the visit to draw; control: (B, 5, h, w) of `control_map`, None without a baseline.
        """
        ctx = covariates[:, None]
        added = {}
        if control is not None:
            down, mid = self.nets["control"](z_t, t, ctx, control, return_dict=False)
            added = dict(down_block_additional_residuals=down, mid_block_additional_residual=mid)
        return self.nets["unet"](z_t, t, encoder_hidden_states=ctx, **added).sample

    def control_map(self, z1, baseline):
        """z1 and one channel with the standardised age at the baseline, (B, 5, h, w)."""
        age = baseline[:, 2, None, None, None]
        return torch.cat([z1, age.expand(-1, 1, *z1.shape[2:])], 1)

    def loss(self, z, eps, t, *conditions):
        """Mean squared error of the prediction: ()."""
        z_t = diffusion.q_sample(z, eps, t, diffusion.alpha_bar(self.scheduler))
        wanted = diffusion.target(z, eps, t, self.scheduler)
        return (wanted - self.predict(z_t, t, *conditions)).square().mean()

    def stages(self, train, val):
        self.nets["covariates"].fit(train)
        latents = self.latents("train")
        held_out = self.held_out()
        yield self._visits_stage(train, val, latents, held_out)
        self.nets["control"].load_state_dict(self.nets["unet"].state_dict(), strict=False)
        self.nets["unet"].requires_grad_(False)
        yield self._control_stage(train, val, latents, held_out)
        self.nets["unet"].requires_grad_(True)      # ComparedSystem.fit keeps what learnt

    def _at_both(self, pairs):
        """Covariates at the baseline and at the follow-up, (N, 39) each; of the latter the measured diameters."""
        known = self.nets["covariates"]
        at1 = known.numbers(pairs.ehr)
        at2 = known.follow_up(at1, known.sizes(pairs))
        return at1, at2

    def _visits_stage(self, train, val, latents, held_out):
        """The U-Net learns to draw either visit from its covariates."""
        at1, at2 = self._at_both(train)
        at1_val, at2_val = self._at_both(val)
        z1_val, z2_val, eps_val, t_val = held_out

        def step(idx, g, step_no):
            z1, z2, eps, t = self.noised(latents, idx, g)
            second = (torch.rand(idx.shape, generator=g) < 0.5).to(self.device)
            z = torch.where(second[:, None, None, None], z2, z1)
            at = torch.where(second[:, None], at2[idx], at1[idx])
            return {"loss": self.loss(z, eps, t, at)}

        def validate():
            first = self.loss(z1_val, eps_val, t_val, at1_val)
            second = self.loss(z2_val, eps_val, t_val, at2_val)
            return (first + second).item() / 2

        return TrainingStage("visits", {"unet": self.nets["unet"]}, step, validate, 0.5)

    def _control_stage(self, train, val, latents, held_out):
        """The ControlNet learns to tie the frozen U-Net to the baseline."""
        at1, at2 = self._at_both(train)
        known = self.nets["covariates"]
        at1_val = known.numbers(val.ehr)
        z1_val, z2_val, eps_val, t_val = held_out

        def step(idx, g, step_no):
            z1, z2, eps, t = self.noised(latents, idx, g)
            return {"loss": self.loss(z2, eps, t, at2[idx], self.control_map(z1, at1[idx]))}

        def validate():
            foretold = known.follow_up(at1_val)
            return self.loss(z2_val, eps_val, t_val, foretold, self.control_map(z1_val, at1_val)).item()

        return TrainingStage("control", {"control": self.nets["control"]}, step, validate, 0.5)

    def draw(self, x1, ehr, noise):
        z1 = self.vae.encode(x1)
        baseline = self.nets["covariates"].numbers(ehr)
        follow_up = self.nets["covariates"].follow_up(baseline)
        control = self.control_map(z1, baseline)

        def predict(z_t, t):
            return self.predict(z_t, t, follow_up, control)

        def sample(z_T):
            return diffusion.ddim_sample(predict, z_T, self.scheduler, self.p.ddim_steps)

        return self.vae.decode_scaled(stabilised(sample, noise, z1.shape[1:], M))
