"""Records and parameters for the smallest language model of the tests."""

from types import SimpleNamespace

import pandas as pd

from namd.data.report import EHR
from namd.ground import seeding


def records(n, seed=0):
    """n records with the columns of Table 2, indexed by pair_id."""
    rng = seeding.numpy_rng(seed, "records")
    table = pd.DataFrame({name: rng.integers(0, 2, n) for name in EHR}, index=[f"pair{i:03d}" for i in range(n)])
    table["sct_pre_att"], table["sct_margins"] = rng.integers(1, 4, n), rng.integers(1, 4, n)
    table["sct_epi_loc"], table["gender"] = rng.integers(1, 7, n), rng.integers(1, 3, n)
    table["age"], table["sct_long_dia"] = rng.integers(55, 77, n), rng.integers(4, 31, n)
    table["sct_perp_dia"] = table["sct_long_dia"] - 1
    return table.astype("Int16")


def parameters(**changes):
    return SimpleNamespace(**{"llm_hidden": 32, "llm_layers": 2, "llm_steps": 0, "seed": 23, **changes})
