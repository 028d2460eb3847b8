"""NAMD as one Hugging Face directory: VAE, U-Net, schedule and what reads the record; the LLM stays where it is."""

import os
from functools import lru_cache
from itertools import product

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging

from namd.data.report import report_texts
from namd.ground import seeding
from namd.ground.errors import UserError
from namd.ground.paths import located
from namd.ground.reading import reading
from namd.models import hub
from namd.models.diffusion import ddim_sample
from namd.models.llm import load_llm
from namd.models.prompts import SoftPrompts, encode_all
from namd.models.record_numbers import RecordContext
from namd.models.unet import load_unet
from namd.models.vae import NoduleVAE, load_vae

SHIPPED = "MANIFEST.json"       # of a model that was shipped
AGAIN = "take the folder from where it came again"
_opened = lru_cache(maxsize=1)(load_llm)       # up to 17 GB: the rows of a notebook, a pipeline each, share them


class NAMDPipeline(DiffusionPipeline):
    """Follow-ups of a nodule from its baseline image and its record.

    Args:
        vae, unet, scheduler: what notebooks 02-04 trained; saved with the pipeline, like what reads the record:
        soft_prompts: in front of its report; or, in their place, record_context: of its numbers, without an LLM.
        llm_path: folder or hub id of the frozen language model; saved as a reference, never as weights. In
            model_index.json a folder is written relative to the pipeline's own.
        llm_dtype: its number format, float32 or bfloat16.
        ddim_steps: steps of the sampler unless a call asks for others.
        text_report: what the models were trained with: record, none (the empty report for everybody) or numbers.

    `NAMDPipeline.from_pretrained(folder)` opens what `save_pretrained(folder)` wrote.

    Source: Sec. 3.3.2; the language model's licence forbids copies, and it is the largest part by far.
    """

    _optional_components = ["soft_prompts", "record_context"]

    def __init__(self, vae: AutoencoderKL, unet: UNet2DConditionModel, scheduler: DDIMScheduler,
                 soft_prompts: SoftPrompts = None, llm_path: str = "", llm_dtype: str = "float32",
                 ddim_steps: int = 50, text_report: str = "record", record_context: RecordContext = None):
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler, soft_prompts=soft_prompts,
                              record_context=record_context)
        self.register_to_config(llm_path=str(llm_path), llm_dtype=llm_dtype, ddim_steps=ddim_steps,
                                text_report=text_report)
        self.opened_llm = None

    @classmethod
    def from_pretrained(cls, path, llm=None, precision="float32", **kwargs) -> "NAMDPipeline":
        """The pipeline of a folder, on the CPU, frozen, in eval mode.

        Args:
            path: folder written by `save_pretrained`, from the current folder or from the checkout.
            llm: (lm, tokenizer) already in memory; None opens the referenced one when a record is first read.
            precision: of VAE and U-Net, as of `namd.ground.precision.adopt`.
            kwargs: other values than the folder's for llm_path, llm_dtype or ddim_steps.

        Raises:
            UserError: no pipeline there, one of another kind, or a damaged one.
        """
        folder = located(path)
        if not (folder / "model_index.json").is_file():
            raise UserError(f"{path} holds no NAMD pipeline: run notebook 04 for this run and arm.")
        again = AGAIN if (folder / SHIPPED).is_file() else None
        with reading(folder, "04", again):
            config = cls.load_config(folder)
            told = config.get("_class_name", "pipeline")
        if "llm_path" not in config:
            raise UserError(f"{path} holds a {told}, no NAMD pipeline: name a folder that notebook 04 wrote, or"
                            " outputs/reference/models/namd-small.")
        with reading(folder, "04", again):
            llm_path = config["llm_path"]
            if llm_path and (folder / llm_path).is_dir():
                llm_path = str((folder / llm_path).resolve())
            models = {"vae": load_vae(folder, precision=precision).vae, "unet": load_unet(folder, precision)}
            models |= cls._record_reader(folder)
            logging.disable_progress_bar()
            models = {name: model.eval().requires_grad_(False) for name, model in models.items()}
            pipe = super().from_pretrained(folder, **models, **{"llm_path": llm_path, **kwargs})
        pipe.register_to_config(_name_or_path=folder.name)  # an absolute path would travel with every copy
        pipe.opened_llm = llm
        return pipe

    @classmethod
    def _record_reader(cls, folder):
        """{name: model} of what reads the record in a saved pipeline."""
        if cls.load_config(folder).get("text_report") == "numbers":
            return {"record_context": hub.load(RecordContext, folder, "record_context", "record context")}
        return {"soft_prompts": hub.load(SoftPrompts, folder, "soft_prompts", "soft prompts")}

    def save_pretrained(self, path, **kwargs) -> None:
        """Write vae/, unet/, scheduler/, soft_prompts/ or record_context/, model_index.json; no weight of the LLM."""
        llm_path = self.config.llm_path
        if hub.directory(llm_path):
            self.register_to_config(llm_path=os.path.relpath(hub.directory(llm_path), path))
        super().save_pretrained(path, **kwargs)
        self.register_to_config(llm_path=llm_path)

    @property
    def nodule_vae(self) -> NoduleVAE:
        """Encoder and decoder for one-channel images; the probe of stage 1 is not needed any more."""
        return NoduleVAE(self.vae, None)

    @property
    def llm(self):
        """(lm, tokenizer), on the device of the pipeline.

        Raises:
            UserError: out of reach, or not of the width the prompts were trained for.
        """
        if self.opened_llm is None:
            self.opened_llm = _opened(self.config.llm_path, self.config.llm_dtype)
        lm, tokenizer = self.opened_llm
        self.soft_prompts.beside(lm.to(self.device))
        return lm, tokenizer

    def encode_prompt(self, reports, batch_size: int = 64) -> torch.Tensor:
        """Context C of N radiology reports (Eq. 7-8): (N, m, D)."""
        return encode_all(*self.llm, self.soft_prompts, reports, batch_size)

    @torch.no_grad()
    def context(self, ehr) -> torch.Tensor:
        """Context C of N records, by their reports or by their numbers, as the models were trained: (N, m, D)."""
        if self.record_context is not None:
            return self.record_context(self.record_context.numbers(ehr))
        return self.encode_prompt(self.reports(ehr))

    def reports(self, ehr) -> tuple[str, ...]:
        """What the language model reads of N records: their reports, or the empty one for everybody."""
        return tuple(report_texts(ehr, self.config.text_report))

    @torch.no_grad()
    def __call__(self, x1, ehr, seeds, prompt_embeds=None, num_inference_steps=None, batch_size: int = 64):
        """Follow-ups by DDIM from noise keyed by (seed, pair_id).

        Args:
            x1: (N, 1, S, S) float32 in [-1, 1], baseline images, the window of the training on 0.6 mm pixels.
            ehr: N records (DataFrame) in the order of x1; its index names the pairs.
            seeds: K integers.
            prompt_embeds: (N, m, D) what `context` says of the records; None calls it.
            num_inference_steps: DDIM steps; None takes ddim_steps.
            batch_size: images per batch; changes memory and rounding only.

        Returns:
            (K, N, 1, S, S) float32 in [-1, 1], on the CPU.

        Source: Sec. 3.3.2; all K runs of all subjects share batches, because small latents leave a device idle.
        """
        ctx = self.context(ehr) if prompt_embeds is None else prompt_embeds
        steps = num_inference_steps or self.config.ddim_steps
        z1 = self._baselines(x1, ehr, seeds, batch_size).flatten(0, 1)              # (K N, 4, h, w)
        jobs = list(product(seeds, range(len(x1))))
        z_T = torch.stack([seeding.noise(z1.shape[1:], seed, "sample", ehr.index[i]) for seed, i in jobs])
        images = []
        for start in range(0, len(jobs), batch_size):
            part = slice(start, start + batch_size)
            rows = [i for _, i in jobs[part]]
            z2_hat = self._denoise(z_T[part].to(z1.device), z1[part], ctx[rows], steps)
            images.append(self.nodule_vae.decode_scaled(z2_hat).clamp(-1, 1).cpu())
        return torch.cat(images).unflatten(0, (len(seeds), len(x1)))

    def _baselines(self, x1, ehr, seeds, batch_size) -> torch.Tensor:
        """Scaled z1 of each run, the same in all of them: (K, N, 4, h, w)."""
        z1 = torch.cat([self.nodule_vae.encode(part.to(self.device)) for part in x1.split(batch_size)])
        return z1.expand(len(seeds), *z1.shape)

    def _grid(self) -> DDIMScheduler:
        """The schedule whose steps are walked."""
        return self.scheduler

    def _denoise(self, z_T, z1, ctx, steps) -> torch.Tensor:
        """z2_hat from noise z_T, given the baseline latent (channels) and the record (cross-attention)."""
        def predict(z2_t, t):
            return self.unet(torch.cat([z2_t, z1], dim=1), t, encoder_hidden_states=ctx).sample
        return ddim_sample(predict, z_T, self._grid(), steps)
