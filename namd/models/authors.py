"""NAMD as the authors' code draws with it: what that does otherwise than the paper says, each with a switch."""

from itertools import product

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from namd.data.authors_report import authors_report
from namd.ground import seeding
from namd.ground.paths import located
from namd.ground.reading import read_json
from namd.models.pipeline import NAMDPipeline
from namd.models.prefix import states_at
from namd.models.prompts import SoftPrompts
from namd.models.record_numbers import RecordContext
from namd.models.vae import NoduleVAE

SWITCHES = ("vae_tanh", "text_order", "text_wording", "z1_sampled", "ddim_skip")


class TanhVAE(NoduleVAE):
    """A VAE of three channels whose decoder ends in a tanh, which bounds each channel before they are averaged.

    Source: authors' code; trained so, its images without the tanh have twice the contrast in the middle of the range.
    """

    def decode(self, z_raw):
        """Image x_hat (B, 1, S, S) in (-1, 1) of unscaled latents (B, 4, S/8, S/8)."""
        return self.vae.decode(z_raw).sample.tanh().mean(1, keepdim=True)


class LateGrid(DDIMScheduler):
    """A schedule whose grid is entered `skipped` steps late: 961, 941, ..., 1 for one of 50 leading steps.

    Source: authors' code, which hands pure noise to the second step of its grid.
    """

    skipped = 0

    def set_timesteps(self, num_inference_steps, device=None):
        """As diffusers', without the first `skipped` of them."""
        super().set_timesteps(num_inference_steps, device)
        self.timesteps = self.timesteps[self.skipped:]


class AuthorsPipeline(NAMDPipeline):
    """Follow-ups of a nodule as the authors' code draws them; with every switch at the paper's value, as NAMDPipeline.

    Args:
        vae, unet, scheduler, soft_prompts, llm_path, llm_dtype, ddim_steps, text_report, record_context: as there.
        vae_tanh: whether the decoder ends in a tanh.
        text_order: prompts_first, [s, <bos>, report, <eos>] read at <eos> (Eq. 7); or bos_first, [<bos>, s, report]
            read at the report's last word.
        text_wording: paper (`report_text`) or authors (`authors_report`).
        z1_sampled: whether each run draws z1 from its posterior; else it is the mean.
        ddim_skip: steps at the noisy end of the grid that are left out.

    Source: authors' code, facts only; the switches are ours, so that what each of them does can be measured.
    """

    def __init__(self, vae: AutoencoderKL, unet: UNet2DConditionModel, scheduler: DDIMScheduler,
                 soft_prompts: SoftPrompts = None, llm_path: str = "", llm_dtype: str = "float32",
                 ddim_steps: int = 50, text_report: str = "record", record_context: RecordContext = None,
                 vae_tanh: bool = False, text_order: str = "prompts_first", text_wording: str = "paper",
                 z1_sampled: bool = False, ddim_skip: int = 0):
        super().__init__(vae, unet, scheduler, soft_prompts, llm_path, llm_dtype, ddim_steps, text_report,
                         record_context)
        self.register_to_config(vae_tanh=vae_tanh, text_order=text_order, text_wording=text_wording,
                                z1_sampled=z1_sampled, ddim_skip=ddim_skip)

    @property
    def nodule_vae(self) -> NoduleVAE:
        """Encoder and decoder for one-channel images."""
        return TanhVAE(self.vae, None) if self.config.vae_tanh else super().nodule_vae

    def reports(self, ehr) -> tuple[str, ...]:
        """What the language model reads of N records."""
        if self.config.text_wording == "paper":
            return super().reports(ehr)
        return tuple(authors_report(row) for row in ehr.to_dict("records"))

    def encode_prompt(self, reports, batch_size: int = 64) -> torch.Tensor:
        """Context C of N radiology reports: (N, m, D)."""
        if self.config.text_order == "prompts_first":
            return super().encode_prompt(reports, batch_size)
        return encode_behind_bos(*self.llm, self.soft_prompts, reports, batch_size)

    def _baselines(self, x1, ehr, seeds, batch_size) -> torch.Tensor:
        """Scaled z1 of each run, the same in all of them unless `z1_sampled`: (K, N, 4, h, w)."""
        if not self.config.z1_sampled:
            return super()._baselines(x1, ehr, seeds, batch_size)
        posteriors = [self.nodule_vae.posterior(part.to(self.device)) for part in x1.split(batch_size)]
        mean = torch.cat([q.mean for q in posteriors]) * self.nodule_vae.scale
        std = torch.cat([q.std for q in posteriors]) * self.nodule_vae.scale
        draws = product(seeds, ehr.index)
        noise = torch.stack([seeding.noise(mean.shape[1:], seed, "z1", name) for seed, name in draws])
        return mean + std * noise.to(mean).unflatten(0, (len(seeds), len(mean)))

    def _grid(self) -> LateGrid:
        """The schedule, entered `ddim_skip` steps late."""
        grid = LateGrid.from_config(self.scheduler.config)
        grid.skipped = self.config.ddim_skip
        return grid


@torch.no_grad()
def encode_behind_bos(lm, tokenizer, prompts, texts, batch_size: int = 64) -> torch.Tensor:
    """Context C of N reports, each read as [<bos>, s_j, report] in the state of its last word; (N, m, D).

    Args:
        lm, tokenizer: from `load_llm`; prompts: SoftPrompts with m sets.
        texts: N reports; equal ones are read once.
        batch_size: reports a call; changes memory and rounding only.

    Source: authors' code. <bos> and the prompts are the same for all reports, so they are read once (`prefix`).
    """
    bos = lm.embed_tokens(torch.tensor([tokenizer.bos_token_id], device=lm.device))        # (1, D)
    vectors = prompts.vectors()
    front = torch.cat([bos.expand(len(vectors), 1, -1).to(vectors), vectors], dim=1)       # (m, 1 + n, D)
    unique = sorted(set(texts), key=lambda text: (len(text), text))
    found = {}
    for start in range(0, len(unique), batch_size):
        part = unique[start:start + batch_size]
        rows = [torch.tensor(tokenizer(text, add_special_tokens=False).input_ids) for text in part]
        last = torch.tensor([len(row) - 1 for row in rows], device=lm.device)
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(lm.device)
        found |= dict(zip(part, states_at(lm, ids, last, front), strict=True))
    return prompts.standardise(torch.stack([found[text] for text in texts]))


def open_pipeline(folder, **options) -> NAMDPipeline:
    """The pipeline of a folder as the class that wrote it; arguments and errors as of `from_pretrained`."""
    index = located(folder) / "model_index.json"
    by_authors = index.is_file() and read_json(index, "04").get("_class_name") == AuthorsPipeline.__name__
    return (AuthorsPipeline if by_authors else NAMDPipeline).from_pretrained(folder, **options)
