"""The nodule-aligned VAE: an AutoencoderKL of any size, its malignancy probe, and the cache of its latents."""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from safetensors.torch import load_file, save_file
from torch import nn

from namd.data.images import AUGMENTATIONS
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.keys import Keyed
from namd.ground.precision import adopt
from namd.ground.reading import reading
from namd.ground.seeding import fresh_weights
from namd.models import hub
from namd.models.sound import check_scale
from namd.training import parallel

FACTOR = 8
PROBE_FILE = "probe.safetensors"
SMOOTHING = (-1 / 16, 4 / 16, 10 / 16, 4 / 16, -1 / 16)


class NoduleVAE(nn.Module):
    """Encoder E, decoder D and linear probe h_theta of Section 3.2, for one-channel images.

    A VAE with 3 input channels (SD1.5) sees the image three times and answers with the mean of its three
    channels. One with 4 input channels sees the image folded 2 x 2, so three blocks give the factor 8; what it
    answers is unfolded and smoothed.

    Args:
        vae: diffusers AutoencoderKL.
        probe: Linear(4 * h * w, 1) on the flattened, unscaled latent.

    Source: Sec. 3.2, App. B (latent of 4 channels, factor 8); the fold is ours, because it is four times
        cheaper than a fourth block.
    """

    def __init__(self, vae: AutoencoderKL, probe: nn.Linear):
        super().__init__()
        self.vae = vae
        self.probe = probe
        self.folded = vae.config.in_channels == 4

    @property
    def scale(self) -> float:
        """1 / std of the latents; dimensionless."""
        return self.vae.config.scaling_factor

    def set_scale(self, scale: float) -> None:
        """Write the latent scale into the VAE's own configuration."""
        self.vae.register_to_config(scaling_factor=float(scale))

    def posterior(self, x: torch.Tensor) -> DiagonalGaussianDistribution:
        """Distribution of z, unscaled (B, 4, S/8, S/8), for images x (B, 1, S, S) in [-1, 1]."""
        seen = F.pixel_unshuffle(x, 2) if self.folded else x.expand(-1, 3, -1, -1)
        return self.vae.encode(seen).latent_dist

    def decode(self, z_raw: torch.Tensor) -> torch.Tensor:
        """Image x_hat (B, 1, S, S), about [-1, 1], of unscaled latents (B, 4, S/8, S/8)."""
        seen = self.vae.decode(z_raw).sample
        return smooth(F.pixel_shuffle(seen, 2)) if self.folded else seen.mean(1, keepdim=True)

    def logit(self, z_raw: torch.Tensor) -> torch.Tensor:
        """The probe's output before the sigmoid, (B,), for unscaled latents."""
        return self.probe(z_raw.flatten(1)).squeeze(1)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled posterior mean z (B, 4, S/8, S/8), what the diffusion model works on."""
        return self.posterior(x).mean * self.scale

    def decode_scaled(self, z: torch.Tensor) -> torch.Tensor:
        """Image (B, 1, S, S) of scaled latents."""
        return self.decode(z / self.scale)

    def save(self, path) -> None:
        """Write a Hugging Face directory, and the probe beside it."""
        with replacing(path) as aside:
            self.vae.save_pretrained(aside)
            save_file({k: v.contiguous() for k, v in self.probe.state_dict().items()}, aside / PROBE_FILE)


def smooth(x: torch.Tensor) -> torch.Tensor:
    """Images (B, 1, S, S) without what repeats every second pixel, as unfolding 2 x 2 leaves where channels disagree.

    Source: ours; the five weights keep .98 of a wave of 8 pixels, .75 of one of 4 and nothing of one of 2. Where they
    reach over the border, those inside count for all.
    """
    weights = x.new_tensor(SMOOTHING)
    inside = F.conv1d(torch.ones_like(x[:1, :, 0]), weights.view(1, 1, 5), padding=2)[0, 0]     # (S,)
    along = F.conv2d(x, weights.view(1, 1, 1, 5), padding=(0, 2)) / inside
    return F.conv2d(along, weights.view(1, 1, 5, 1), padding=(2, 0)) / inside[:, None]


def small_config(p) -> dict:
    """Keyword arguments of an AutoencoderKL with a latent of 4 channels and factor 8.

    Args:
        p: vae_channels (3 widths: folded image; 4 widths: SD1.5's layout), vae_layers, image_size.

    Raises:
        UserError: another number of widths, or an image side that is not a multiple of 8.

    Source: App. B for four widths; three are ours, because a laptop trains them.
    """
    blocks = len(p.vae_channels)
    if blocks not in (3, 4) or p.image_size % FACTOR:
        raise UserError(
            f"vae_channels = {p.vae_channels} with image_size = {p.image_size} gives no latent of factor 8: "
            "use 3 or 4 widths and an image side that is a multiple of 8."
        )
    image_channels = 4 if blocks == 3 else 3
    return dict(
        in_channels=image_channels, out_channels=image_channels, latent_channels=4,
        block_out_channels=p.vae_channels, layers_per_block=p.vae_layers,
        down_block_types=["DownEncoderBlock2D"] * blocks, up_block_types=["UpDecoderBlock2D"] * blocks,
        norm_num_groups=32 if p.vae_channels[0] % 32 == 0 else 8,
        mid_block_add_attention=blocks == 4, sample_size=p.image_size,
    )


@parallel.once
def build_vae(path, p, key: str = "") -> Path:
    """Write a VAE with seeded random weights; same format as a published one.

    Args:
        path: directory to write.
        p: has seed and what `small_config` reads.
        key: of `Run.part_key`; what is there under it stays. "" writes in any case.

    Returns:
        path.
    """
    kept = Keyed(path, key)
    if key and kept.current():
        return kept.path
    with fresh_weights(p.seed, "build_vae"):
        vae = AutoencoderKL(**small_config(p))
    kept.set_aside()
    NoduleVAE(vae, _new_probe(p.image_size, p.seed)).save(path)
    if key:
        kept.sign()
    return kept.path


def load_vae(path, image_size: int = 64, seed: int = 23, precision: str = "float32") -> NoduleVAE:
    """The VAE of a local directory or a hub id, from its subfolder `vae` when it has one; in eval mode.

    Args:
        path: directory in the Hugging Face format, "org/name" or "org/name@revision".
        image_size, seed: shape and first weights of a new probe, where none is stored beside the VAE.
        precision: of its forward passes, as of `namd.ground.precision.adopt`.

    Raises:
        UserError: nothing readable there, weights that do not fill the model, or a scale of latents that is none.

    Source: App. B (Stable Diffusion v1.5: CreativeML OpenRAIL-M). Convolutions in channels_last order are ours: on one
        core widths 32, 64, 96 decode in .7 of the time and train in .8, equal up to rounding; on a GPU not measured.
    """
    vae = hub.load(AutoencoderKL, path, "vae", "vae_path").to(memory_format=torch.channels_last)
    check_scale(vae.config.scaling_factor, path)
    adopt(vae.encoder, precision)
    adopt(vae.decoder, precision)
    stored = Path(path) / PROBE_FILE
    if not stored.exists():
        return NoduleVAE(vae, _new_probe(image_size, seed)).eval()
    with reading(stored, "02"):
        weights = load_file(stored)
        probe = nn.Linear(weights["weight"].shape[1], 1)
        probe.load_state_dict(weights)
    return NoduleVAE(vae, probe).eval()


def _new_probe(image_size: int, seed: int) -> nn.Linear:
    """Seeded linear probe on the flattened latent."""
    with fresh_weights(seed, "probe"):
        return nn.Linear(4 * (image_size // FACTOR) ** 2, 1)


@torch.inference_mode()
def moments(vae: NoduleVAE, x: torch.Tensor, batch: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of z, unscaled.

    Args:
        x: (N, 1, S, S) float32 in [-1, 1], on any device; encoded in pieces of `batch`.

    Returns:
        two (N, 4, S/8, S/8) float32 tensors on the CPU.

    Source: ours, because stored moments give fresh posterior samples without the encoder.
    """
    device = vae.probe.weight.device
    parts = [vae.posterior(piece.to(device)) for piece in x.split(batch)]
    mean = torch.cat([q.mean for q in parts])
    std = torch.cat([q.std for q in parts])
    return mean.cpu(), std.cpu()


@torch.inference_mode()
def decoded(vae: NoduleVAE, x: torch.Tensor, batch: int = 50) -> torch.Tensor:
    """What the VAE gives back of images: (N, 1, S, S) float32 on the CPU, decoded from the posterior's mean.

    Args:
        x: (N, 1, S, S) in [-1, 1], on any device; in pieces of `batch`.

    Source: ours, because no generated image can be sharper than this.
    """
    device = vae.probe.weight.device
    return torch.cat([vae.decode(vae.posterior(piece.to(device)).mean).float().cpu() for piece in x.split(batch)])


def latent_scale(mean: torch.Tensor, std: torch.Tensor) -> float:
    """1 / std of posterior samples over a data set, from their moments (N, 4, h, w); dimensionless.

    Source: authors' code takes it from at most 101 batches of samples; ours is exact and draws nothing.
    """
    variance = mean.double().var(correction=0) + std.double().square().mean()
    return 1 / variance.sqrt().item()


def cache_latents(vae: NoduleVAE, pairs, p, path, turns: int | None = None) -> None:
    """Write the scaled moments of the augmentations of both visits.

    Args:
        pairs: Pairs of the cohort.
        p: augment, image_size, window_low, window_high.
        path: safetensors file with z1_mean, z1_std, z2_mean, z2_std, each (N, A, 4, S/8, S/8) float32.
        turns: A, how many augmentations; the first is the image itself, None takes all.

    Source: ours, because the frozen encoder (Sec. 3.3.2) need not run in every diffusion step.
    """
    stacks = {name: [] for name in ("z1_mean", "z1_std", "z2_mean", "z2_std")}
    for k in range(turns or AUGMENTATIONS[p.augment]):
        images = pairs.augmented(k, p.augment, p.image_size, p.window_low, p.window_high)
        for visit, x in enumerate(images, start=1):
            mean, std = moments(vae, x)
            stacks[f"z{visit}_mean"].append(mean * vae.scale)
            stacks[f"z{visit}_std"].append(std * vae.scale)
    with replacing(path) as aside:
        save_file({name: torch.stack(parts, 1).contiguous() for name, parts in stacks.items()}, aside)


def load_latents(path) -> dict[str, torch.Tensor]:
    """What `cache_latents` wrote: z1_mean, z1_std, z2_mean, z2_std, each (N, A, 4, h, w), scaled."""
    with reading(path, "02"):
        return load_file(path)
