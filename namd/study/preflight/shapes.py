"""The models of a run as empty shells on the meta device: every shape, no weight, no download."""

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import Gemma3TextConfig, Gemma3TextModel

from namd.data.report import DIAMETERS, KNOWN
from namd.ground.errors import UserError
from namd.models import hub, llm, sound, unet, vae
from namd.models.judge import Judge
from namd.models.perceptual import load_perceptual
from namd.models.prompts import SoftPrompts

SMALL_VOCABULARY = 73   # words of the small tokenizer on the quick run's reports
N_ATTRIBUTES = len(DIAMETERS) + sum(map(len, KNOWN.values()))   # of a nodule, codes one-hot
# Architectures of the hub repositories the paper names, so that nothing need be downloaded to count them.
# Source: unet/, vae/ and text_encoder/config.json of Stable Diffusion v1.5; transformer/ and vae/config.json of
# FLUX.1-dev, whose transformer has 11.90 B weights; text_config of MedGemma 1.5 4B, which is
# transformers' Gemma3TextConfig of the 4 B class; config.json of AIMv2 and of CLIP's ViT-L/14; text_cfg of CLIP's
# ResNet-50 in open_clip.
ARCHITECTURES = {
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "vae"): dict(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=[128, 256, 512, 512], layers_per_block=2,
        norm_num_groups=32, sample_size=512, down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4),
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "unet"): dict(
        in_channels=4, out_channels=4, sample_size=64, block_out_channels=[320, 640, 1280, 1280], layers_per_block=2,
        attention_head_dim=8, cross_attention_dim=768, norm_num_groups=32,
        down_block_types=[*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        up_block_types=["UpBlock2D", *["CrossAttnUpBlock2D"] * 3]),
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "text_encoder"): dict(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        max_position_embeddings=77, projection_dim=768, hidden_act="quick_gelu"),
    ("black-forest-labs/FLUX.1-dev", "transformer"): dict(
        in_channels=64, num_layers=19, num_single_layers=38, attention_head_dim=128, num_attention_heads=24,
        joint_attention_dim=4096, pooled_projection_dim=768, guidance_embeds=True, axes_dims_rope=[16, 56, 56]),
    ("black-forest-labs/FLUX.1-dev", "vae"): dict(
        in_channels=3, out_channels=3, latent_channels=16, block_out_channels=[128, 256, 512, 512], layers_per_block=2,
        norm_num_groups=32, sample_size=1024, down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False,
        use_post_quant_conv=False),
    ("google/medgemma-1.5-4b-it", ""): dict(
        vocab_size=262208, hidden_size=2560, intermediate_size=10240, num_hidden_layers=34, num_attention_heads=8,
        num_key_value_heads=4, head_dim=256, query_pre_attn_scalar=256, sliding_window=1024),
    ("apple/aimv2-large-patch14-224", ""): dict(
        model_type="aimv2_vision_model", use_head=False, image_size=224, patch_size=14, hidden_size=1024,
        intermediate_size=2816, num_hidden_layers=24, num_attention_heads=8),
    ("openai/clip-vit-large-patch14", ""): dict(
        model_type="clip", projection_dim=768,
        text_config=dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                         num_attention_heads=12, max_position_embeddings=77, projection_dim=768),
        vision_config=dict(image_size=224, patch_size=14, hidden_size=1024, intermediate_size=4096,
                           num_hidden_layers=24, num_attention_heads=16, projection_dim=768)),
    ("timm/resnet50_clip.openai", ""): dict(
        vocab_size=49408, hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8,
        max_position_embeddings=77, projection_dim=1024, hidden_act="quick_gelu"),
}


def config_of(path, part: str) -> dict:
    """Architecture of the model at `path`: from its config.json where this machine has one, else from `ARCHITECTURES`.

    Args:
        path: directory, "org/name" or "org/name@revision"; part: folder inside (vae, unet), "" for none.

    Raises:
        UserError: neither, or it cannot be read.
    """
    file = hub.config_file(path, part)
    if file is not None:
        return sound.settings(file, path)
    name, _ = hub.split(path)
    if (name, part) not in ARCHITECTURES:
        wanted = f"{part}/config.json".lstrip("/")
        if hub.is_absent_folder(path):
            raise UserError(f"'{path}' names no model: {hub.NO_FOLDER}.")
        if hub.directory(path):
            raise UserError(f"The architecture of '{path}' is not known, for the folder holds no {wanted}: write the "
                            "model there, or name a directory that holds one.")
        raise UserError(f"The architecture of '{path}' is not known, for its {wanted} is not on this machine: get it"
                        f" with `hf download {name} {wanted}`, or name a directory that holds one.")
    return ARCHITECTURES[name, part]


@dataclass(frozen=True)
class Shells:
    """The models of a run on the meta device."""

    vae: vae.NoduleVAE                  # with its probe
    perceptual: nn.Module
    unet: UNet2DConditionModel          # stage 2: the language model's context width
    unet_cond: UNet2DConditionModel     # stage 3: 8 input channels too
    lm: Gemma3TextModel                 # frozen
    prompts: SoftPrompts
    judge: Judge


def build(p) -> Shells:
    """Shells of all models of a run.

    Args:
        p: all parameters of the run.

    Raises:
        UserError: an architecture is not known, or small sizes that do not fit together.
    """
    text = _language_model(p)
    eye = config_of(p.vae_path, "vae") if p.vae_path else vae.small_config(p)
    net = config_of(p.unet_path, "unet") if p.unet_path else unet.small_config(p)
    net = {**net, "cross_attention_dim": text.hidden_size}
    widened = {**net, "in_channels": 2 * unet.LATENT_CHANNELS}
    n_latent = 4 * (p.image_size // vae.FACTOR) ** 2
    n_attributes = N_ATTRIBUTES if p.judge_attributes > 0 else 0
    with torch.device("meta"):
        return Shells(
            vae=vae.NoduleVAE(_shell(AutoencoderKL, eye, p.vae_path, "vae_path"), nn.Linear(n_latent, 1)),
            perceptual=load_perceptual(p.lpips_net, "random", p.seed).to("meta"),
            unet=_shell(UNet2DConditionModel, net, p.unet_path, "unet_path"),
            unet_cond=_shell(UNet2DConditionModel, widened, p.unet_path, "unet_path"),
            lm=Gemma3TextModel(text).to(getattr(torch, p.llm_dtype)).requires_grad_(False).eval(),
            prompts=SoftPrompts(p.text_n_sets, p.text_n_tokens, text.hidden_size),
            judge=Judge(p.image_size, p.judge_patch, p.judge_dim, p.judge_depth, p.judge_heads, p.judge_head_dim,
                        p.judge_mlp, p.judge_dropout, n_attributes))


def _shell(kind, config, path, what):
    """A model of diffusers by its configuration, or one sentence where that is another model's."""
    written_for = config.get("_class_name") or next(iter(config.get("architectures") or ()), kind.__name__)
    if written_for != kind.__name__:
        raise UserError(f"{what}: config.json of '{path}' describes {written_for}, where {kind.__name__} is "
                        "needed; name the folder of one, or of a pipeline that holds one.")
    return sound.untrained(kind.from_config, config, path, what)


def _language_model(p) -> Gemma3TextConfig:
    """Configuration of the text part of the language model."""
    if p.llm_path:
        found = config_of(p.llm_path, "")
        sound.check_gemma(found.get("model_type"), p.llm_path)
    else:
        found = llm.small_config(p.llm_hidden, p.llm_layers, SMALL_VOCABULARY).text_config.to_dict()
    return Gemma3TextConfig(**found.get("text_config", found))
