"""NAMD as a forecaster: one trained arm, loaded from its folder (Section 3.3.2, inference)."""

from pathlib import Path

import torch

from namd.data.report import report_texts
from namd.errors import UserError
from namd.forecasters.base import Forecaster
from namd.models.diffusion import ddim_sample, schedule
from namd.models.llm import load_llm
from namd.models.prompts import SoftPrompts, encode_all
from namd.models.unet import load_unet
from namd.models.vae import load_vae
from namd.training import seeding


class NAMD(Forecaster):
    """The trained models of one arm: VAE, U-Net, soft prompts and the frozen LLM.

    Args:
        folder: outputs/<run_name>/arms/<arm>, written by notebooks 02-04.
        p: the run's parameters (schedule keys, ddim_steps, eval_batch, llm_path, llm_dtype, device).

    Raises:
        UserError: a notebook of the arm has not been run.

    Source: Sec. 3.3.2.
    """

    def __init__(self, folder, p):
        folder = Path(folder)
        device = torch.device(p.device if p.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        llm_path = p.llm_path or _made(folder.parent.parent / "llm", "01")
        self.vae = load_vae(_made(folder / "vae", "02"), p.image_size, p.seed).to(device).eval().requires_grad_(False)
        self.unet = load_unet(_made(folder / "namd" / "unet", "04")).to(device).eval().requires_grad_(False)
        self.lm, self.tokenizer = load_llm(llm_path, p.llm_dtype)
        self.prompts = SoftPrompts.load(folder / "namd", self.lm.to(device))
        self.scheduler, self.ddim_steps, self.batch = schedule(p), p.ddim_steps, p.eval_batch

    def fit(self, pairs, params) -> None:
        """Nothing: notebooks 02-04 train an arm, and opening it has checked that they did."""

    def context(self, ehr) -> torch.Tensor:
        """C of N records (Eq. 7-8): (N, m, D)."""
        return encode_all(self.lm, self.tokenizer, self.prompts, report_texts(ehr))

    @torch.no_grad()
    def sample(self, x1, ehr, seeds) -> torch.Tensor:
        """Follow-ups by DDIM from noise keyed by (seed, pair_id): (K, N, 1, H, W) in [-1, 1], on the CPU.

        Source: Sec. 3.3.2; all K runs of all subjects share batches, because small latents leave a device idle.
        """
        ctx, z1 = self.context(ehr), self._latents(x1)
        jobs = [(seed, i) for seed in seeds for i in range(len(x1))]
        z_T = torch.stack([seeding.noise(z1.shape[1:], seed, "sample", ehr.index[i]) for seed, i in jobs])
        images = []
        for start in range(0, len(jobs), self.batch):
            rows = [i for _, i in jobs[start : start + self.batch]]
            z2_hat = self._denoise(z_T[start : start + self.batch].to(z1.device), z1[rows], ctx[rows])
            images.append(self.vae.decode_scaled(z2_hat).clamp(-1, 1).cpu())
        return torch.cat(images).unflatten(0, (len(seeds), len(x1)))

    def _latents(self, x1) -> torch.Tensor:
        """z1 = E(x1), the scaled mean of the posterior: (N, 4, h, w)."""
        device = next(self.unet.parameters()).device
        return torch.cat([self.vae.encode(chunk.to(device)) for chunk in x1.split(self.batch)])

    def _denoise(self, z_T, z1, ctx) -> torch.Tensor:
        """z2_hat from noise z_T, given the baseline latent (channels) and the record (cross-attention)."""
        def predict(z2_t, t):
            return self.unet(torch.cat([z2_t, z1], dim=1), t, encoder_hidden_states=ctx).sample
        return ddim_sample(predict, z_T, self.scheduler, self.ddim_steps)


def _made(path: Path, notebook: str) -> Path:
    """`path`, which notebook `notebook` writes."""
    if not path.exists():
        where = f"{path.parent.name}/{path.name}"
        raise UserError(f"{where} is missing: run `python -m namd run {notebook}` for this run and arm first.")
    return path
