"""NAMD as a forecaster: one trained arm, opened as a pipeline (Section 3.3.2, inference)."""

from pathlib import Path

import torch

from namd.forecasters.base import Forecaster
from namd.ground import process
from namd.ground.errors import UserError
from namd.models.pipeline import NAMDPipeline


class NAMD(Forecaster):
    """The trained models of one arm; schedule and language model are those the arm was trained with.

    Args:
        folder: outputs/<run_name>/arms/<arm>, whose namd/ notebook 04 wrote.
        p: device, precision, llm_path (empty: the pipeline's own), llm_dtype, ddim_steps, eval_batch.
        llm: (lm, tokenizer) already in memory; None opens the referenced one, where the arm reads reports.

    Raises:
        UserError: notebook 04 of the arm has not been run.

    Source: Sec. 3.3.2.
    """

    def __init__(self, folder, p, llm=None):
        path = Path(folder) / "namd"
        if not (path / "model_index.json").is_file():
            raise UserError(f"{Path(folder).name}/namd holds no pipeline: run `python -m namd run 04 --params <your "
                            "parameter file>` for this run and arm first.")
        other = {"llm_path": p.llm_path} if p.llm_path else {}
        pipe = NAMDPipeline.from_pretrained(path, llm, precision=p.precision, llm_dtype=p.llm_dtype, **other)
        self.draw_with(pipe, p)

    def draw_with(self, pipe, p) -> None:
        """Take an opened pipeline to the device, and its parts as this forecaster's; p as of the class."""
        self.pipe = pipe.to(process.device(p.device))
        self.ddim_steps = p.ddim_steps
        self.batch = p.eval_batch
        self.known = {}                 # C of the records that were asked for
        self.vae = self.pipe.nodule_vae
        self.unet = self.pipe.unet
        self.scheduler = self.pipe.scheduler
        self.numbers_alone = self.pipe.record_context is not None
        readers = [self.pipe.record_context] if self.numbers_alone else [self.pipe.soft_prompts, self.pipe.llm[0]]
        self.used = [self.pipe.vae, self.unet, *readers]        # the modules that draw

    def fit(self, pairs) -> None:
        """Nothing: notebooks 02-04 train an arm, and opening it has checked that they did."""

    def context(self, ehr) -> torch.Tensor:
        """C of N records (Eq. 7-8): (N, m, D); the same records are encoded once in the life of this forecaster.

        Source: ours; remembered by the whole list, so that the same call gives the same bytes whatever came before.
        """
        if self.numbers_alone:
            return self.pipe.context(ehr)       # cheap
        reports = self.pipe.reports(ehr)
        if reports not in self.known:
            self.known[reports] = self.pipe.encode_prompt(reports)
        return self.known[reports]

    def sample(self, x1, ehr, seeds) -> torch.Tensor:
        """Follow-ups by DDIM from noise keyed by (seed, pair_id): (K, N, 1, H, W) in [-1, 1], on the CPU."""
        return self.pipe(x1, ehr, seeds, self.context(ehr), self.ddim_steps, self.batch)
