"""The small FLUX transformer, trained without a condition on the latents of the small VAE."""

import torch

from namd.forecasters.systems import flux
from namd.ground.seeding import fresh_weights, noise
from namd.training import loop


def train_flux(folder, key: str, z, p, log=print):
    """A transformer of FLUX.1's form, trained on latents; its loss on validation.

    Args:
        folder: checkpoints go below it; key: names parameters, code and latents.
        z: of `unet.latents`; p: system_channels, system_steps, system_batch, uncond_lr, grad_clip, save_every, seed.

    Source: Labs 2024 (rectified flow); the small size and its training are ours.
    """
    with fresh_weights(p.seed, "pretrain flux"):
        net = flux.small_transformer(p)
    mean, std = z["train"]

    def loss(clean, eps, sigma):
        z_t = torch.lerp(clean, eps, sigma.view(-1, 1, 1, 1))
        return (eps - clean - flux.velocity(net, flux.pack(z_t), sigma, clean.shape)).square().mean()

    def step(idx, g, step_no):
        clean = mean[idx] + std[idx] * torch.randn(mean[idx].shape, generator=g)
        eps = torch.randn(clean.shape, generator=g)
        return {"loss": loss(clean, eps, flux.times(len(idx), g))}

    z_val = z["val"][0]
    eps_val = noise(z_val.shape, p.seed, "pretrain flux", "validation")
    sigma_val = (torch.arange(len(z_val)) + 0.5) / len(z_val)

    def validate():
        return loss(z_val, eps_val, sigma_val).item()

    loop.fit(step, net, n_steps=p.system_steps, n_items=len(mean), batch_size=p.system_batch,
             lr=loop.one_cycle(p.uncond_lr, p.system_steps), stage="pretrain flux", seed=p.seed, folder=folder, key=key,
             validate=validate, grad_clip=p.grad_clip, save_every=p.save_every, log=log)
    with torch.no_grad():
        return net, validate()
