"""K runs of every row: which seeds, drawn where, kept in which files."""

import io
from pathlib import Path

import joblib
import numpy as np
import torch

from namd.ground import files, marks
from namd.ground.precision import prepare
from namd.ground.reading import reading
from namd.ground.workers import end_if_orphaned

FORECASTERS = ("namd.forecasters.drawing", "namd.forecasters.controls", "namd.forecasters.namd")
AUTHORS_SEEDS = (642, 115, 893, 23, 42, 403, 756, 401, 912, 55, 330, 888, 147, 679, 92, 450, 713, 28, 599, 974)


def run_seeds(k):
    """Seeds of the first k runs: the authors' twenty, then 1000, 1001, ...

    Source: authors' code (evaluation script); the continuation is ours, because Figure 5 draws more than 20.
    """
    return [*AUTHORS_SEEDS, *range(1000, 1000 + k)][:k]


def row_file(folder, row):
    """Where the images of a row are kept: folder/<row>.npy, with _ for a space."""
    return Path(folder) / f"{row.replace(' ', '_')}.npy"


def row_key(run, arm, *given):
    """Names the images of a row, so that they stay when other rows come or go.

    Args:
        run: of namd.study.notebook.start; arm: whose trained models draw it, None for a control without any.
        given: what else decides the images, e.g. the name of the control and the seeds.
    """
    reads = ["cohort", "llm", f"arms/{arm}/namd"] if arm else ["cohort", "delivery/truth"]
    return run.part_key(FORECASTERS, reads, *given)


def n_processes(workers, n_jobs):
    """Processes for `n_jobs` independent jobs: `workers`, or one per core when it is 0, and never idle ones."""
    return min(workers or joblib.cpu_count(), n_jobs)


def draw_rows(makers, x1, ehr, seeds, folder, batch, threads=0, workers=1, precision="float32", keys=None):
    """Sample rows of Table 1 in pieces and keep their images; what is there under its row's key is not drawn again.

    A piece is max(1, batch // K) subjects with all K seeds: one call of `Forecaster.sample`, whoever draws it. So a
    killed sampling goes on with the piece it was at, and the images are the same for any number of processes.

    Args:
        makers: {row: () -> fitted Forecaster}, called once for each row in each process; seeds: {row: K integers}.
        x1: (N, 1, S, S) float32; ehr: N records indexed by pair_id.
        folder: float16 images (K, N, S, S) go to row_file(folder, row), its pieces to <row>.parts until all are there.
        batch: images of one call; threads: torch threads of each process, 0 leaves them alone.
        workers: processes, 0 is one per core; with several GPUs process i takes number i modulo their count.
        precision: float32, tf32 or bfloat16.
        keys: {row: `row_key`}; a row without one is always drawn.

    Raises:
        UserError: the disk is full; the pieces stay.

    Source: ours; half precision, because 2^-11 of the window is 0.3 HU.
    """
    keys = {row: (keys or {}).get(row, "") for row in makers}
    pieces = {row: _pieces(row_file(folder, row), len(x1), max(1, batch // len(seeds[row]))) for row in makers
              if not (keys[row] and _key(row_file(folder, row)) == keys[row])}
    missing = {row: [piece for piece in _kept(pieces[row], keys[row]) if not piece[1].exists()] for row in pieces}
    n = n_processes(workers, max(1, sum(map(len, missing.values()))))
    joblib.Parallel(n_jobs=n)(joblib.delayed(_draw_share)(
        i, [(makers[row], seeds[row], share[i::n]) for row, share in missing.items() if share[i::n]],
        x1, ehr, threads, precision) for i in range(n))
    for row in makers:
        if row in pieces:
            _join(pieces[row], row_file(folder, row), keys[row])
        _drop(_parts(row_file(folder, row)))


def _pieces(path, n_subjects, size):
    """[(subjects, file)] of the row at `path`: (slice of up to `size` subjects, where their images go)."""
    starts = range(0, n_subjects, size)
    return [(slice(i, i + size), _parts(path) / f"{count:04d}.npy") for count, i in enumerate(starts)]


def _parts(path):
    return path.with_suffix(".parts")


def _key(path):
    """The key under which `path`, a row or the folder of its pieces, was drawn; None when it is not whole."""
    mark = Path(f"{path}.key")
    return mark.read_text(errors="replace") if path.exists() and mark.is_file() else None


def _mark(path, key):
    with files.replacing(f"{path}.key") as aside:
        aside.write_text(key)


def _kept(pieces, key):
    """`pieces`, without the files of other parameters or sources."""
    parts = pieces[0][1].parent
    if not key or _key(parts) != key:
        marks.only_ours(parts)
        files.remove(parts)
        parts.mkdir(parents=True)
        _mark(parts, key)
    return pieces


def _draw_share(i, rows, x1, ehr, threads, precision):
    """What process `i` draws: rows is [(make, seeds, pieces)]."""
    prepare(threads, precision)
    if torch.cuda.is_available():
        torch.cuda.set_device(i % torch.cuda.device_count())
    for make, seeds, pieces in rows:
        _draw_pieces(make(), seeds, pieces, x1, ehr)


def _draw_pieces(forecaster, seeds, pieces, x1, ehr):
    for subjects, file in pieces:
        end_if_orphaned()
        images = forecaster.sample(x1[subjects], ehr.iloc[subjects], seeds)
        _save(file, images[:, :, 0].to("cpu", torch.float16).numpy())


def _join(pieces, path, key):
    """Write the row from its pieces, its key last."""
    files.remove(Path(f"{path}.key"))
    _save(path, np.concatenate([np.load(file) for _, file in pieces], axis=1))
    if key:
        _mark(path, key)


def _drop(parts):
    for path in (parts, Path(f"{parts}.key")):
        files.discard(path)


def _save(path, array):
    """Write an array, whole or not at all; through memory, because numpy's own writer does not say "disk full"."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    with files.replacing(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def load_row(folder, row):
    """Images of one row, float32 tensor (K, N, 1, S, S) in [-1, 1]."""
    file = row_file(folder, row)
    with reading(file, "05"):
        return torch.from_numpy(np.load(file).astype(np.float32))[:, :, None]
