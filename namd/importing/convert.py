"""The authors' weights under the names of diffusers' models and of the judge; not one may be lost or left over."""

import re

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from torch import nn

from namd.ground.errors import UserError
from namd.importing.checkpoints import UNET, Checkpoint
from namd.models import sound, unet, vae
from namd.models.diffusion import alpha_bar, schedule
from namd.models.judge import Judge
from namd.models.prompts import SoftPrompts
from namd.models.vae import NoduleVAE

CONTEXTS = f"{UNET}contexts"
BESIDE_UNET = ("first_stage_model.", "cond_stage_model.", "text_encoder.")          # frozen there
SCHEDULE = re.compile(r"betas|logvar|lvlb_weights|(sqrt_|log_)*(recip_|recipm1_|one_minus_)*alphas_cumprod(_prev)?"
                      r"|posterior_\w+")
BESIDE_VAE = ("loss.", "contrastive_feature_loss.")                                 # of its training
PROBE = "label_head."
PLACES = {"pos_embedding": "position", "cls_token": "cls", "to_patch_embedding.1": "patches.0",
          "to_patch_embedding.2": "patches.1", "to_patch_embedding.3": "patches.2", "transformer.norm": "norm",
          "mlp_head": "head"}
IN_A_BLOCK = {"0.norm": "attention.norm", "0.to_qkv": "attention.to_qkv", "0.to_out.0": "attention.to_out.0",
              "1.net.0": "mlp.0", "1.net.1": "mlp.1", "1.net.4": "mlp.4"}


def unet_and_prompts(found: Checkpoint, p) -> tuple[UNet2DConditionModel, SoftPrompts]:
    """Stage 3's U-Net and the soft prompts that the authors keep among its weights.

    Args:
        found: their U-Net; p: unet_channels, unet_layers, unet_heads, image_size, text_n_sets, text_n_tokens and the
            noise schedule, which no file tells.

    Raises:
        UserError: weights are missing, of other shapes, left over or no numbers, or trained under another schedule.

    Source: facts of the authors' code (openaimodel.py, ddpm.py: names and shapes); the names become diffusers' by
        diffusers' own converter.
    """
    prompts = _prompts(found, p)
    _same_schedule(found, p)
    _refuse_left_over(found, [name for name in found.weights if not name.startswith((UNET, *BESIDE_UNET))
                              and not SCHEDULE.fullmatch(name)])
    weights = {name: weight for name, weight in found.weights.items() if name.startswith(UNET) and name != CONTEXTS}
    config = unet.small_config(p)
    config |= dict(in_channels=2 * unet.LATENT_CHANNELS, cross_attention_dim=prompts.config.dim)
    converted = _converted(convert_ldm_unet_checkpoint, weights, config, found)
    with torch.device("meta"):
        net = UNet2DConditionModel(**config)
    return _filled(net, converted, found, "unet_channels, unet_layers"), prompts


def nodule_vae(found: Checkpoint, p, scale: float) -> NoduleVAE:
    """The aligned VAE with its probe, where the file has one; arguments and errors as of `unet_and_prompts`.

    Args:
        p: vae_channels, vae_layers, image_size; scale: the factor on its latents.

    Source: facts of the authors' code (corrae.py, autoencoder.py), named by diffusers' own converter.
    """
    if len(p.vae_channels) != 4:
        raise UserError(f"vae_channels {p.vae_channels}: the authors' VAE has four widths.")
    probe = {name.removeprefix(PROBE): weight for name, weight in found.weights.items() if name.startswith(PROBE)}
    weights = {name: weight for name, weight in found.weights.items() if not name.startswith((PROBE, *BESIDE_VAE))}
    config = vae.small_config(p)
    converted = _converted(convert_ldm_vae_checkpoint, weights, config, found)
    with torch.device("meta"):
        net = AutoencoderKL(**config)
        line = nn.Linear(4 * (p.image_size // vae.FACTOR) ** 2, 1) if probe else None
    made = NoduleVAE(_filled(net, converted, found, "vae_channels, vae_layers"),
                     _filled(line, probe, found, "image_size") if probe else None)
    made.set_scale(scale)
    return made


def judge(found: Checkpoint, p) -> Judge:
    """Their vision transformer; arguments and errors as of `unet_and_prompts`.

    Args:
        p: image_size, judge_patch, judge_dim, judge_depth, judge_heads, judge_head_dim, judge_mlp, judge_dropout.

    Source: facts of the authors' code (evaluator/vit.py): the names of its layers, which our Judge has one by one.
    """
    with torch.device("meta"):
        net = Judge(p.image_size, p.judge_patch, p.judge_dim, p.judge_depth, p.judge_heads, p.judge_head_dim,
                    p.judge_mlp, p.judge_dropout)
    return _filled(net, {_judge_name(name): weight for name, weight in found.weights.items()}, found, "judge_*")


def _judge_name(name: str) -> str:
    """Our name of a weight of theirs; theirs where we have none."""
    in_a_block = re.fullmatch(r"transformer\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if in_a_block:
        number, layer, leaf = in_a_block.groups()
        return f"blocks.{number}.{IN_A_BLOCK.get(layer, layer)}.{leaf}"
    layer, _, leaf = name.rpartition(".")
    return f"{PLACES[layer]}.{leaf}" if layer in PLACES else PLACES.get(name, name)


def _prompts(found, p) -> SoftPrompts:
    """`contexts` (m, n, D) as the vectors of Eq. 7."""
    contexts = found.weights.get(CONTEXTS)
    if contexts is None:
        raise UserError(f"{found.file} has no {CONTEXTS}, so it is a U-Net of another stage: give the one of the"
                        " conditional stage.")
    asked = (p.text_n_sets, p.text_n_tokens)
    if contexts.ndim != 3 or tuple(contexts.shape[:2]) != asked:
        raise UserError(f"{found.file}: contexts has shape {tuple(contexts.shape)}, and text_n_sets, text_n_tokens say"
                        f" {asked}, then a width: name its own numbers.")
    sound.check_finite({CONTEXTS: contexts}, found.file, found.kind)
    prompts = SoftPrompts(*asked, contexts.shape[2])
    prompts.carrier.embedding.weight.data.copy_(contexts.flatten(0, 1))
    return prompts.eval().requires_grad_(False)


def _same_schedule(found, p) -> None:
    """The noise schedule in the file, where there is one, is that of the parameters."""
    told = found.weights.get("alphas_cumprod")
    own = alpha_bar(schedule(p))
    if told is not None and (told.shape != own.shape or not torch.allclose(told.float(), own, atol=1e-5)):
        raise UserError(f"{found.file} was trained under another noise schedule than beta_start, beta_end,"
                        " beta_schedule and n_timesteps make: name its own.")


def _converted(convert, weights, config, found) -> dict:
    """The weights under diffusers' names, all of them."""
    try:
        converted = convert(dict(weights), config)
    except sound.UNREADABLE as error:
        raise UserError(f"{found.file} is no {found.kind} in the layout of the authors' code"
                        f" ({sound.first_line(error)}): give the file as their training wrote it.") from None
    taken = {weight.data_ptr() for weight in converted.values() if weight is not None}
    _refuse_left_over(found, [name for name, weight in weights.items() if weight.data_ptr() not in taken])
    return converted


def _refuse_left_over(found, names) -> None:
    if names:
        raise UserError(f"{found.file}: {len(names)} weights of the {found.kind} have no place here, the first is"
                        f" {min(names)}; it is of another model than the authors' code and the parameters describe.")


def _filled(model, weights, found, keys):
    """`model`, so far without numbers, with these weights in float32, frozen, in evaluation mode.

    Args:
        keys: the parameters that its sizes come from, for the sentence.
    """
    own = model.state_dict()
    _refuse_left_over(found, weights.keys() - own.keys())
    missing = own.keys() - weights.keys()
    if missing:
        raise UserError(f"{found.file}: the {found.kind} lacks {len(missing)} weights, the first is {min(missing)} (as"
                        f" diffusers or our judge name it); it is incomplete, or {keys} are not its own.")
    unlike = [name for name in own if own[name].shape != weights[name].shape]
    if unlike:
        shapes = [tuple(each[unlike[0]].shape) for each in (weights, own)]
        raise UserError(f"{found.file}: {unlike[0]} of the {found.kind} has shape {shapes[0]}, and by the parameters"
                        f" {shapes[1]}: set {keys} to its sizes.")
    weights = {name: weight.detach().float().contiguous() for name, weight in weights.items()}
    sound.check_finite(weights, found.file, found.kind)
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)
