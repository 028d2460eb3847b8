"""K follow-ups of N subjects: all in shared batches with C made once a report, or a pipeline called in a loop.

The common way is the loop of diffusers' StableDiffusionInstructPix2PixPipeline (encode the prompt, encode the image,
DDIM by `scheduler.step`, decode), without guidance, because the paper has none.
"""

import torch
from stand_ins import encode_set_by_set, images, imaging, language, peft_sets, records, sizes

from namd.ground import seeding
from namd.models.pipeline import NAMDPipeline
from namd.study.benchmark import Pair

N_SUBJECTS, K_RUNS = 8, 4


def pairs(device, size=""):
    """Two rows: one image a call, or the K runs of a subject in one call (num_images_per_prompt=K)."""
    name, p = next(iter(sizes(device, size).items()))
    ehr = records(N_SUBJECTS)
    text = language(p, ehr, device)
    image = imaging(p, text.lm.config.hidden_size, device)
    x1 = images(len(ehr), p, "baseline")
    ours = Together(p, text, image, x1, ehr)
    for at_once in (1, K_RUNS):
        yield Pair(f"sampling {name} {at_once} a call", Loop(p, text, image, x1, ehr, at_once), ours)


def seeds(i: int) -> list[int]:
    """The K seeds of call `i`."""
    return [K_RUNS * i + k for k in range(K_RUNS)]


class Together:
    """`NAMDPipeline`: subjects and runs share batches, a report is encoded once."""

    def __init__(self, p, text, image, x1, ehr):
        self.pipe = NAMDPipeline(image.vae.vae, image.unet, image.scheduler, text.prompts, ddim_steps=p.ddim_steps)
        self.pipe.opened_llm = text.lm, text.tokenizer
        self.x1, self.ehr, self.batch = x1, ehr, p.eval_batch

    def __call__(self, i):
        return self.pipe(self.x1, self.ehr, seeds(i), batch_size=self.batch)


class Loop:
    """A pipeline call for each subject and each group of `at_once` runs."""

    def __init__(self, p, text, image, x1, ehr, at_once):
        self.p, self.text, self.image, self.x1, self.ehr, self.at_once = p, text, image, x1, ehr, at_once
        self.llm = peft_sets(text.lm, text.prompts)

    def __call__(self, i):
        """(K, N, 1, S, S), as `NAMDPipeline`."""
        groups = [seeds(i)[first : first + self.at_once] for first in range(0, K_RUNS, self.at_once)]
        return torch.stack([torch.cat([self.follow_ups(j, group) for group in groups])
                            for j in range(len(self.x1))], dim=1)

    @torch.no_grad()
    def follow_ups(self, j, group):
        """One pipeline call: (len(group), 1, S, S)."""
        vae, unet, scheduler = self.image.vae, self.image.unet, self.image.scheduler
        ctx = encode_set_by_set(self.llm, self.text.tokenizer, [self.text.texts[j]]).expand(len(group), -1, -1)
        z1 = vae.posterior(self.x1[j : j + 1].to(unet.device)).mode().expand(len(group), -1, -1, -1) * vae.scale
        latents = torch.stack([seeding.noise(z1.shape[1:], seed, "sample", self.ehr.index[j]) for seed in group])
        scheduler.set_timesteps(self.p.ddim_steps, device=unet.device)
        latents = latents.to(unet.device) * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            prediction = unet(torch.cat([latents, z1], dim=1), t, encoder_hidden_states=ctx).sample
            latents = scheduler.step(prediction, t, latents).prev_sample
        return vae.decode(latents / vae.scale).clamp(-1, 1).cpu()
