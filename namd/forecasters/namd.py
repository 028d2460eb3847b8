"""NAMD as a forecaster: one trained arm, opened as a pipeline (Section 3.3.2, inference)."""

from pathlib import Path

import torch

from namd.data.report import report_texts
from namd.forecasters.base import Forecaster
from namd.ground.errors import UserError
from namd.models.pipeline import NAMDPipeline


class NAMD(Forecaster):
    """The trained models of one arm; schedule and language model are those the arm was trained with.

    Args:
        folder: outputs/<run_name>/arms/<arm>, whose namd/ notebook 04 wrote.
        p: device, llm_path (empty: the pipeline's own), llm_dtype, ddim_steps, eval_batch.

    Raises:
        UserError: notebook 04 of the arm has not been run.

    Source: Sec. 3.3.2.
    """

    def __init__(self, folder, p):
        path = Path(folder) / "namd"
        if not (path / "model_index.json").is_file():
            raise UserError(f"{Path(folder).name}/namd holds no pipeline: run `python -m namd run 04` for this run and "
                            "arm first.")
        device = p.device if p.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        other = {"llm_path": p.llm_path} if p.llm_path else {}
        self.pipe = NAMDPipeline.from_pretrained(path, llm_dtype=p.llm_dtype, **other).to(device)
        self.ddim_steps, self.batch, self.known = p.ddim_steps, p.eval_batch, {}
        self.vae, self.unet, self.prompts = self.pipe.nodule_vae, self.pipe.unet, self.pipe.soft_prompts
        self.scheduler, (self.lm, self.tokenizer) = self.pipe.scheduler, self.pipe.llm

    def fit(self, pairs, params) -> None:
        """Nothing: notebooks 02-04 train an arm, and opening it has checked that they did."""

    def context(self, ehr) -> torch.Tensor:
        """C of N records (Eq. 7-8): (N, m, D); the same records are encoded once in the life of this forecaster.

        Source: ours; remembered by the whole list, so that the same call gives the same bytes whatever came before.
        """
        reports = tuple(report_texts(ehr, self.pipe.config.text_report))
        if reports not in self.known:
            self.known[reports] = self.pipe.encode_prompt(reports)
        return self.known[reports]

    def sample(self, x1, ehr, seeds) -> torch.Tensor:
        """Follow-ups by DDIM from noise keyed by (seed, pair_id): (K, N, 1, H, W) in [-1, 1], on the CPU."""
        return self.pipe(x1, ehr, seeds, self.context(ehr), self.ddim_steps, self.batch)
