"""The record as numbers, for whatever reads it without a language model: compared systems and the arm no_llm."""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn.functional import layer_norm

from namd.data.report import Scale, record_vector
from namd.ground import seeding

N_NUMBERS = 39      # of report.record_vector: three standardised numbers, codes one-hot, flags, 13 times missing or not


class RecordNumbers(nn.Module):
    """Records as numbers under the means and spreads of the training records, which it keeps."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))

    def measure(self, ehr):
        """Take mean and spread of the log diameters and the age from the training records."""
        _, scale = record_vector(ehr)
        self.mean.copy_(torch.tensor(scale.mean))
        self.std.copy_(torch.tensor(scale.std))

    def numbers(self, ehr):
        """(B, 39) float32 of B records."""
        scale = Scale(tuple(self.mean.tolist()), tuple(self.std.tolist()))
        return torch.from_numpy(record_vector(ehr, scale)[0]).to(self.mean)


class RecordEmbedding(RecordNumbers):
    """The record as one vector that scales and shifts the features of another network."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(N_NUMBERS, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, numbers):
        """(B, width) of (B, 39)."""
        return self.layers(numbers)


class RecordContext(ModelMixin, ConfigMixin):
    """The record as a learned context of the shape that Eq. 8 has: a small network in the place of the language model.

    Args:
        n_sets, dim: m, D.

    `save_pretrained` writes config.json and diffusion_pytorch_model.safetensors, the training records' means and
    spreads among the weights.

    Source: ours, because the paper does not say what its text is worth beside the same 13 features as numbers. Each
    token has zero mean and unit spread over its D numbers, as loud as a state of the language model.
    """

    @register_to_config
    def __init__(self, n_sets: int, dim: int):
        super().__init__()
        self.record = RecordEmbedding(n_sets * dim)

    @classmethod
    def begin(cls, ehr, n_sets: int, dim: int, seed: int) -> "RecordContext":
        """The network before training; `ehr` are the training records, whose means and spreads it keeps."""
        with seeding.fresh_weights(seed, "record context"):
            made = cls(n_sets, dim)
        made.record.measure(ehr)
        return made

    def numbers(self, ehr) -> torch.Tensor:
        """(B, 39) float32 of B records."""
        return self.record.numbers(ehr)

    def forward(self, numbers):
        """C, (B, m, D), of (B, 39)."""
        tokens = self.record(numbers).unflatten(1, (self.config.n_sets, self.config.dim))
        return layer_norm(tokens, tokens.shape[-1:])
