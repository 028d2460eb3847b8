"""SD1.5: image-conditioned latent diffusion without alignment, prediction loss or record."""

import torch

from namd.forecasters.latent import LatentSystem
from namd.forecasters.trained import Description, TrainingStage
from namd.models import clip, diffusion, unet


class System(LatentSystem):
    """A U-Net whose second four input channels are the baseline's latent; every prompt is empty.

    Source: Table 1 of the paper (SD1.5); diffusers' InstructPix2Pix training is the public recipe.
    """

    rows = {"sd15": ("SD1.5", {})}
    description = Description(
        source="Rombach et al. 2022; the row SD1.5 of Table 1",
        conditions="z1, by eight input channels",
        noise="z_T, the start of DDIM",
        optimises="the denoising loss of Eq. 10 without C",
        left_open="how it was fine-tuned: we take NAMD's stage 3, the VAE without both losses, the empty prompt")

    def build(self):
        net = unet.load_unet(self.p.unet_path or self.arm / "unet_start", self.p.precision)
        unet.widen_input(net)
        self.scheduler = diffusion.schedule(self.p)
        return {"unet": net} | self.build_text(net)

    def build_text(self, net):
        """What learns beside the U-Net `net` so that `context` has something to say: nothing.

        Source: zeros are ours, because a small U-Net was never trained with prompts and has no CLIP beside it.
        """
        path = self.p.unet_path
        empty = clip.empty_prompt(path) if clip.beside(path) else torch.zeros(1, 1, unet.CONTEXT_WIDTH)
        self.empty = empty.to(self.device)
        return {}

    def tokens(self, ehr):
        """What `context` is told of B records, on self.device: nothing, (B, 0)."""
        return torch.empty(len(ehr), 0, device=self.device)

    def context(self, tokens):
        """What the cross-attention reads of B rows of `tokens`: the empty prompt, (B, L, D)."""
        return self.empty.expand(len(tokens), -1, -1)

    def predict(self, z1, z2_t, t, ctx):
        """The U-Net's prediction, (B, 4, h, w)."""
        return self.nets["unet"](torch.cat([z2_t, z1], 1), t, encoder_hidden_states=ctx).sample

    def loss(self, z1, z2, eps, t, ctx):
        """Mean squared error of the prediction: ()."""
        z2_t = diffusion.q_sample(z2, eps, t, diffusion.alpha_bar(self.scheduler))
        wanted = diffusion.target(z2, eps, t, self.scheduler)
        return (wanted - self.predict(z1, z2_t, t, ctx)).square().mean()

    def stages(self, train, val):
        latents = self.latents("train")
        held_out = self.held_out()
        tokens = self.tokens(train.ehr)
        tokens_val = self.tokens(val.ehr)

        def step(idx, g, step_no):
            return {"loss": self.loss(*self.noised(latents, idx, g), self.context(tokens[idx]))}

        def validate():
            return self.loss(*held_out, self.context(tokens_val)).item()

        yield TrainingStage("unet", dict(self.nets), step, validate)

    def draw(self, x1, ehr, noise):
        z1 = self.vae.encode(x1)
        ctx = self.context(self.tokens(ehr))

        def predict(z2_t, t):
            return self.predict(z1, z2_t, t, ctx)

        z2 = diffusion.ddim_sample(predict, noise(z1.shape[1:]), self.scheduler, self.p.ddim_steps)
        return self.vae.decode_scaled(z2)
