"""SD1.5: image-conditioned latent diffusion without alignment, prediction loss or record."""

import torch
from transformers import CLIPTextModel

from namd.forecasters.trained import Latent, Sheet, Stage
from namd.models import diffusion, hub, unet

BEGIN, END, LENGTH = 49406, 49407, 77       # CLIP's tokens of the empty prompt: one begin, the rest end


def empty_prompt(path) -> torch.Tensor:
    """CLIP's states of the empty prompt, (1, 77, 768), from the folder text_encoder/ beside a published U-Net.

    Args:
        path: directory or hub id; empty (a small U-Net, which was never trained with prompts): zeros, (1, 1, 768).

    Source: Stable Diffusion v1.5; zeros are ours, because a small run downloads nothing.
    """
    if not path:
        return torch.zeros(1, 1, unet.CONTEXT_WIDTH)
    encoder = hub.load(CLIPTextModel, path, "text_encoder", "unet_path")
    with torch.no_grad():
        return encoder(torch.tensor([[BEGIN] + [END] * (LENGTH - 1)])).last_hidden_state


class System(Latent):
    """A U-Net whose second four input channels are the baseline's latent; every prompt is empty.

    Source: Table 1 of the paper (SD1.5); diffusers' InstructPix2Pix training is the public recipe.
    """

    rows = {"sd15": ("SD1.5", {})}
    sheet = Sheet(
        source="Rombach et al. 2022; the row SD1.5 of Table 1",
        conditions="z1, by eight input channels",
        noise="z_T, the start of DDIM",
        optimises="the denoising loss of Eq. 10 without C",
        left_open="how it was fine-tuned: we take NAMD's stage 3, the VAE without both losses, the empty prompt")

    def build(self):
        net = unet.load_unet(self.p.unet_path or self.arm / "unet_start")
        unet.widen_input(net)
        self.scheduler = diffusion.schedule(self.p)
        self.ctx = empty_prompt(self.p.unet_path).to(self.device)
        return {"unet": net}

    def predict(self, z1, z2_t, t):
        """The U-Net's prediction, (B, 4, h, w)."""
        ctx = self.ctx.expand(len(z1), -1, -1)
        return self.nets["unet"](torch.cat([z2_t, z1], 1), t, encoder_hidden_states=ctx).sample

    def loss(self, z1, z2, eps, t):
        """Mean squared error of the prediction: ()."""
        z2_t = diffusion.q_sample(z2, eps, t, diffusion.alpha_bar(self.scheduler))
        return (diffusion.target(z2, eps, t, self.scheduler) - self.predict(z1, z2_t, t)).square().mean()

    def stages(self, train, val):
        latents, held_out = self.latents("train"), self.held_out()

        def step(idx, g, step_no):
            return {"loss": self.loss(*self.noised(latents, idx, g))}

        yield Stage("unet", dict(self.nets), step, lambda: self.loss(*held_out).item())

    def draw(self, x1, ehr, noise):
        z1 = self.vae.encode(x1)
        z2 = diffusion.ddim_sample(lambda z2_t, t: self.predict(z1, z2_t, t), noise(z1.shape[1:]), self.scheduler,
                                   self.p.ddim_steps)
        return self.vae.decode_scaled(z2)
