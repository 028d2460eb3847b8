"""The parameters of a run: `model` has their types, `rules` what they must be together, `layers` reads them."""

from namd.study.params.layers import BASE, KEYS, declared, load, read_layer, read_pair, validate
from namd.study.params.model import Parameters

__all__ = ["BASE", "KEYS", "Parameters", "declared", "load", "read_layer", "read_pair", "validate"]
