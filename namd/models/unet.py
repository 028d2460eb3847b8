"""The denoising U-Net: a Hugging Face directory, small or SD1.5, and the two surgeries that fit it to NAMD."""

import math
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.keys import Keyed
from namd.ground.precision import adopt
from namd.ground.seeding import fresh_weights, generator
from namd.models import hub
from namd.training import parallel

CONTEXT_WIDTH = 768   # SD1.5's own (CLIP); never the LLM's, so that widen_context runs at every size
LATENT_CHANNELS = 4


def small_config(p) -> dict:
    """Keyword arguments of a UNet2DConditionModel with 4 input channels.

    Args:
        p: has image_size, unet_channels (one width per level), unet_layers, unet_heads.

    Source: App. B (320 x [1, 2, 4, 4], 2 blocks, 8 heads). Every level has cross-attention, except the deepest
    of four, as in SD1.5.
    """
    n_levels = len(p.unet_channels)
    plain = [n_levels >= 4 and level == n_levels - 1 for level in range(n_levels)]
    return dict(
        sample_size=p.image_size // 8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=tuple(p.unet_channels),
        layers_per_block=p.unet_layers,
        attention_head_dim=p.unet_heads,   # diffusers' name for the number of heads
        norm_num_groups=math.gcd(32, *p.unet_channels),
        cross_attention_dim=CONTEXT_WIDTH,
        down_block_types=tuple("DownBlock2D" if is_plain else "CrossAttnDownBlock2D" for is_plain in plain),
        up_block_types=tuple("UpBlock2D" if is_plain else "CrossAttnUpBlock2D" for is_plain in plain[::-1]),
    )


@parallel.once
def build_unet(path, p, key: str = "") -> Path:
    """Write a randomly initialised U-Net to the directory `path`; load_unet reads it as it reads SD1.5.

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
    with fresh_weights(p.seed, "unet"):
        unet = UNet2DConditionModel(**small_config(p))
    kept.set_aside()
    with replacing(path) as aside:
        unet.save_pretrained(aside)
    if key:
        kept.sign()
    return kept.path


def load_unet(path, precision: str = "float32") -> UNet2DConditionModel:
    """U-Net of a local directory (itself, or its folder unet/) or of a hub repository's folder unet/.

    Args:
        path: directory, "org/name" or "org/name@revision".
        precision: of its forward pass, as of `namd.ground.precision.adopt`.

    Raises:
        UserError: nothing loadable there, or weights missing from the file.

    Source: App. B (Stable Diffusion v1.5: CreativeML OpenRAIL-M). Convolutions in channels_last order are ours: on one
        core widths 48, 96 take .9 of the time, equal up to rounding; on a GPU not measured.
    """
    unet = hub.load(UNet2DConditionModel, path, "unet", "unet_path").to(memory_format=torch.channels_last)
    return adopt(unet, precision)


def widen_context(unet: UNet2DConditionModel, dim: int, seed: int) -> list[str]:
    """Give every cross-attention new key and value projections from a context of width `dim`, in place.

    The old projections read another space (CLIP's 768 numbers in SD1.5), so nothing of them is kept.

    Args:
        unet: changed in place; its config is updated, so it saves and loads as changed.
        dim: width of the context, the LLM's hidden size.
        seed: with each tensor's name it decides the new weights.

    Returns:
        Names of the new tensors; empty when the U-Net has that width already.

    Source: App. B (context dimension 2560); uniform in +-1/sqrt(dim), PyTorch's own for a linear layer.
    """
    if unet.config.cross_attention_dim == dim:
        return []
    new = []
    for name, attention in unet.named_modules():
        if not name.endswith("attn2"):
            continue
        for part in ("to_k", "to_v"):
            old = getattr(attention, part)
            weight = torch.rand(old.out_features, dim, generator=generator(seed, "widen_context", name, part))
            layer = nn.Linear(dim, old.out_features, bias=False, device=old.weight.device, dtype=old.weight.dtype)
            layer.weight.data.copy_((2 * weight - 1) / math.sqrt(dim))
            setattr(attention, part, layer)
            new.append(f"{name}.{part}.weight")
    unet.register_to_config(cross_attention_dim=dim)
    _assert_real(unet)
    return new


def widen_input(unet: UNet2DConditionModel) -> list[str]:
    """Make room for the baseline latent: 4 -> 8 input channels, the new half of the weights zero, in place.

    The input is [z2_t, z1] along the channels. Until the first update z1 changes nothing.

    Returns:
        Names of the tensors that changed shape.

    Raises:
        UserError: the U-Net does not have 4 input channels.

    Source: App. B (eight input channels); zeros are ours, because the unconditional model survives them.
    """
    old = unet.conv_in
    if old.in_channels != LATENT_CHANNELS:
        raise UserError(
            f"the U-Net has {old.in_channels} input channels: stage 3 starts from the {LATENT_CHANNELS}-channel "
            "U-Net that notebook 03 writes"
        )
    conv = nn.Conv2d(
        2 * LATENT_CHANNELS, old.out_channels, old.kernel_size, padding=old.padding,
        device=old.weight.device, dtype=old.weight.dtype,
    )
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:, :LATENT_CHANNELS].copy_(old.weight)
        conv.bias.copy_(old.bias)
    unet.conv_in = conv.to(memory_format=torch.channels_last)       # as `load_unet` lays out the others
    unet.register_to_config(in_channels=2 * LATENT_CHANNELS)
    _assert_real(unet)
    return ["conv_in.weight"]


def _assert_real(unet: nn.Module) -> None:
    """Every parameter is in memory and finite: diffusers' own resizing leaves some that are neither."""
    for name, value in unet.named_parameters():
        assert not value.is_meta and bool(value.isfinite().all()), f"{name} was never initialised"
