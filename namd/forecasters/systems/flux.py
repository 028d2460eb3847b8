"""Flux: a rectified flow from noise to the follow-up's latent, by a transformer that sees the baseline's latent."""

import torch
import torch.nn.functional as F
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from diffusers.training_utils import cast_training_params
from peft import LoraConfig
from torch import nn

from namd.forecasters.latent import LatentSystem, posterior_pair
from namd.forecasters.trained import Description, TrainingStage
from namd.ground import seeding
from namd.ground.precision import adopt
from namd.models import hub, vae

ROPE = (4, 14, 14)                  # a quarter of FLUX.1-dev's (16, 56, 56); their sum is the width of one head
BLOCKS = 2                          # small: of each kind; FLUX.1-dev has 19 double and 38 single ones
GUIDANCE = 30.0                     # what diffusers' flux-control tells FLUX.1-dev in training; the same when drawing
LORA = ["x_embedder", "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj",
        "attn.add_v_proj", "attn.to_add_out", "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj",
        "ff_context.net.2"]         # flux-control's


def pack(z) -> torch.Tensor:
    """Tokens (B, h/2 * w/2, 4C) of latents (B, C, h, w): each is a patch of 2 x 2. Source: FLUX."""
    return F.pixel_unshuffle(z, 2).flatten(2).mT


def unpack(tokens, shape) -> torch.Tensor:
    """Latents of `shape` (B, C, h, w): the inverse of `pack`."""
    return F.pixel_shuffle(tokens.mT.unflatten(2, (shape[2] // 2, shape[3] // 2)), 2)


def times(n, g) -> torch.Tensor:
    """Uniform sigma in [0, 1), (n,). Source: flux-control, whose default weighting is none."""
    return torch.rand(n, generator=g)


def euler(velocity, eps, n_steps) -> torch.Tensor:
    """The latent at sigma = 0 from eps (B, C, h, w) at sigma = 1, in equal steps.

    Args:
        velocity: (z2_t (B, C, h, w), sigma (B,)) -> dz / dsigma, (B, C, h, w).

    Source: diffusers' FluxPipeline, without its shift of the steps for larger images.
    """
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / n_steps, n_steps).tolist(), device=eps.device)
    z2_t = eps
    for t, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):    # the last sigma is 0
        v = velocity(z2_t, sigma.expand(len(eps)))
        z2_t = scheduler.step(v, t, z2_t, return_dict=False)[0]
    return z2_t


def widen_input(net) -> None:
    """Room for the baseline's tokens, in place: x_embedder twice as wide, the new half zero. Source: flux-control."""
    old = net.x_embedder
    net.x_embedder = nn.Linear(2 * old.in_features, old.out_features, dtype=old.weight.dtype)
    with torch.no_grad():
        net.x_embedder.weight.copy_(F.pad(old.weight, (0, old.in_features)))
        net.x_embedder.bias.copy_(old.bias)
    net.register_to_config(in_channels=2 * old.in_features, out_channels=net.out_channels)


def small_transformer(p) -> FluxTransformer2DModel:
    """One of FLUX.1's form and a width of 2 system_channels[-1], for latents of 4 channels."""
    return FluxTransformer2DModel(
        in_channels=16, num_layers=BLOCKS, num_single_layers=BLOCKS, attention_head_dim=sum(ROPE),
        num_attention_heads=2 * p.system_channels[-1] // sum(ROPE), joint_attention_dim=1, pooled_projection_dim=1,
        axes_dims_rope=ROPE)


def transformer(p) -> FluxTransformer2DModel:
    """A published one that learns by LoRA, or a small one from scratch that learns as a whole; with a wide input.

    Source: flux-control, which casts the frozen weights to bfloat16 and computes in it (flux_dtype), and trains the
    LoRA in float32.
    """
    if not p.flux_path:
        net = small_transformer(p)
        widen_input(net)
        return adopt(net, p.precision)
    net = hub.load(FluxTransformer2DModel, p.flux_path, "transformer", "flux_path", getattr(torch, p.flux_dtype))
    widen_input(net)
    net.add_adapter(LoraConfig(r=p.flux_rank, lora_alpha=p.flux_rank, target_modules=LORA))     # freezes the rest
    cast_training_params(net, torch.float32)
    return adopt(net, "bfloat16" if p.flux_dtype == "bfloat16" else p.precision)


def velocity(net, tokens, sigma, shape) -> torch.Tensor:
    """The transformer's d z_t / d sigma, of `shape` (B, C, h, w), for packed tokens and sigma (B,); without text."""
    n, _, h, w = shape
    place = torch.cartesian_prod(torch.zeros(1), torch.arange(h / 2), torch.arange(w / 2)).to(tokens)
    answer = net(
        tokens, timestep=sigma, img_ids=place, txt_ids=place.new_zeros(1, 3),
        encoder_hidden_states=tokens.new_zeros(n, 1, net.config.joint_attention_dim),
        pooled_projections=tokens.new_zeros(n, net.config.pooled_projection_dim),
        guidance=tokens.new_full((n,), GUIDANCE) if net.config.guidance_embeds else None)
    return unpack(answer.sample, shape)


class FluxVAE(vae.NoduleVAE):
    """The VAE of FLUX.1-dev: 16 channels, factor 8; its scaled latents are shifted first, those of others are not."""

    @property
    def offset(self):
        return (self.vae.config.shift_factor or 0) * self.scale

    def encode(self, x):
        return super().encode(x) - self.offset

    def decode_scaled(self, z):
        return super().decode_scaled(z + self.offset)


class System(LatentSystem):
    """A FLUX transformer whose second half of input channels are the baseline's tokens; there is no text.

    Source: Table 1 of the paper (Flux); Labs 2024; diffusers' flux-control is the public recipe.
    """

    rows = {"flux": ("Flux (rectified flow)", {})}
    description = Description(
        source="Labs 2024 (FLUX.1); the row Flux of Table 1",
        conditions="z1, packed beside z2_t along the channels",
        noise="z at sigma = 1, the start of Euler",
        optimises="squared error of the velocity eps - z2, sigma uniform",
        left_open="what was fine-tuned: we take flux-control's LoRA, the wide input within (a small one learns as a "
                  "whole); how text enters: not at all, zeros stand for T5's "
                  "and CLIP's states of the empty prompt")

    def build(self):
        net = transformer(self.p)
        if self.p.flux_path:
            loaded = vae.load_vae(self.p.flux_path, precision=self.p.precision)
            self.vae = FluxVAE(loaded.vae, loaded.probe).eval().requires_grad_(False)
        return {"transformer": net}

    def moments(self, split, pairs):
        """What `latents` returns, of whichever VAE this system has."""
        if not self.p.flux_path:
            return self.latents(split)
        found = {}
        for visit, x in enumerate(self.images(pairs), start=1):
            shape = x.shape[:2]
            parts = vae.moments(self.vae, x.flatten(0, 1))
            mean, std = (part.unflatten(0, shape).transpose(0, 1).to(self.device) * self.vae.scale for part in parts)
            found[f"z{visit}_mean"] = mean - self.vae.offset
            found[f"z{visit}_std"] = std
        return found

    def velocity(self, z1, z2_t, sigma):
        """The transformer's d z2_t / d sigma, (B, C, h, w)."""
        tokens = torch.cat([pack(z2_t), pack(z1)], 2)
        return velocity(self.nets["transformer"], tokens, sigma, z1.shape)

    def loss(self, z1, z2, eps, sigma):
        """Mean squared error of the velocity at z2_t = (1 - sigma) z2 + sigma eps: ()."""
        z2_t = torch.lerp(z2, eps, sigma.view(-1, 1, 1, 1))
        return (eps - z2 - self.velocity(z1, z2_t, sigma)).square().mean()

    def stages(self, train, val):
        latents = self.moments("train", train)
        held_out = self.moments("val", val)
        z1_val = held_out["z1_mean"][:, 0]
        z2_val = held_out["z2_mean"][:, 0]
        eps_val = seeding.noise(z2_val.shape, self.p.seed, "val").to(self.device)
        sigma_val = ((torch.arange(len(z1_val)) + 0.5) / len(z1_val)).to(self.device)

        def step(idx, g, step_no):
            z1, z2 = posterior_pair(latents, idx, g)
            eps = torch.randn(z2.shape, generator=g).to(z2)
            return {"loss": self.loss(z1, z2, eps, times(len(idx), g).to(z2))}

        def validate():
            return self.loss(z1_val, z2_val, eps_val, sigma_val).item()

        yield TrainingStage("flow", dict(self.nets), step, validate)

    def draw(self, x1, ehr, noise):
        z1 = self.vae.encode(x1)

        def velocity(z2_t, sigma):
            return self.velocity(z1, z2_t, sigma)

        z2 = euler(velocity, noise(z1.shape[1:]), self.p.system_flow_steps)
        return self.vae.decode_scaled(z2)
