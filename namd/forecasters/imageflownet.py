"""ImageFlowNet (SDE): a U-Net learns to rebuild images, then a stochastic flow moves its hidden states through time."""

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import nn

from namd.forecasters.trained import Sheet, Stage, Trained
from namd.training import seeding

FOLD = 4                # ours: 16 channels of S/4 instead of one of S, because five flows at S cost 16 times as much
SPAN = 1.0              # ours, of one year (source: 5 of the longest interval), so that a step of 0.1 is near its 0.05
SIGMA = 0.5             # first value of the noise's scale (source)
INPUT_NOISE = 0.1       # largest standard deviation of the noise on the input of stage 1 (source)
EMA_DECAY = 0.9         # source
PART = 4                # ours: stage 2 and validation take every fourth pair, because flows cost four times the U-Net


class Flow(nn.Module):
    """dh = f(h) dt + sigma dW on one hidden state; f does not know the time, sigma is one number.

    Source: ImageFlowNet, its SDE variant (Ito, diagonal noise).
    """

    def __init__(self, width):
        super().__init__()
        self.drift = nn.Sequential(*(layer for _ in range(2) for layer in (
            nn.InstanceNorm2d(width), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())))
        self.sigma = nn.Parameter(torch.tensor(SIGMA))

    def forward(self, h, dw, span=SPAN):
        """Euler-Maruyama from time 0 to `span`.

        Args:
            h: (B, C, H, W); dw: (B, n, C, H, W) standard normal, one for each of n equal steps.
        """
        dt = span / dw.shape[1]
        for eps in dw.unbind(1):
            h = h + self.drift(h) * dt + self.sigma * dt ** 0.5 * eps
        return h


def encode(net, x):
    """Every hidden state of the U-Net that the decoder reads, the bottleneck last, of x (B, 1, S, S)."""
    h, emb = net.conv_in(F.pixel_unshuffle(x, FOLD)), _embedding(net, x)
    states = [h]
    for block in net.down_blocks:
        h, skips = block(h, emb)
        states += skips
    return [*states, net.mid_block(h, emb)]


def decode(net, states):
    """Image (B, 1, S, S), about [-1, 1], of the states of `encode`."""
    *skips, h = states
    emb = _embedding(net, h)
    for block in net.up_blocks:
        n = len(block.resnets)
        h, skips = block(h, tuple(skips[-n:]), emb), skips[:-n]
    return F.pixel_shuffle(net.conv_out(net.conv_act(net.conv_norm_out(h))), FOLD)


def _embedding(net, like):
    """The embedding of time 0, (B, 4 C): the U-Net was made for diffusion and has no other use for it."""
    return net.time_embedding(net.time_proj(torch.zeros(len(like), device=like.device)))


def psnr(mse):
    """Peak signal-to-noise ratio in dB of a mean squared error on [-1, 1]."""
    return 10 * torch.log10(4 / mse)


class System(Trained):
    """A pixel U-Net with a flow on its bottleneck and on every skip; no record.

    The interval is always one year, so time runs from 0 to T = 1 for every pair, in system_flow_steps equal steps.
    Each flow has its own sigma. The squared error pulls it to 0, so draws differ less than real follow-ups do.

    Source: Liu et al. 2025 (ImageFlowNet, SDE); written from its description, its losses with default weights.
    """

    rows = {"imageflownet": ("ImageFlowNet (SDE)", {})}
    sheet = Sheet(
        source="Liu et al. 2025; the row ImageFlowNet (SDE) of Table 1",
        conditions="x1, by the hidden states that the flows start from",
        noise="sigma dW in every flow, sigma learned",
        optimises="reconstruction of x1 and x2 (U-Net), then the squared error of x2 (flows)",
        left_open="size and T of a single interval: 2 levels on a 4 x 4 fold, T = 1; fixed shares end a stage, no PSNR")

    def build(self):
        net = UNet2DModel(
            sample_size=self.p.image_size // FOLD, in_channels=FOLD ** 2, out_channels=FOLD ** 2,
            block_out_channels=self.p.system_channels, layers_per_block=1,
            down_block_types=["DownBlock2D"] * len(self.p.system_channels),
            up_block_types=["UpBlock2D"] * len(self.p.system_channels),
            norm_num_groups=8, attention_head_dim=16, resnet_time_scale_shift="scale_shift")
        with torch.no_grad():
            states = encode(net, torch.zeros(1, 1, self.p.image_size, self.p.image_size))
        return {"unet": net, "flows": nn.ModuleList(Flow(h.shape[1]) for h in states)}

    def rebuild(self, x):
        """The image from its own hidden states, (B, 1, S, S)."""
        return decode(self.nets["unet"], encode(self.nets["unet"], x))

    def forecast(self, x1, noise):
        """x2_hat (B, 1, S, S) of x1; `noise` as in `draw`."""
        states = encode(self.nets["unet"], x1)
        return decode(self.nets["unet"], [
            flow(h, noise((self.p.system_flow_steps, *h.shape[1:]), "dW", i))
            for i, (flow, h) in enumerate(zip(self.nets["flows"], states, strict=True))])

    def stages(self, train, val):
        images, val_images = self.images(train), [visit[0, ::PART] for visit in self.images(val)]
        unet, settings = self.nets["unet"], dict(ema_decay=EMA_DECAY)

        def pick(idx, g):
            k = torch.randint(len(images[0]), idx.shape, generator=g)
            return [visit[k, idx] for visit in images]

        def rebuild(idx, g, step_no):
            x1, x2 = pick(idx, g)
            x = torch.cat([x1[::2], x2[1::2]])
            level = INPUT_NOISE * torch.rand((len(x), 1, 1, 1), generator=g)
            noisy = x + (level * torch.randn(x.shape, generator=g)).to(x)
            loss = F.mse_loss(self.rebuild(noisy), x)
            return {"loss": loss, "psnr": psnr(loss.detach())}

        def rebuild_val():
            return sum(F.mse_loss(self.rebuild(x), x).item() for x in val_images) / 2

        def flow(idx, g, step_no):
            x1, x2 = pick(idx[::PART], g)
            x2_hat = self.forecast(x1, lambda shape, *keys: torch.randn(len(x1), *shape, generator=g).to(x1))
            sigma = torch.stack([flow.sigma.detach().abs() for flow in self.nets["flows"]]).mean()
            return {"loss": F.mse_loss(x2_hat, x2), "sigma": sigma}

        def flow_val():
            x1, x2 = val_images
            return F.mse_loss(self.forecast(x1, lambda shape, *keys: seeding.noise(
                (len(x1), *shape), self.p.seed, "val", *keys).to(x1)), x2).item()

        yield Stage("unet", {"unet": unet}, rebuild, rebuild_val, 0.6, settings)
        unet.requires_grad_(False)
        yield Stage("flow", {"flows": self.nets["flows"]}, flow, flow_val, 0.4, settings, seen=1 / PART)
        unet.requires_grad_(True)

    def draw(self, x1, ehr, noise):
        return self.forecast(x1, noise)
