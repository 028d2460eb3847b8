"""DDL-CXR: latent diffusion from z1 and from the tokens of a record, which also learn to tell malignancy."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import nn

from namd.data.report import DIAMETERS, EHR, KNOWN, PATIENT
from namd.forecasters.latent import LatentSystem
from namd.forecasters.trained import Description, TrainingStage
from namd.ground.precision import adopt
from namd.models import diffusion, unet
from namd.models.record_numbers import RecordNumbers

WIDTH = 128                                                             # DDL-CXR's record transformer
HEADS = 8
LAYERS = 1
FEED_FORWARD = 256
DROPOUT = 0.2
LABEL_WEIGHT = 1.4                                                      # DDL-CXR, ddpm.py
MARGIN = 0.2                                                            # DDL-CXR, ddpm.py
BETAS = dict(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear")     # DDL-CXR's configuration
EMA_DECAY = 0.9999                                                      # DDL-CXR's configuration
SPOILT = 4      # every 4th pair of a batch also meets a spoilt record: ours, the expectation is the same, the cost 5/8
COLUMNS = (dict.fromkeys([*DIAMETERS, "age"], 1) | {name: len(codes) for name, codes in KNOWN.items()}
           | dict.fromkeys(PATIENT[1:], 1))                             # of record_vector, before its missing flags


class RecordTokens(RecordNumbers):
    """The record as 1 + 13 tokens, CLS first: each feature has its own embedding, and another where it is missing.

    Source: DDL-CXR (one layer of width 128, 8 heads); one token a feature is ours, because e has no time axis.
    """

    def __init__(self):
        super().__init__()
        self.embed = nn.ModuleList([nn.Linear(n, WIDTH) for n in COLUMNS.values()])
        self.unknown = nn.Parameter(torch.randn(len(COLUMNS), WIDTH))
        self.cls = nn.Parameter(torch.randn(1, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, FEED_FORWARD, DROPOUT, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS)

    def features(self, numbers):
        """(B, 13, 128) before any token has seen another, in the order of COLUMNS."""
        values = numbers[:, :-len(EHR)].split([*COLUMNS.values()], 1)
        missing = numbers[:, -len(EHR):]
        known = torch.stack([embed(part) for embed, part in zip(self.embed, values, strict=True)], 1)
        columns = [EHR.index(name) for name in COLUMNS]
        return torch.where(missing[:, columns, None] > 0, self.unknown, known)

    def forward(self, numbers):
        """(B, 14, 128) from (B, 39)."""
        cls = self.cls.expand(len(numbers), 1, -1)
        return self.encoder(torch.cat([cls, self.features(numbers)], 1))


def contrast(error, error_neg, alpha_bar_t, progress):
    """What each pair pays where a spoilt record does not make its prediction worse by the margin: (B,).

    Every number of the latent is compared for itself, then the mean is taken: a pair whose error is smaller on the
    whole still pays for the numbers where it is not.

    Args:
        error, error_neg: (B, 4, h, w), squared errors under the true and the spoilt context; alpha_bar_t: (B,);
            progress: epoch / epochs.

    Source: DDL-CXR, ddpm.py.
    """
    return progress * (1 - alpha_bar_t) * F.relu(error - error_neg + MARGIN).mean((1, 2, 3))


class System(LatentSystem):
    """NAMD's ancestor: [z2_t, z1] along the channels, the tokens of the record as context, trained together.

    The U-Net, its width, schedule, averaged weights and sampler are DDL-CXR's own, from scratch as Sec. 4.1.3 says; the
    heads are not, nor is the autoencoder: the shared one has neither DDL-CXR's label loss nor its discriminator.

    Source: Yao et al. 2024 (DDL-CXR) and their code; the record here is one visit's 13 features, not a time series.
    """

    rows = {"ddl_cxr": ("DDL-CXR", {})}
    description = Description(
        source="DDL-CXR, Yao et al. 2024; the row DDL-CXR of Table 1",
        conditions="z1, by eight input channels; the record, by cross-attention to 14 tokens",
        noise="z_T, the start of DDIM, and ddl_cxr_eta of DDPM's own in every step",
        optimises="denoising loss, 1.4 BCE of malignancy from CLS, contrast with half-noise tokens",
        left_open="a record without time: one token a feature; contrast on every 4th pair. Not as the source: the "
                  "shared VAE, so DDL-CXR loses its autoencoder's own label loss and discriminator; what the U-Net "
                  "predicts is prediction_type, as for NAMD (source: epsilon), its heads are unet_heads (source: 16 "
                  "channels each)")

    def build(self):
        own = SimpleNamespace(**vars(self.p) | BETAS | dict(unet_channels=self.p.ddl_cxr_channels))
        net = UNet2DConditionModel(**unet.small_config(own) | dict(
            in_channels=2 * unet.LATENT_CHANNELS, cross_attention_dim=WIDTH))
        self.scheduler = diffusion.schedule(own)
        return {"unet": adopt(net, self.p.precision), "record": RecordTokens(), "head": nn.Linear(WIDTH, 1)}

    @property
    def used(self):
        return [self.nets["unet"], self.nets["record"], self.vae.vae]

    def predict(self, z1, z2_t, t, ctx):
        """The U-Net's prediction, (B, 4, h, w)."""
        return self.nets["unet"](torch.cat([z2_t, z1], 1), t, encoder_hidden_states=ctx).sample

    def errors(self, z1, z2, eps, t, ctx):
        """Squared error of each number of the predictions: (B, 4, h, w)."""
        z2_t = diffusion.q_sample(z2, eps, t, diffusion.alpha_bar(self.scheduler))
        wanted = diffusion.target(z2, eps, t, self.scheduler)
        return (wanted - self.predict(z1, z2_t, t, ctx)).square()

    def stages(self, train, val):
        record = self.nets["record"]
        record.measure(train.ehr)
        latents = self.latents("train")
        held_out = self.held_out()
        numbers = record.numbers(train.ehr)
        numbers_val = record.numbers(val.ehr)
        label = torch.from_numpy(train.label).to(numbers)
        alpha_bar = diffusion.alpha_bar(self.scheduler).to(self.device)

        def step(idx, g, step_no):
            z1, z2, eps, t = self.noised(latents, idx, g)
            ctx = record(numbers[idx])
            some = slice(None, None, SPOILT)
            spoilt = 0.5 * ctx[some] + 0.5 * torch.randn(ctx[some].shape, generator=g).to(ctx)
            error = self.errors(z1, z2, eps, t, ctx)
            error_neg = self.errors(z1[some], z2[some], eps[some], t[some], spoilt)
            bce = F.binary_cross_entropy_with_logits(self.nets["head"](ctx[:, 0]).squeeze(1), label[idx])
            epoch_steps = len(train) // len(idx)
            progress = step_no // epoch_steps * epoch_steps / self.p.system_steps
            mse = error.mean()
            paid = contrast(error[some], error_neg, alpha_bar[t[some]], progress).mean()
            return {"loss": mse + LABEL_WEIGHT * bce + paid, "mse": mse, "bce": bce, "contrast": paid}

        def validate():
            return self.errors(*held_out, record(numbers_val)).mean().item()

        yield TrainingStage("unet", dict(self.nets), step, validate, settings=dict(ema_decay=EMA_DECAY))

    def draw(self, x1, ehr, noise):
        record = self.nets["record"]
        z1 = self.vae.encode(x1)
        ctx = record(record.numbers(ehr))

        def predict(z2_t, t):
            return self.predict(z1, z2_t, t, ctx)

        def each_step(i):
            return noise(z1.shape[1:], "step", i)

        z2 = diffusion.ddim_sample(predict, noise(z1.shape[1:]), self.scheduler, self.p.ddl_cxr_ddim_steps,
                                   self.p.ddl_cxr_eta, each_step)
        return self.vae.decode_scaled(z2)
