"""`make pretrained`: language model, images, VAE, U-Net, transformer; each goes on from its last checkpoint."""

import json
import shutil
import time
from pathlib import Path

from namd.ground import keys, marks, process
from namd.ground.paths import outputs_root
from namd.ground.precision import set_arithmetic
from namd.pretrain.flux import train_flux
from namd.pretrain.images import Images, draw_images
from namd.pretrain.llm import train_llm
from namd.pretrain.unet import latents, train_unet
from namd.pretrain.vae import reconstruction, train_vae
from namd.ship.folder import SHIPPED, writable, write_model

COMMAND = "make pretrained"
COMMAND_ELSEWHERE = "python -m namd pretrain` with the parameters in `MANIFEST.json"
OF_IMAGES = ("pretrain_subjects", "pretrain_seed", "phantom_eps", "phantom_gmax", "phantom_null", "image_size",
             "window_", "seed")
OF_VAE = (*OF_IMAGES, "threads", "precision", "vae_", "lambda_kl", "grad_clip")
OF_UNET = (*OF_VAE, "unet_", "uncond_", "n_timesteps", "beta_", "prediction_type", "zero_terminal_snr",
           "timestep_spacing", "ema_decay")
OF_FLUX = (*OF_VAE, "system_channels", "system_steps", "system_batch", "uncond_lr")
OF_SD = tuple(dict.fromkeys((*OF_UNET, *OF_FLUX)))
OF_LLM = ("pretrain_reports", "threads", "precision", "llm_", "seed")
IMAGES_TOLD = ("{n:,} single phantom images, one a subject of phantom seed {seed}, which no cohort may have "
               "({held_out} more validate): scanners in equal shares, no label, no record, no pair.")
REPORTS_TOLD = ("{n:,} reports of records drawn over the ranges of the paper's Table 2, each feature by itself: "
                "no patient, no label, no image.")
ABOUT_SD = ("Stands for Stable Diffusion v1.5 where nothing is downloaded: a VAE (folded 2 x 2; 4 x 8 x 8 numbers for "
            "a 64 px image) and a U-Net with a context of 768 numbers and 4 input channels, not conditioned on "
            "anything yet. Beside them, and on the same latents, a transformer of FLUX.1's form for the row Flux.")
ABOUT_GEMMA = ("Stands for MedGemma where nothing is downloaded: a multimodal Gemma 3 with toy widths. Its language "
               "model learnt to write reports and to say them again in codes; its image encoder is random.")

INDEX = {"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"],
         "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
         **dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"), [None, None])}


def settings(p, prefixes) -> dict:
    """{parameter: value} of those whose names begin with one of `prefixes`."""
    return {name: value for name, value in vars(p).items() if name.startswith(prefixes)}


def pretrain(p, out=None, log=print) -> None:
    """Train the small models of `p` below outputs/<run_name> and write small-sd and small-gemma to `out`.

    Args:
        p: every parameter, as params/pretrain.yaml leaves them; out: folder, that of the repository when None.

    Raises:
        UserError: something there is not this program's, which is said before anything is trained, or the disk is full.

    Source: ours, because the paper fine-tunes what others trained, and a laptop downloads nothing.
    """
    command = COMMAND_ELSEWHERE if out else COMMAND
    out = Path(out or SHIPPED)
    for name in ("small-gemma", "small-sd"):
        writable(out, name)
    root = marks.begin(outputs_root() / p.run_name)
    process.settle(p.seed, p.threads, "pretrain")
    set_arithmetic(p.precision)
    _gemma(root, p, out, dict(about=ABOUT_GEMMA, command=command))
    _stable_diffusion(root, p, out, dict(about=ABOUT_SD, command=command), log)


def _gemma(root, p, out, told):
    measured = train_llm(root, p)
    facts = dict(trained_on=REPORTS_TOLD.format(n=p.pretrain_reports), parameters=settings(p, OF_LLM),
                 measured={f"R2 of {name} from the state at <eos>": value for name, value in measured.items()})
    write_model(out, "small-gemma", lambda folder: shutil.copytree(root / "llm", folder, dirs_exist_ok=True), facts,
                told)


def _stable_diffusion(root, p, out, told, log):
    checkpoints = root / "checkpoints"
    if not (checkpoints / "vae").exists():          # one that goes on does not know how long it took
        told = told | dict(began=time.time())
    image_key = keys.key(settings(p, OF_IMAGES), keys.code("namd.pretrain.images"), {})
    images = Images(draw_images(root / "images.npy", image_key, p, log), p)
    vae_key = keys.key(settings(p, OF_VAE), keys.code("namd.pretrain.vae"), {"images": image_key})
    vae = train_vae(checkpoints / "vae", vae_key, images, p, log)
    z = latents(vae, images)
    unet_key = keys.key(settings(p, OF_UNET), keys.code("namd.pretrain.unet"), {"vae": vae_key})
    net, scheduler, unet_loss = train_unet(checkpoints / "unet", unet_key, z, p, log)
    flux_key = keys.key(settings(p, OF_FLUX), keys.code("namd.pretrain.flux"), {"vae": vae_key})
    transformer, flux_loss = train_flux(checkpoints / "flux", flux_key, z, p, log)

    def write(folder):
        vae.vae.save_pretrained(folder / "vae")
        net.save_pretrained(folder / "unet")
        scheduler.save_pretrained(folder / "scheduler")
        transformer.save_pretrained(folder / "transformer")
        (folder / "model_index.json").write_text(json.dumps(INDEX, indent=1) + "\n", encoding="utf-8")

    measured = reconstruction(vae, images.val)
    measured["loss of the U-Net on the same"] = unet_loss
    measured["loss of the transformer on the same"] = flux_loss
    write_model(out, "small-sd", write, _of_images(p, images, measured), told)


def _of_images(p, images, measured) -> dict:
    """What the manifest says of models that were trained on the single images."""
    told = IMAGES_TOLD.format(n=len(images.train), held_out=len(images.val), seed=p.pretrain_seed)
    return dict(trained_on=told, parameters=settings(p, OF_SD), phantom_seed=p.pretrain_seed, measured=measured)
