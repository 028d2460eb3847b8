"""The record as numbers, for the systems that read it without a language model."""

import torch
from torch import nn

from namd.data.report import Scale, record_vector

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
