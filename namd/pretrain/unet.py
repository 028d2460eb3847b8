"""The small U-Net, trained without a condition on the latents of the small VAE (Eq. 1)."""

import torch

from namd.ground.seeding import noise
from namd.models import diffusion
from namd.models.unet import CONTEXT_WIDTH, build_unet, load_unet
from namd.models.vae import moments
from namd.training import loop

BATCH = 64


def latents(vae, images) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """{"train" or "val": (mean, std)}, scaled, each (N, 4, S/8, S/8), of `images.Images`."""
    found = {}
    for split in ("train", "val"):
        mean, std = moments(vae, getattr(images, split))
        found[split] = (vae.scale * mean, vae.scale * std)
    return found


def train_unet(folder, key: str, z, p, log=print):
    """The U-Net of `p`, trained on latents, averaged over its last steps; its schedule; its loss on validation.

    Args:
        folder: checkpoints go below it; key: names parameters, code and latents.
        z: of `latents`; p: unet_channels, unet_layers, unet_heads, uncond_*, ema_decay, grad_clip, save_every, seed,
            image_size and the schedule's.

    Source: Eq. 1. The context is one token of zeros, because no text belongs to a single image.
    """
    net = load_unet(build_unet(folder / "start", p))
    scheduler = diffusion.schedule(p)
    alpha_bar = diffusion.alpha_bar(scheduler)
    mean, std = z["train"]

    def noisy_loss(clean, eps, t):
        z_t = diffusion.q_sample(clean, eps, t, alpha_bar)
        said = net(z_t, t, clean.new_zeros(len(clean), 1, CONTEXT_WIDTH)).sample
        return (diffusion.target(clean, eps, t, scheduler) - said).square().mean()

    def step(idx, g, step_no):
        clean = mean[idx] + std[idx] * torch.randn(mean[idx].shape, generator=g)
        eps = torch.randn(clean.shape, generator=g)
        t = torch.randint(p.n_timesteps, idx.shape, generator=g)
        return {"loss": noisy_loss(clean, eps, t)}

    z_val = z["val"][0]
    eps_val = noise(z_val.shape, p.seed, "pretrain unet", "validation")
    t_val = torch.arange(len(z_val)) * p.n_timesteps // len(z_val)

    def validate():
        parts = zip(z_val.split(BATCH), eps_val.split(BATCH), t_val.split(BATCH), strict=True)
        return sum(len(part[0]) * noisy_loss(*part).item() for part in parts) / len(z_val)

    lr = loop.warmup_cosine(p.uncond_lr, p.uncond_lr_start, p.uncond_lr_end, p.uncond_warmup, p.uncond_steps)
    loop.fit(step, net, n_steps=p.uncond_steps, n_items=len(mean), batch_size=p.uncond_batch, lr=lr,
             stage="pretrain unet", seed=p.seed, folder=folder, key=key, validate=validate, ema_decay=p.ema_decay,
             grad_clip=p.grad_clip, save_every=p.save_every, log=log)
    with torch.no_grad():
        return net, scheduler, validate()
