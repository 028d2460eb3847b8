"""ImageFlowNet (SDE): a U-Net learns to rebuild images, and a stochastic flow moves its hidden states through time."""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import nn

from namd.forecasters.flow import groups
from namd.forecasters.trained import ComparedSystem, Description, TrainingStage
from namd.ground import seeding

FOLD = 2                # ours: four channels of S/2 instead of one of S, because flows at S cost four times as much
LEVELS = 4              # ours, of S/2, S/4, S/8 and S/16 (source: six, the deepest with 8 pixels)
PLAIN = 1               # ours: the levels without attention, before 16 of 64 pixels (source: attention at 32, 16, 8)
HEAD = 16               # channels of an attention head (source)
SPAN = 1.0              # ours, of one year (source: 5 of the longest interval), so that a step of 0.1 is near its 0.05
SIGMA = 0.5             # first value of the noise's scale (source)
INPUT_NOISE = 0.1       # largest standard deviation of the noise on the input in training (source)
EMA_DECAY = 0.9         # source
ALONE = 0.6             # ours: the U-Net's share before the flows join (source: until 25 dB), by params/README.md
VALIDATES = 4           # ours: every fourth pair does, because flows cost several U-Nets


class Flow(nn.Module):
    """dh = f(h) dt + sigma dW on one hidden state; f does not know the time, sigma is one number.

    Source: ImageFlowNet, its SDE variant (Ito, diagonal noise).
    """

    def __init__(self, width):
        super().__init__()
        self.drift = nn.Sequential(
            nn.InstanceNorm2d(width), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.InstanceNorm2d(width), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.sigma = nn.Parameter(torch.tensor(SIGMA))

    def velocity(self, h, known):
        """f(h), (B, C, H, W); what else is `known` of the patient does not matter."""
        return self.drift(h)

    def forward(self, h, dw, known=None, span=SPAN):
        """Euler-Maruyama from time 0 to `span`.

        Args:
            h: (B, C, H, W); dw: (B, n, C, H, W) standard normal, one for each of n equal steps; known: of `velocity`.
        """
        dt = span / dw.shape[1]
        for eps in dw.unbind(1):
            h = h + self.velocity(h, known) * dt + self.sigma * dt ** 0.5 * eps
        return h


def widths(channels) -> list[int]:
    """Channels of the levels: from half of the first of `channels`, doubling up to the last (source: 64 to 256)."""
    return [min(channels[0] * 2**level // 2, channels[-1]) for level in range(LEVELS)]


def encode(net, x):
    """Every hidden state of the U-Net that the decoder reads, the bottleneck last, of x (B, 1, S, S)."""
    h = net.conv_in(F.pixel_unshuffle(x, FOLD))
    emb = _embedding(net, x)
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
        h = block(h, tuple(skips[-n:]), emb)
        skips = skips[:-n]
    return F.pixel_shuffle(net.conv_out(net.conv_act(net.conv_norm_out(h))), FOLD)


def _embedding(net, like):
    """The embedding of time 0, (B, 4 C): the U-Net was made for diffusion and has no other use for it."""
    return net.time_embedding(net.time_proj(torch.zeros(len(like), device=like.device)))


def psnr(mse):
    """Peak signal-to-noise ratio in dB of a mean squared error on [-1, 1]."""
    return 10 * torch.log10(4 / mse)


def noisy(x, g):
    """x (B, 1, S, S) with noise of a strength of its own for each image."""
    level = INPUT_NOISE * torch.rand((len(x), 1, 1, 1), generator=g)
    return x + (level * torch.randn(x.shape, generator=g)).to(x)


@contextmanager
def frozen(net):
    """Gradients pass through `net` and do not reach its weights."""
    net.requires_grad_(False)
    try:
        yield
    finally:
        net.requires_grad_(True)


class System(ComparedSystem):
    """A pixel U-Net with a flow on its bottleneck and on every skip; no record.

    The interval is always one year, so time runs from 0 to T = 1 for every pair, in system_flow_steps equal steps.
    Each flow has its own sigma. The squared error pulls it to 0, so draws differ less than real follow-ups do.

    Source: Liu et al. 2025 (ImageFlowNet, SDE); written from its description, its losses with default weights.
    """

    rows = {"imageflownet": ("ImageFlowNet (SDE)", {})}
    description = Description(
        source="Liu et al. 2025; the row ImageFlowNet (SDE) of Table 1",
        conditions="x1, by the hidden states that the flows start from",
        noise="sigma dW in every flow, sigma learned",
        optimises="reconstruction of x1 and x2 (U-Net); beside it, later, the squared error of x2 (flows alone)",
        left_open="size and T of a single interval: 4 levels on a 2 x 2 fold, T = 1; the flows join after a fixed "
                  "share, not at 25 dB, and both learn from one pair in imageflownet_part")

    def build(self):
        levels = widths(self.p.system_channels)
        blocks = ["DownBlock2D"] * PLAIN + ["AttnDownBlock2D"] * (LEVELS - PLAIN)
        net = UNet2DModel(
            sample_size=self.p.image_size // FOLD, in_channels=FOLD ** 2, out_channels=FOLD ** 2,
            block_out_channels=levels, layers_per_block=1, down_block_types=blocks,
            up_block_types=[name.replace("Down", "Up") for name in blocks[::-1]], norm_num_groups=groups(levels),
            attention_head_dim=min(HEAD, levels[0]), resnet_time_scale_shift="scale_shift")
        with torch.no_grad():
            states = encode(net, torch.zeros(1, 1, self.p.image_size, self.p.image_size))
        return {"unet": net, "flows": nn.ModuleList(self.flow(h.shape[1]) for h in states)}

    def flow(self, width):
        """An untrained flow of a hidden state with `width` channels."""
        return Flow(width)

    def known(self, ehr):
        """What the flows are told of each patient, (N, d): nothing, d = 0."""
        return torch.zeros(len(ehr), 0, device=self.device)

    def rebuild(self, x):
        """The image from its own hidden states, (B, 1, S, S)."""
        return decode(self.nets["unet"], encode(self.nets["unet"], x))

    def forecast(self, x1, known, noise):
        """x2_hat (B, 1, S, S) of x1; `known` (B, d) as in `known`, `noise` as in `draw`."""
        states = encode(self.nets["unet"], x1)
        moved = []
        for i, (flow, h) in enumerate(zip(self.nets["flows"], states, strict=True)):
            dw = noise((self.p.system_flow_steps, *h.shape[1:]), "dW", i)
            moved.append(flow(h, dw, known))
        return decode(self.nets["unet"], moved)

    def stages(self, train, val):
        images = self.images(train)
        held_out = [visit[0, ::VALIDATES] for visit in self.images(val)]
        known = self.known(train.ehr)
        known_val = self.known(val.ehr)[::VALIDATES]
        rebuild = self._rebuilder(images)
        yield self._unet_stage(rebuild, held_out)
        yield self._flow_stage(rebuild, images, known, held_out, known_val)

    def _rebuilder(self, images):
        """The step in which the U-Net learns to rebuild either visit of a pair, from `images` (A, N, 1, S, S) each."""
        def rebuild(idx, g, step_no):
            k = torch.randint(len(images[0]), idx.shape, generator=g)
            x = torch.cat([visit[k, idx][i::2] for i, visit in enumerate(images)])
            loss = F.mse_loss(self.rebuild(noisy(x, g)), x)
            return {"loss": loss, "psnr": psnr(loss.detach())}
        return rebuild

    def _unet_stage(self, rebuild, held_out):
        """The U-Net learns alone."""
        def validate():
            return sum(F.mse_loss(self.rebuild(x), x).item() for x in held_out) / 2

        nets = {"unet": self.nets["unet"]}
        return TrainingStage("unet", nets, rebuild, validate, ALONE, dict(ema_decay=EMA_DECAY))

    def _flow_stage(self, rebuild, images, known, held_out, known_val):
        """The flows join it, and learn from one pair in imageflownet_part of a batch."""
        part = self.p.imageflownet_part
        x1_val, x2_val = held_out

        def step(idx, g, step_no):
            few = idx[::part]
            rebuilt = rebuild(few, g, step_no)
            k = torch.randint(len(images[0]), few.shape, generator=g)
            x1, x2 = (visit[k, few] for visit in images)

            def noise(shape, *keys):
                return torch.randn(len(x1), *shape, generator=g).to(x1)

            with frozen(self.nets["unet"]):
                x2_hat = self.forecast(noisy(x1, g), known[few], noise)
            missed = F.mse_loss(x2_hat, x2)
            return rebuilt | {"loss": rebuilt["loss"] + missed, "flow": missed, "sigma": self._mean_sigma()}

        def validate():
            def noise(shape, *keys):
                return seeding.noise((len(x1_val), *shape), self.p.seed, "val", *keys).to(x1_val)
            return F.mse_loss(self.forecast(x1_val, known_val, noise), x2_val).item()

        settings = dict(ema_decay=EMA_DECAY)
        return TrainingStage("flow", dict(self.nets), step, validate, 1 - ALONE, settings, seen=1 / part)

    def _mean_sigma(self):
        """Mean scale of the noise over the flows: ()."""
        return torch.stack([flow.sigma.detach().abs() for flow in self.nets["flows"]]).mean()

    def draw(self, x1, ehr, noise):
        return self.forecast(x1, self.known(ehr), noise)
