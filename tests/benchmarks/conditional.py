"""One conditional training step (Eq. 10): forward, backward, clipping, AdamW. Cached latents and one LLM call, or not.

The common way is diffusers' examples/instruct_pix2pix/train_instruct_pix2pix.py, the script that most would fork,
with the prompt-tuned language model of peft in the place of CLIP.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from stand_ins import encode_set_by_set, images, imaging, language, peft_sets, records, sizes

from namd.ground import seeding
from namd.models import diffusion
from namd.models.context import ContextBank
from namd.study.benchmark import Pair
from namd.training import loop


def pairs(device, size=""):
    """Two rows for each size: reports padded as in the script and the authors' code, or to the longest of the batch."""
    for name, p in sizes(device, size).items():
        updates = not (size == "paper" and device.type == "cpu")
        yield from _pairs(name, p, device, updates)


def _pairs(size, p, device, updates=True):
    ehr = records(4 * p.cond_batch)
    text = language(p, ehr, device)
    image = imaging(p, text.lm.config.hidden_size, device)
    x1, x2 = (images(len(ehr), p, visit).to(device) for visit in (1, 2))
    data = p, text, image, x1, x2
    fixed = dict(padding="max_length", max_length=128 - p.text_n_tokens, truncation=True)
    yield Pair(f"conditional {size}", CommonStep(*data, fixed, updates), OurStep(*data, updates))
    yield Pair(f"conditional {size} tight", CommonStep(*data, dict(padding=True), updates), OurStep(*data, updates))


class Step:
    """What both ways share: the weights, the optimiser of `loop.fit`, the items of a step.

    A call returns the loss and the norm of the gradient. Without `updates` both ways work on the same U-Net and leave
    out AdamW, which costs both the same and takes 7 GB at the paper's size.
    """

    def __init__(self, p, text, image, trained, updates):
        self.p, self.text, self.image = p, text, image
        self.unet = (deepcopy(image.unet) if updates else image.unet).train()
        self.trained = [*self.unet.parameters(), *trained]
        self.optimizer = torch.optim.AdamW(self.trained, lr=2e-5, fused=True) if updates else None

    def __call__(self, i):
        idx = loop.batch_indices(i, len(self.text.texts), self.p.cond_batch, "benchmark")
        loss = self.loss(idx, seeding.generator("benchmark", i), i)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained, self.p.grad_clip)
        if self.optimizer:
            self.optimizer.step()
        for weight in self.trained:
            weight.grad = None
        return torch.stack([loss.detach(), norm])

    def draw(self, shape, g, device):
        """Noise and timesteps."""
        eps, t = torch.randn(shape, generator=g), torch.randint(self.p.n_timesteps, shape[:1], generator=g)
        return eps.to(device), t.to(device)


class OurStep(Step):
    """Notebook 04: posterior samples from stored moments, one call of the language model with a shared prefix."""

    def __init__(self, p, text, image, x1, x2, updates=True):
        self.prompts = deepcopy(text.prompts)
        super().__init__(p, text, image, list(self.prompts.parameters()), updates)
        self.bank = ContextBank(text.lm, text.tokenizer, self.prompts, text.texts, prompt_steps=-1)
        with torch.no_grad():
            found = [image.vae.posterior(x) for x in (x1, x2)]
        self.moments = [(q.mean * image.vae.scale, q.std * image.vae.scale) for q in found]

    def loss(self, idx, g, i):
        z1, z2 = (mean[idx] + std[idx] * torch.randn(mean[idx].shape, generator=g).to(mean)
                  for mean, std in self.moments)
        eps, t = self.draw(z2.shape, g, z2.device)
        z2_t = diffusion.q_sample(z2, eps, t, diffusion.alpha_bar(self.image.scheduler))
        prediction = self.unet(torch.cat([z2_t, z1], 1), t, encoder_hidden_states=self.bank.context(idx, i)).sample
        return F.mse_loss(prediction, diffusion.target(z2, eps, t, self.image.scheduler))


class CommonStep(Step):
    """The script's step: the VAE encodes both images, each set of prompts is one call of the language model.

    `padding` are the tokenizer's options. The script pads every caption to the text encoder's longest input (77 in
    CLIP), the authors' code to 128 with the prompts.
    """

    def __init__(self, p, text, image, x1, x2, padding, updates=True):
        self.llm = peft_sets(text.lm, text.prompts)
        super().__init__(p, text, image, list(self.llm.prompt_encoder.parameters()), updates)
        self.x1, self.x2, self.padding = x1, x2, padding

    def loss(self, idx, g, i):
        with torch.no_grad():  # the script takes the baseline's mode, unscaled; Eq. 10 needs both alike
            z1, z2 = (self.image.vae.posterior(x[idx]).sample(g) * self.image.vae.scale for x in (self.x1, self.x2))
        eps, t = self.draw(z2.shape, g, z2.device)
        scheduler = self.image.scheduler
        z2_t = scheduler.add_noise(z2, eps, t)
        wanted = eps if scheduler.config.prediction_type == "epsilon" else scheduler.get_velocity(z2, eps, t)
        texts = [self.text.texts[j] for j in idx.tolist()]
        ctx = encode_set_by_set(self.llm, self.text.tokenizer, texts, **self.padding)
        prediction = self.unet(torch.cat([z2_t, z1], 1), t, encoder_hidden_states=ctx).sample
        return F.mse_loss(prediction, wanted)
