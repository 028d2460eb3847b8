"""`make pretrained`: every small model in its turn; each goes on from its last checkpoint."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from transformers.utils import logging

from namd.ground import keys, marks, process
from namd.ground.errors import UserError
from namd.ground.paths import outputs_root
from namd.ground.precision import set_arithmetic
from namd.pretrain import autorad, told
from namd.pretrain.flux import train_flux
from namd.pretrain.images import Images, draw_images
from namd.pretrain.llm import train_llm
from namd.pretrain.unet import latents, train_unet
from namd.pretrain.vae import reconstruction, train_vae
from namd.ship.folder import SHIPPED, writable, write_model

INDEX = {"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"],
         "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
         **dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"), [None, None])}


class Model(NamedTuple):
    """A small model: (root, p, write, log) -> nothing, which makes it; its first checkpoints; what its card says."""

    make: Callable
    first: str
    about: str


def pretrain(p, out=None, names=(), log=print) -> None:
    """Train the small models of `p` below outputs/<run_name> and write them to `out`.

    Args:
        p: every parameter, as params/pretrain.yaml leaves them; out: folder, that of the repository when None.
        names: which of MODELS; all of them when there are none.

    Raises:
        UserError: there is no such model, something there is not this program's, which is said before anything is
            trained, or the disk is full.

    Source: ours, because the paper fine-tunes what others trained, and a laptop downloads nothing.
    """
    unknown = sorted(set(names) - MODELS.keys())
    if unknown:
        raise UserError(f"pretrain: there is no small model {unknown[0]}; choose among {', '.join(MODELS)}.")
    command = told.COMMAND_ELSEWHERE if out else told.COMMAND
    out = Path(out or SHIPPED)
    chosen = [name for name in MODELS if name in names or not names]
    for name in chosen:
        writable(out, name)
    root = marks.begin(outputs_root() / p.run_name)
    process.settle(p.seed, p.threads, "pretrain")
    set_arithmetic(p.precision)
    logging.disable_progress_bar()
    for name in chosen:
        make, first, about = MODELS[name]
        card = dict(about=about, command=command)
        if not (root / "checkpoints" / first).exists():         # one that goes on does not know how long it took
            card["began"] = time.time()

        def write(save, facts, name=name, card=card):
            write_model(out, name, save, facts, card)

        make(root, p, write, log)


def small_gemma(root, p, write, log) -> None:
    """The language model; arguments as of `autorad.small_aimv2`."""
    measured = train_llm(root, p)
    facts = dict(trained_on=told.REPORTS_TOLD.format(n=p.pretrain_reports), parameters=told.settings(p, told.OF_LLM),
                 measured={f"R2 of {name} from the state at <eos>": value for name, value in measured.items()})
    write(lambda folder: shutil.copytree(root / "llm", folder, dirs_exist_ok=True), facts)


def small_sd(root, p, write, log) -> None:
    """The VAE, the U-Net and the transformer on its latents; arguments as of `autorad.small_aimv2`."""
    checkpoints = root / "checkpoints"
    image_key = keys.key(told.settings(p, told.OF_IMAGES), keys.code("namd.pretrain.images"), {})
    images = Images(draw_images(root / "images.npy", image_key, p, log), p)
    vae_key = keys.key(told.settings(p, told.OF_VAE), keys.code("namd.pretrain.vae"), {"images": image_key})
    vae = train_vae(checkpoints / "vae", vae_key, images, p, log)
    z = latents(vae, images)
    unet_key = keys.key(told.settings(p, told.OF_UNET), keys.code("namd.pretrain.unet"), {"vae": vae_key})
    net, scheduler, unet_loss = train_unet(checkpoints / "unet", unet_key, z, p, log)
    flux_key = keys.key(told.settings(p, told.OF_FLUX), keys.code("namd.pretrain.flux"), {"vae": vae_key})
    transformer, flux_loss = train_flux(checkpoints / "flux", flux_key, z, p, log)

    def save(folder):
        vae.vae.save_pretrained(folder / "vae")
        net.save_pretrained(folder / "unet")
        scheduler.save_pretrained(folder / "scheduler")
        transformer.save_pretrained(folder / "transformer")
        (folder / "model_index.json").write_text(json.dumps(INDEX, indent=1) + "\n", encoding="utf-8")

    measured = reconstruction(vae, images.val)
    measured["loss of the U-Net on the same"] = unet_loss
    measured["loss of the transformer on the same"] = flux_loss
    said = told.IMAGES_TOLD.format(n=len(images.train), held_out=len(images.val), seed=p.pretrain_seed)
    write(save, dict(trained_on=said, parameters=told.settings(p, told.OF_SD), phantom_seed=p.pretrain_seed,
                     measured=measured))


MODELS = {
    "small-gemma": Model(small_gemma, "llm", told.ABOUT_GEMMA),
    "small-sd": Model(small_sd, "vae", told.ABOUT_SD),
    "small-aimv2": Model(autorad.small_aimv2, "aimv2", told.ABOUT_AIMV2),
    "small-contrastive": Model(autorad.small_contrastive, "contrastive", told.ABOUT_CONTRASTIVE),
    "small-clip": Model(autorad.small_clip, "lite0-text", told.ABOUT_CLIP),
}
