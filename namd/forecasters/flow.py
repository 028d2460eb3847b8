"""What the systems that flow from z1 to z2 share: a folded autoencoder's halves, a velocity net, and the integrator."""

import math

import torch
from diffusers import UNet2DModel
from diffusers.models.autoencoders.vae import Decoder, Encoder
from torch import nn

CLOCK = 1000        # the U-Net's sinusoids are made for DDPM's steps; one unit of flow time is this many


def encoder(p, channels) -> nn.Sequential:
    """x (B, 1, S, S) in [-1, 1] to h (B, channels, S/8, S/8), without noise; the size of NAMD's VAE."""
    fold = _fold(p)
    blocks = ["DownEncoderBlock2D"] * len(p.vae_channels)
    return nn.Sequential(nn.PixelUnshuffle(fold), Encoder(fold**2, channels, blocks, double_z=False, **_size(p)))


def decoder(p, channels) -> nn.Sequential:
    """h (B, channels, S/8, S/8) to x_hat (B, 1, S, S), about [-1, 1]."""
    fold = _fold(p)
    blocks = ["UpDecoderBlock2D"] * len(p.vae_channels)
    return nn.Sequential(Decoder(channels, fold**2, blocks, **_size(p)), nn.PixelShuffle(fold))


def _fold(p):
    """2 where three widths see the image folded 2 x 2, as in NoduleVAE; 1 for four widths."""
    return 2 ** (4 - len(p.vae_channels))


def groups(widths):
    """Groups of at least four channels, as SD1.5 has: one channel alone would lose its level to the norm."""
    return math.gcd(*widths, 128) // 4


def _size(p):
    return dict(block_out_channels=p.vae_channels, layers_per_block=p.vae_layers,
                norm_num_groups=groups(p.vae_channels), mid_block_add_attention=len(p.vae_channels) == 4)


class Standard(nn.Module):
    """Each latent channel to mean 0 and standard deviation 1 over the training set, and back."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    def measure(self, *hs):
        """Take mean and spread from latents (..., C, h, w)."""
        whole = torch.cat([h.flatten(0, -4) for h in hs])
        spread, mean = torch.std_mean(whole, (0, 2, 3), keepdim=True)
        self.mean.copy_(mean[0])
        self.std.copy_(spread[0].clamp(min=1e-6))

    def forward(self, h):
        return (h - self.mean) / self.std

    def inverse(self, z):
        return z * self.std + self.mean


@torch.no_grad()
def encode_all(encode, images, piece=256):
    """Latents (A, N, C, h, w) of images (A, N, 1, S, S), `piece` images at a time."""
    hs = [encode(x) for x in images.flatten(0, 1).split(piece)]
    return torch.cat(hs).unflatten(0, images.shape[:2])


def velocity_net(p, channels, **other) -> UNet2DModel:
    """A U-Net of p.system_channels whose velocity is 0 until it learns: it starts as the copy of the baseline."""
    widths = p.system_channels
    net = UNet2DModel(p.image_size // 8, channels, channels, block_out_channels=widths,
                      down_block_types=["DownBlock2D"] * len(widths), up_block_types=["UpBlock2D"] * len(widths),
                      attention_head_dim=math.gcd(8, *widths), norm_num_groups=groups(widths), **other)
    nn.init.zeros_(net.conv_out.weight)
    nn.init.zeros_(net.conv_out.bias)
    return net


def line(z1, z2, s):
    """z_s = (1 - s) z1 + s z2 for s (B,) in [0, 1]; its derivative in s is z2 - z1.

    Source: rectified flow (Liu et al. 2023).
    """
    s = s.view(-1, *[1] * (z1.ndim - 1))
    return (1 - s) * z1 + s * z2


def integrate(velocity, z, n_steps, span=1.0, sigma=0.0, noise=None):
    """z at time `span`, from z at time 0, by Euler steps; Euler-Maruyama's where sigma > 0.

    Args:
        velocity: (z (B, ...), t (B,)) -> dz/dt (B, ...); sigma: spread that the noise gains over one unit of time.
        noise: step -> standard normal like z; not read at sigma = 0.

    Source: Euler-Maruyama for dz = v dt + sigma dW.
    """
    dt = span / n_steps
    for i in range(n_steps):
        z = z + velocity(z, z.new_full((len(z),), i * dt)) * dt
        if sigma:
            z = z + sigma * math.sqrt(dt) * noise(i)
    return z
