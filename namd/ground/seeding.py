"""Stateless randomness: every draw has its own key, so nothing depends on batch size or resume point."""

import hashlib
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(*keys) -> int:
    """63-bit seed from any sequence of strings and integers; dimensionless.

    Source: ours, because a resumed run must draw what an uninterrupted one draws.
    """
    digest = hashlib.sha256("\x1f".join(map(str, keys)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*keys) -> torch.Generator:
    """CPU generator of the draw named by `keys`, e.g. (seed, "cond", step)."""
    return torch.Generator().manual_seed(derive_seed(*keys))


def numpy_rng(*keys) -> np.random.Generator:
    """The same for numpy."""
    return np.random.default_rng(derive_seed(*keys))


def noise(shape, *keys) -> torch.Tensor:
    """Standard normal tensor of `shape`, float32, drawn on the CPU from `keys`."""
    return torch.randn(shape, generator=generator(*keys))


def integers(high: int, shape, *keys) -> torch.Tensor:
    """Uniform integers in [0, high), int64, drawn on the CPU from `keys`."""
    return torch.randint(high, shape, generator=generator(*keys))


@contextmanager
def fresh_weights(*keys):
    """Inside, torch's global CPU generator is seeded from `keys`; outside, it is as it was before.

    Source: ours, because libraries initialise their layers from the global generator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(*keys))
        yield
