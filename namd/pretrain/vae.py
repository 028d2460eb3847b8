"""The small VAE, trained on single images by the terms of Eq. 6 that need neither attributes nor labels."""

import torch

from namd.data.images import AUGMENTATIONS
from namd.ground.seeding import generator, noise
from namd.models import losses
from namd.models.vae import build_vae, decoded, latent_scale, load_vae, moments
from namd.training import loop

TURNS = AUGMENTATIONS["square"]


def turned(x: torch.Tensor, k: int) -> torch.Tensor:
    """Turn k of the square's eight, of images (B, 1, S, S), with the values of `namd.data.images.augment`.

    Source: ours; that one lays the turned pixels out anew, and a loss summed in another order moves by its last bit.
    """
    x = torch.rot90(x, k % 4, (2, 3))
    return x.flip(3) if k >= 4 else x


def train_vae(folder, key: str, images, p, log=print):
    """The NoduleVAE of `p`, trained on `images`, with the scale of its latents; in eval mode.

    Args:
        folder: checkpoints go below it; key: names parameters, code and images.
        images: `images.Images`; p: vae_channels, vae_layers, vae_steps, vae_batch, vae_lr, vae_lr_schedule, lambda_kl,
            grad_clip, save_every, seed, image_size.

    Source: Sec. 3.2.3 (L1 and KL of Eq. 6); that the prior sees no label is ours, because SD1.5's saw none.
    """
    vae = load_vae(build_vae(folder / "start", p), p.image_size, p.seed)

    def objective(x, xi):
        q = vae.posterior(x)
        x_hat = vae.decode(q.mean + q.std * xi)
        rec = losses.reconstruction_loss(x, x_hat)
        kl = losses.kl_loss(q.mean, q.logvar)
        return {"loss": rec + p.lambda_kl * kl, "rec": rec, "kl": kl}

    side = p.image_size // 8

    def step(idx, g, step_no):
        k = int(torch.randint(TURNS, (), generator=g))
        xi = torch.randn(len(idx), 4, side, side, generator=g)
        return objective(turned(images.train[idx], k), xi)

    def validate():
        xi = noise((len(images.val), 4, side, side), p.seed, "pretrain", "validation")
        parts = zip(images.val.split(p.vae_batch), xi.split(p.vae_batch), strict=True)
        return sum(len(x) * objective(x, xi)["loss"].item() for x, xi in parts) / len(images.val)

    loop.fit(step, vae.vae, n_steps=p.vae_steps, n_items=len(images.train), batch_size=p.vae_batch,
             lr=loop.SCHEDULES[p.vae_lr_schedule](p.vae_lr, p.vae_steps), stage="pretrain vae", seed=p.seed,
             folder=folder, key=key, validate=validate, grad_clip=p.grad_clip, save_every=p.save_every, log=log)
    some = torch.randperm(len(images.train), generator=generator(p.seed, "pretrain", "scale"))[:2000]
    vae.set_scale(latent_scale(*moments(vae, images.train[some])))
    return vae


@torch.inference_mode()
def reconstruction(vae, x) -> dict[str, float]:
    """How well images (N, 1, S, S) come back: mean |difference| in window units, and PSNR in dB (peak 2).

    Source: ours; the mean over images of 20 log10(2 / root mean squared difference).
    """
    x_hat = decoded(vae, x)
    rmse = (x_hat - x).square().mean((1, 2, 3)).sqrt()
    return {"mean absolute difference of validation images (window units)": losses.reconstruction_loss(x, x_hat).item(),
            "PSNR of validation images (dB)": (20 * torch.log10(2 / rmse)).mean().item()}
