"""The compared systems of notebook 08 in numbers: what training each of them takes, as `stages` counts NAMD's."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import torch
from diffusers import ControlNetModel, FluxTransformer2DModel, UNet2DConditionModel
from peft import LoraConfig
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from namd.forecasters import registry
from namd.forecasters.systems import brlp, ddl_cxr, flux
from namd.ground.cost import size_bytes
from namd.models import clip, unet
from namd.study.preflight import shapes
from namd.study.preflight.stages import Stage, meta, training

TEXT = 77               # tokens of CLIP's prompts
FLUX_CHANNELS = 16      # of FLUX.1's latents


class Counted(NamedTuple):
    """A system on the meta device: what learns most, one step of it, its arithmetic, and bytes of what is beside it."""

    learns: nn.Module
    step: Callable
    precision: str
    frozen: int = 0         # read from a file
    later: int = 0          # learns in a stage of its own


def stages(p) -> list[Stage]:
    """The training of every system of a run, called "08 <name>", its tries of learning rates included.

    Args:
        p: all parameters of the run.

    Raises:
        UserError: an architecture is not known.

    Source: ours, counted as `stages.stages`. The loss of the main part of a system stands for all of its step.
    """
    return [] if p.pipeline_path else [_stage(name, p) for name in p.systems]


def disk(found, save_every: int) -> int:
    """Bytes of the trained systems of `stages`, and of the checkpoints of the largest while it trains."""
    running = max((min(3, (stage.steps - 1) // save_every) * stage.saved for stage in found), default=0)
    return running + sum(stage.memory.weights for stage in found)


def _stage(name, p) -> Stage:
    with torch.device("meta"):
        found = COUNTED.get(name, _of_its_own)(name, p)
    n_steps = p.system_steps + len(p.system_rates) * p.system_tune_steps
    stage = training(f"08 {name}", found.step, [found.learns], n_steps, p, found.frozen, precision=found.precision)
    return replace(stage, memory=replace(stage.memory, weights=stage.memory.weights + found.later))


def _unet(p, **other) -> UNet2DConditionModel:
    """The U-Net that the systems on latents start from."""
    config = shapes.config_of(p.unet_path, "unet") if p.unet_path else unet.small_config(p)
    return UNet2DConditionModel.from_config({**config, **other})


def _denoise(net, p, n_tokens=1, **added):
    """A step of a denoising loss of `net` for a batch."""
    side = p.image_size // 8
    ctx = meta(p.system_batch, n_tokens, net.config.cross_attention_dim)
    z = meta(p.system_batch, net.config.in_channels, side, side)
    return net(z, meta(p.system_batch, dtype=torch.long), encoder_hidden_states=ctx, **added).sample.square().mean()


def _sd15(name, p, n_tokens=0, **other) -> Counted:
    """The U-Net with the baseline's channels, under the empty prompt: 77 tokens of CLIP's, or one of zeros."""
    net = _unet(p, in_channels=2 * unet.LATENT_CHANNELS, **other)
    read = n_tokens or (TEXT if clip.beside(p.unet_path) else 1)
    return Counted(net, lambda: _denoise(net, p, read).backward(), p.precision)


def _sd15_report(name, p) -> Counted:
    """As SD1.5, under the states of CLIP's text encoder; a small run trains a smaller one, not counted, beside it."""
    if not clip.beside(p.unet_path):
        return _sd15(name, p, TEXT, cross_attention_dim=p.system_channels[-1])
    text = CLIPTextModel(CLIPTextConfig(**shapes.config_of(p.unet_path, "text_encoder")))
    return _sd15(name, p, TEXT)._replace(frozen=size_bytes(text))


def _brlp(name, p) -> Counted:
    """The U-Net that reads numbers and its ControlNet, which are trained one after the other."""
    net = _unet(p, cross_attention_dim=brlp.N_NUMBERS)
    control = ControlNetModel.from_unet(net, conditioning_channels=unet.LATENT_CHANNELS + 1,
                                        conditioning_embedding_out_channels=net.config.block_out_channels[:1])
    return Counted(net, lambda: _denoise(net, p).backward(), p.precision, later=size_bytes(control))


def _ddl_cxr(name, p) -> Counted:
    """A U-Net of its own widths, from scratch."""
    own = SimpleNamespace(**vars(p) | dict(unet_channels=p.ddl_cxr_channels))
    net = UNet2DConditionModel(**unet.small_config(own) | dict(in_channels=2 * unet.LATENT_CHANNELS,
                                                               cross_attention_dim=ddl_cxr.WIDTH))
    learns = nn.ModuleList([net, ddl_cxr.RecordTokens(), nn.Linear(ddl_cxr.WIDTH, 1)])
    return Counted(learns, lambda: _denoise(net, p).backward(), p.precision)


def _flux(name, p) -> Counted:
    """FLUX.1's frozen transformer with its LoRA; where none is named, a small one that learns as a whole."""
    channels = unet.LATENT_CHANNELS
    net = flux.small_transformer(p)
    if p.flux_path:
        channels = FLUX_CHANNELS
        net = FluxTransformer2DModel.from_config(shapes.config_of(p.flux_path, "transformer"))
    flux.widen_input(net)
    if p.flux_path:
        net.add_adapter(LoraConfig(r=p.flux_rank, lora_alpha=p.flux_rank, target_modules=flux.LORA))
    side = p.image_size // 8
    shape = (p.system_batch, channels, side, side)

    def step():
        tokens = meta(p.system_batch, (side // 2) ** 2, net.config.in_channels)
        flux.velocity(net, tokens, meta(p.system_batch), shape).square().mean().backward()

    learns = nn.ParameterList([weight for weight in net.parameters() if weight.requires_grad])
    narrow = bool(p.flux_path) and p.flux_dtype == "bfloat16"
    frozen = (size_bytes(net) - size_bytes(learns)) // (2 if narrow else 1)
    return Counted(learns, step, "bfloat16" if narrow else p.precision, frozen)


def _of_its_own(name, p) -> Counted:
    """A convolution network that reads images, from scratch."""
    one = object.__new__(registry.system(name))
    one.p = p
    one.device = "meta"
    one.nets = nn.ModuleDict(one.build())
    x = meta(p.system_batch, 1, p.image_size, p.image_size)
    return Counted(one.nets, lambda: MAIN[name](one, x).backward(), p.precision)


COUNTED = {"sd15": _sd15, "sd15_report": _sd15_report, "brlp": _brlp, "ddl_cxr": _ddl_cxr, "flux": _flux}
MAIN = {"mcwgan": lambda one, x: one.predict(x).square().mean(),
        "corrflownet": lambda one, x: one.autoencoder_losses(x, x, x[:, 0, 0, 0])["loss"],
        "delta_lfm": lambda one, x: one.autoencoder_losses(x, x)["loss"],
        "imageflownet": lambda one, x: one.rebuild(x).square().mean(),
        "imageflownet_record": lambda one, x: one.rebuild(x).square().mean()}
