"""Delta-LFM-style: an autoencoder whose latents grow in order of time (ArcRank), and a velocity in real time."""

import torch
import torch.nn.functional as F

from namd.forecasters import flow
from namd.forecasters.trained import ComparedSystem, Description, TrainingStage
from namd.models.record_numbers import RecordEmbedding

CHANNELS = 4            # the matrix of the SVD is 4 x 64
LAMBDA_ARC = 0.005      # peers
LAMBDA_RANK = 0.01      # peers
MARGIN = 0.1            # ours; in singular values over the root of the row's length, of latents of unit size
GAP = 1e-3              # ours: squared singular values closer than this share of the largest count as equal
YEAR = 365.25           # days
DECODED = 2             # ours: one pair in so many is decoded: unbiased, at a fraction of the cost
CODES = 0.7             # ours: the autoencoder's share of the training


def safe_svd(m):
    """U (..., r, r) and S (..., r) of m (..., r, c), r <= c, with gradients that stay finite where S repeats.

    Values are torch's. U's gradient is the first-order perturbation of the SVD with 1/d of d = s_j^2 - s_i^2 replaced
    by d / (d^2 + gap^2); that of S is u m v, which has no denominator.

    Source: Liao et al. 2019 (Lorentzian broadening); torch's own gradient of U divides by d.
    """
    with torch.no_grad():
        u, s, vh = torch.linalg.svd(m, full_matrices=False)
        square = s.square()
        d = square.unsqueeze(-2) - square.unsqueeze(-1)
        inverse = d / (d.square() + (GAP * square[..., :1, None] + 1e-12).square())
    moved = u.mT @ (m - m.detach()) @ vh.mT                         # zero, with the gradient of m
    turn = inverse * (moved * s.unsqueeze(-2) + s.unsqueeze(-1) * moved.mT)
    u_moved = u + u @ turn
    s_moved = s + moved.diagonal(dim1=-2, dim2=-1)
    return u_moved, s_moved


def arc_rank(z1, z2):
    """Arc and rank terms, () each, of the latents (B, C, h, w) of two visits in their order of time.

    Arc: mean |U2 - U1|, each singular vector of z2 turned to the half-space of its partner. Rank: what S2 - S1 lacks
    to the margin, and a pull of the same size as the disorder where S2 < S1; 0 where all S2 >= S1 + margin. The
    earlier visit is a constant.

    Source: Chen et al. 2026 at second hand; margin, signs, mean, pull and what is constant are ours.
    """
    with torch.no_grad():
        u1, s1 = safe_svd(z1.flatten(2))
    u2, s2 = safe_svd(z2.flatten(2))
    sign = (u1 * u2).detach().sum(-2, keepdim=True).sign()
    growth = (s2 - s1) / z1[0, 0].numel() ** 0.5
    arc = (u2 * sign - u1).abs().mean()
    rank = (F.relu(MARGIN - growth) + F.relu(-growth)).mean()
    return arc, rank


class System(ComparedSystem):
    """v(z_t, t, e) carries z1 along each patient's own line, one year of it.

    Source: Chen et al. 2026 (arXiv 2512.09185), known to us at second hand, without public code: Delta-LFM-style. As in
    CorrFlowNet, v does not see z1 beside z_t, from which it could read the answer at every t > 0.
    """

    rows = {"delta_lfm": ("", {})}
    description = Description(
        source="Chen et al. 2026 (Delta-LFM); beyond Table 1; no public code",
        conditions="z1, the start of the flow; the record and the time, by scale and shift",
        noise="none",
        optimises="L1 and ArcRank of both visits; then (z2 - z1) / (t2 - t1) along the line",
        left_open="margin 0.1, signs of U, the pull (disorder only), Euler step; ArcRank has every nodule grow")
    stochastic = False

    def build(self):
        width = 4 * self.p.system_channels[0]       # of the U-Net's own embedding of time
        return {"encoder": flow.encoder(self.p, CHANNELS), "decoder": flow.decoder(self.p, CHANNELS),
                "standard": flow.Standard(CHANNELS), "record": RecordEmbedding(width),
                "flow": flow.velocity_net(self.p, CHANNELS, class_embed_type="identity",
                                          resnet_time_scale_shift="scale_shift")}

    def autoencoder_losses(self, x1, x2):
        """{"loss", "rec", "arc", "rank"} of images (B, 1, S, S)."""
        h = self.nets["encoder"](torch.cat([x1, x2]))
        h1, h2 = h.chunk(2)
        of_unit_size = h / h.square().mean().sqrt()         # or a larger h2 means a larger h, forever
        arc, rank = arc_rank(*of_unit_size.chunk(2))
        n = max(1, len(x1) // DECODED)
        seen = self.nets["decoder"](torch.cat([h1[:n], h2[:n]]))
        rec = F.l1_loss(seen, torch.cat([x1[:n], x2[:n]]))
        return {"rec": rec, "arc": arc, "rank": rank, "loss": rec + LAMBDA_ARC * arc + LAMBDA_RANK * rank}

    def velocity(self, z_t, t, record):
        """dz/dt (B, C, h, w), per year, at t (B,) years after the baseline."""
        return self.nets["flow"](z_t, t * flow.CLOCK, class_labels=self.nets["record"](record)).sample

    def flow_loss(self, z1, z2, years, record, s):
        """Mean squared error of the velocity at the share s (B,) of the interval `years` (B,): ()."""
        v = (z2 - z1) / years.view(-1, 1, 1, 1)
        return (v - self.velocity(flow.line(z1, z2, s), s * years, record)).square().mean()

    def stages(self, train, val):
        x1, x2 = self.images(train)
        x1_val, x2_val = (x[:1] for x in self.images(val))
        yield self._codes_stage((x1, x2), (x1_val[0], x2_val[0]))

        hs = [flow.encode_all(self.nets["encoder"], x) for x in (x1, x2, x1_val, x2_val)]
        self.nets["standard"].measure(*hs[:2])
        self.nets["record"].measure(train.ehr)
        z1, z2, z1_val, z2_val = map(self.nets["standard"], hs)
        seen = (z1, z2, self._years(train), self.nets["record"].numbers(train.ehr))
        held_out = (z1_val[0], z2_val[0], self._years(val), self.nets["record"].numbers(val.ehr))
        yield self._flow_stage(seen, held_out)

    def _years(self, pairs):
        """(N,) float32, the interval between the visits; a year where it is not known."""
        days = pairs.table.interval_days.fillna(365).to_numpy(dtype="float32")
        return torch.from_numpy(days / YEAR).to(self.device)

    def _codes_stage(self, seen, held_out):
        """Encoder and decoder learn; `seen`: x1, x2 (A, N, 1, S, S), `held_out`: the same unturned."""
        x1, x2 = seen

        def step(idx, g, step_no):
            k = torch.randint(len(x1), idx.shape, generator=g)
            return self.autoencoder_losses(x1[k, idx], x2[k, idx])

        def validate():
            return self.autoencoder_losses(*held_out)["loss"].item()

        nets = {name: self.nets[name] for name in ("encoder", "decoder")}
        every = max(1, round(CODES * self.p.system_tune_steps))
        return TrainingStage("codes", nets, step, validate, share=CODES, settings={"val_every": every})

    def _flow_stage(self, seen, held_out):
        """The velocity learns; `seen`: z1, z2 (A, N, C, h, w), years (N,), record (N, 39), `held_out`: unturned."""
        z1, z2, years, record = seen
        s_val = torch.linspace(0, 1, len(held_out[0]), device=self.device)

        def step(idx, g, step_no):
            k = torch.randint(len(z1), idx.shape, generator=g)
            s = torch.rand(idx.shape, generator=g).to(self.device)
            return {"loss": self.flow_loss(z1[k, idx], z2[k, idx], years[idx], record[idx], s)}

        def validate():
            return self.flow_loss(*held_out, s_val).item()

        nets = {name: self.nets[name] for name in ("record", "flow")}
        return TrainingStage("flow", nets, step, validate, share=1 - CODES)

    def draw(self, x1, ehr, noise):
        z1 = self.nets["standard"](self.nets["encoder"](x1))
        record = self.nets["record"].numbers(ehr)

        def velocity(z, t):
            return self.velocity(z, t, record)

        z2 = flow.integrate(velocity, z1, self.p.system_flow_steps)
        return self.nets["decoder"](self.nets["standard"].inverse(z2))
