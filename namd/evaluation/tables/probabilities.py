"""Every probability that the judge gave, as one long table."""

import numpy as np
import pandas as pd

from namd.forecasters.drawing import run_seeds
from namd.ground import files


def probability_table(prob, pair_id, patient):
    """Long table of every probability the judge gave: columns row, run, seed, pair_id, patient_id, prob.

    Args:
        prob: {row: (K, N) array}; pair_id, patient: N identifiers. Deterministic rows have the single run 0.
    """
    of_pair = dict(pair_id=list(pair_id), patient_id=list(patient))
    parts = []
    for row, values in prob.items():
        for k, seed in enumerate(run_seeds(len(values))):
            parts.append(pd.DataFrame(dict(row=row, run=k, seed=seed, **of_pair, prob=np.asarray(values[k], float))))
    return pd.concat(parts, ignore_index=True)


def save_probabilities(path, prob, pair_id, patient):
    """Write the `probability_table` of the other arguments to the parquet file `path`."""
    with files.replacing(path) as aside:
        probability_table(prob, pair_id, patient).to_parquet(aside, index=False)


def training_seeds(rows, arm):
    """The rows that are `arm` at one training seed each: its own first, then arm-seed24, arm-seed25, ..."""
    return [row for row in sorted(set(rows)) if row == arm or row.startswith(f"{arm}-seed")]


def stack(table, rows, pair_id):
    """Probabilities of R `rows` of a probability_table in the order of the N `pair_id`: (R, K, N) float64."""
    asked = table[table["row"].isin(rows)]
    wide = asked.pivot(index=["row", "run"], columns="pair_id", values="prob")[list(pair_id)]
    return np.stack([wide.loc[row].to_numpy() for row in rows])
