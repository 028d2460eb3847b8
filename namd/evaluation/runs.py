"""K runs of every row: which seeds, drawn where, kept in which files."""

import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch

AUTHORS_SEEDS = (642, 115, 893, 23, 42, 403, 756, 401, 912, 55, 330, 888, 147, 679, 92, 450, 713, 28, 599, 974)


def run_seeds(k):
    """Seeds of the first k runs: the authors' twenty, then 1000, 1001, ...

    Source: authors' code (evaluation script); the continuation is ours, because Figure 5 draws more than 20.
    """
    return [*AUTHORS_SEEDS, *range(1000, 1000 + k)][:k]


def row_file(folder, row):
    """Where the images of a row are kept: folder/<row>.npy, with _ for a space."""
    return Path(folder) / f"{row.replace(' ', '_')}.npy"


def draw_row(make, x1, ehr, seeds, path, threads=0, key=""):
    """Sample one row of Table 1 and keep its images; a row drawn under the same `key` before is left as it is.

    Args:
        make: () -> fitted Forecaster; called in the process that samples.
        x1: (N, 1, S, S) float32; ehr: N records indexed by pair_id; seeds: K integers.
        path: file to write, float16 (K, N, S, S), written aside and renamed.
        threads: torch threads of this process; 0 leaves them alone.
        key: names parameters, sources and models (run.key); written to <path>.key last. Empty draws always.

    Source: ours; half precision, because 2^-11 of the window is 0.3 HU.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    path, mark = Path(path), Path(f"{path}.key")
    if key and path.exists() and mark.exists() and mark.read_text() == key:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    images = make().sample(x1, ehr, seeds)[:, :, 0].to("cpu", torch.float16).numpy()
    aside = path.with_name(f".{path.stem}.tmp.npy")
    np.save(aside, images)
    os.replace(aside, path)
    if key:
        mark.write_text(key)


def n_processes(workers, n_jobs):
    """Processes for `n_jobs` independent jobs: `workers`, or one per core when it is 0, and never idle ones."""
    return min(workers or joblib.cpu_count(), n_jobs)


def draw_rows(makers, x1, ehr, seeds, folder, threads=0, workers=1, key=""):
    """Sample several rows side by side, one process each; the same images come out for any number of workers.

    Args:
        makers: {row: () -> Forecaster}; x1, ehr: as in `draw_row`; seeds: {row: K integers}.
        folder: images go to row_file(folder, row); threads: torch threads of each process.
        workers: processes; 0 is one per core.
        key: as in `draw_row`; a killed notebook keeps the rows it had finished.

    Source: ours, because two one-thread processes use two cores better than two threads.
    """
    joblib.Parallel(n_jobs=n_processes(workers, len(makers)))(
        joblib.delayed(draw_row)(make, x1, ehr, seeds[row], row_file(folder, row), threads, key)
        for row, make in makers.items())


def load_row(folder, row):
    """Images of one row, float32 tensor (K, N, 1, S, S) in [-1, 1]."""
    return torch.from_numpy(np.load(row_file(folder, row)).astype(np.float32))[:, :, None]


def probability_table(prob, pair_id):
    """Long table of every probability the judge gave: columns row, run, seed, pair_id, prob.

    Args:
        prob: {row: (K, N) array}; pair_id: N identifiers. Deterministic rows have the single run 0.
    """
    parts = [pd.DataFrame(dict(row=row, run=k, seed=seed, pair_id=list(pair_id), prob=np.asarray(values[k], float)))
             for row, values in prob.items() for k, seed in enumerate(run_seeds(len(values)))]
    return pd.concat(parts, ignore_index=True)
