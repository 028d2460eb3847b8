"""Compared systems that work on the latents of one frozen VAE."""

from pathlib import Path

import torch

from namd.forecasters.trained import ComparedSystem
from namd.ground import seeding
from namd.models.vae import load_latents, load_vae


class LatentSystem(ComparedSystem):
    """A system that works on the latents of one frozen VAE, that of the arm `system_arm`."""

    def __init__(self, root, p, key="", **options):
        self.arm = Path(root) / "arms" / p.system_arm
        self.vae = load_vae(self.arm / "vae", precision=p.precision).requires_grad_(False)
        super().__init__(root, p, key, **options)
        self.vae.to(self.device)

    @property
    def used(self):
        return [*self.nets.values(), self.vae.vae]

    def latents(self, split):
        """z1_mean, z1_std, z2_mean, z2_std of notebook 02, (N, A, 4, h, w) each, scaled, on self.device."""
        stored = load_latents(self.arm / "latents" / f"{split}.safetensors")
        return {name: z.to(self.device) for name, z in stored.items()}

    def noised(self, latents, idx, g):
        """What a denoising step on the pairs `idx` sees: z1, z2, eps, (B, 4, h, w) each, and t (B,)."""
        z1, z2 = posterior_pair(latents, idx, g)
        eps = torch.randn(z2.shape, generator=g).to(z2)
        t = torch.randint(self.p.n_timesteps, idx.shape, generator=g).to(self.device)
        return z1, z2, eps, t

    def held_out(self):
        """The same of the validation split, always alike: unturned means, one noise, t spread evenly."""
        latents = self.latents("val")
        z1 = latents["z1_mean"][:, 0]
        z2 = latents["z2_mean"][:, 0]
        eps = seeding.noise(z2.shape, self.p.seed, "val").to(self.device)
        t = torch.arange(len(z1)) * self.p.n_timesteps // len(z1)
        return z1, z2, eps, t.to(self.device)


def posterior_pair(latents, idx, g):
    """Fresh z1, z2 (B, 4, h, w) of the pairs `idx`, both under the same augmentation, as in notebook 04."""
    k = torch.randint(latents["z1_mean"].shape[1], idx.shape, generator=g)
    shape = latents["z1_mean"][idx, k].shape
    eps1 = torch.randn(shape, generator=g).to(latents["z1_mean"])
    eps2 = torch.randn(shape, generator=g).to(latents["z1_mean"])
    z1 = latents["z1_mean"][idx, k] + latents["z1_std"][idx, k] * eps1
    z2 = latents["z2_mean"][idx, k] + latents["z2_std"][idx, k] * eps2
    return z1, z2
