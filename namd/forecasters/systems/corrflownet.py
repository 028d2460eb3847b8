"""CorrFlowNet-style: a correlational autoencoder of both visits, and a rectified flow from latent to latent."""

import torch
import torch.nn.functional as F
from torch import nn

from namd.data.images import MM_PER_PX
from namd.forecasters import flow
from namd.forecasters.trained import ComparedSystem, Description, TrainingStage

CHANNELS = 16           # peers: the authors' lineage hints at a latent of 16 x 8 x 8
LAMBDA_CORR = 0.1       # ours, of the 0.1 to 1 that CorrNet's users take
LAMBDA_CROSS = 0.1      # ours; below 1, an L1 to both visits is still least at the visit itself
LAMBDA_PRED = 0.2       # peers: of the auxiliary malignancy classifier
SIGMA = 0.1             # ours; in standard deviations of a latent channel, over the whole flow
RADIUS_MM = 9.6         # ours: of the disc that may hold the nodule
DECODED = 2             # ours: one pair in so many is decoded: unbiased, at a fraction of the cost
CROSSED = 8             # ours: one pair in so many is cross-decoded
CODES = 0.7             # ours: the autoencoder's share of the training


def correlation_loss(h1, h2):
    """1 - Pearson's r of each latent number over the batch, averaged: () in [0, 2]; 0 for h2 = a h1 + b, a > 0.

    Source: CorrNet (Chandar et al. 2016), whose sum over the units we divide by their number.
    """
    r = (_unit(h1) * _unit(h2)).sum(0)
    return (1 - r).mean()


def _unit(h):
    """Each latent number less its mean over the batch, of length 1: (B, C h w)."""
    h = h.flatten(1)
    return F.normalize(h - h.mean(0), dim=0)


def align_background(x1, x2):
    """x2 (..., S, S) with mean and spread of x1 outside the central disc of RADIUS_MM, in [-1, 1].

    Source: ours; the abstract says that the flow is background-aligned, and nothing more.
    """
    axis = torch.arange(x1.shape[-1], device=x1.device) - (x1.shape[-1] - 1) / 2
    outside = axis.square() + axis.square().unsqueeze(1) > (RADIUS_MM / MM_PER_PX) ** 2
    std1, mean1 = torch.std_mean(x1[..., outside], -1)
    std2, mean2 = torch.std_mean(x2[..., outside], -1)
    gain = std1.clamp(min=0.01) / std2.clamp(min=0.01)
    aligned = (x2 - mean2[..., None, None]) * gain[..., None, None] + mean1[..., None, None]
    return aligned.clamp(-1, 1)


class System(ComparedSystem):
    """One encoder and decoder for both visits, a malignancy head; then v(z_t, t) carries z1 to z2.

    v does not see z1 beside z_t: it could read the answer off (z_t - z1) / t at every t > 0, and at t = 0, where a
    forecast starts, only a mean is left to learn.

    Source: Wu et al. 2025 (arXiv 2511.18185), whose code is not public: CorrFlowNet-style.
    """

    rows = {"corrflownet_ode": ("CorrFlowNet (ODE)", {"sigma": 0.0, "stochastic": False}),
            "corrflownet_sde": ("CorrFlowNet (SDE)", {"sigma": SIGMA, "stochastic": True})}
    description = Description(
        source="Wu et al. 2025, the two rows CorrFlowNet of Table 1; no public code",
        conditions="z1, the start of the flow",
        noise="none (ODE); sigma dW along the flow (SDE)",
        optimises="L1 of self and cross reconstruction, correlation, malignancy; then z2 - z1 along the line",
        left_open=f"all weights, the alignment (mean and spread outside a {2 * RADIUS_MM:g} mm disc), sigma {SIGMA}, v "
                  "sees z_t and t only")
    sigma = SIGMA

    def build(self):
        side = self.p.image_size // 8
        return {"encoder": flow.encoder(self.p, CHANNELS), "decoder": flow.decoder(self.p, CHANNELS),
                "head": nn.Linear(CHANNELS * side**2, 1), "standard": flow.Standard(CHANNELS),
                "flow": flow.velocity_net(self.p, CHANNELS)}

    @property
    def used(self):
        return [self.nets[name] for name in ("encoder", "decoder", "standard", "flow")]

    def autoencoder_losses(self, x1, x2, label):
        """{"loss", "self", "cross" (sums over both visits), "corr", "pred"} of images (B, 1, S, S), labels (B,)."""
        h1, h2 = self.nets["encoder"](torch.cat([x1, x2])).chunk(2)
        n = max(1, len(x1) // DECODED)
        m = max(1, len(x1) // CROSSED)
        seen = self.nets["decoder"](torch.cat([h1[:n], h2[:n], h2[:m], h1[:m]]))
        errors = (seen - torch.cat([x1[:n], x2[:n], x1[:m], x2[:m]])).abs().mean((1, 2, 3))
        logit = self.nets["head"](torch.cat([h1, h2]).flatten(1)).squeeze(1)
        terms = {"self": 2 * errors[:2 * n].mean(), "cross": 2 * errors[2 * n:].mean(),
                 "corr": correlation_loss(h1, h2),
                 "pred": F.binary_cross_entropy_with_logits(logit, label.repeat(2))}
        weights = {"self": 1, "cross": LAMBDA_CROSS, "corr": LAMBDA_CORR, "pred": LAMBDA_PRED}
        return terms | {"loss": sum(weights[name] * term for name, term in terms.items())}

    def velocity(self, z_t, t):
        """dz/dt (B, C, h, w) at times t (B,) in [0, 1]."""
        return self.nets["flow"](z_t, t * flow.CLOCK).sample

    def flow_loss(self, z1, z2, t):
        """Mean squared error of the velocity on the line from z1 to z2: ()."""
        return (z2 - z1 - self.velocity(flow.line(z1, z2, t), t)).square().mean()

    def stages(self, train, val):
        x1, x2 = self.images(train)
        x2 = align_background(x1, x2)
        x1_val, x2_val = (x[:1] for x in self.images(val))
        x2_val = align_background(x1_val, x2_val)
        yield self._codes_stage((x1, x2, self._labels(train)), (x1_val[0], x2_val[0], self._labels(val)))

        hs = [flow.encode_all(self.nets["encoder"], x) for x in (x1, x2, x1_val, x2_val)]
        self.nets["standard"].measure(*hs[:2])
        z1, z2, z1_val, z2_val = map(self.nets["standard"], hs)
        yield self._flow_stage((z1, z2), (z1_val[0], z2_val[0]))

    def _labels(self, pairs):
        """(N,) float32 in {0, 1}, on self.device."""
        return torch.from_numpy(pairs.label).float().to(self.device)

    def _codes_stage(self, seen, held_out):
        """Encoder, decoder and head learn; `seen`: x1, x2 (A, N, 1, S, S) and labels (N,), `held_out`: unturned."""
        x1, x2, label = seen

        def step(idx, g, step_no):
            k = torch.randint(len(x1), idx.shape, generator=g)
            return self.autoencoder_losses(x1[k, idx], x2[k, idx], label[idx])

        def validate():
            return self.autoencoder_losses(*held_out)["loss"].item()

        nets = {name: self.nets[name] for name in ("encoder", "decoder", "head")}
        every = max(1, round(CODES * self.p.system_tune_steps))
        return TrainingStage("codes", nets, step, validate, share=CODES, settings={"val_every": every})

    def _flow_stage(self, seen, held_out):
        """The velocity learns; `seen`: z1, z2 (A, N, C, h, w), `held_out`: unturned."""
        z1, z2 = seen
        t_val = torch.linspace(0, 1, len(held_out[0]), device=self.device)

        def step(idx, g, step_no):
            k = torch.randint(len(z1), idx.shape, generator=g)
            t = torch.rand(idx.shape, generator=g).to(self.device)
            return {"loss": self.flow_loss(z1[k, idx], z2[k, idx], t)}

        def validate():
            return self.flow_loss(*held_out, t_val).item()

        return TrainingStage("flow", {"flow": self.nets["flow"]}, step, validate, share=1 - CODES)

    def draw(self, x1, ehr, noise):
        z1 = self.nets["standard"](self.nets["encoder"](x1))
        z2 = flow.integrate(self.velocity, z1, self.p.system_flow_steps, sigma=self.sigma,
                            noise=lambda i: noise(z1.shape[1:], "dW", i))
        return self.nets["decoder"](self.nets["standard"].inverse(z2))
