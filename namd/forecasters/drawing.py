"""K runs of every row: which seeds, drawn where, kept in which files."""

import gc
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from namd.ground import files, marks
from namd.ground.keys import Keyed
from namd.ground.precision import prepare
from namd.ground.reading import reading
from namd.ground.workers import count, side_by_side

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


@dataclass(frozen=True)
class Row:
    """A row of Table 1 that is drawn: () -> fitted Forecaster, K seeds, the file of its images, its key or ""."""

    make: Callable
    seeds: list
    path: Path
    key: str

    @property
    def whole(self):
        """The row's file under its key."""
        return Keyed(self.path, self.key)

    @property
    def parts(self):
        """The folder of its pieces under its key."""
        return Keyed(self.path.with_suffix(".parts"), self.key)

    def pieces(self, n_subjects, batch):
        """[(subjects, file)]: slices of max(1, batch // K) of `n_subjects`, and where their images go."""
        size = max(1, batch // len(self.seeds))
        starts = range(0, n_subjects, size)
        return [(slice(i, i + size), self.parts.path / f"{number:04d}.npy") for number, i in enumerate(starts)]


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
    keys = keys or {}
    rows = [Row(makers[row], seeds[row], row_file(folder, row), keys.get(row, "")) for row in makers]
    wanted = [row for row in rows if not (row.key and row.whole.current())]
    missing = []
    for row in wanted:
        _begin(row.parts)
        missing.append([piece for piece in row.pieces(len(x1), batch) if not piece[1].exists()])

    n = count(workers, sum(map(len, missing)))
    shares = []
    for i in range(n):
        work = [(row.make, row.seeds, pieces[i::n]) for row, pieces in zip(wanted, missing, strict=True)]
        shares.append((i, [part for part in work if part[2]], x1, ehr, threads, precision))
    side_by_side(_draw_share, shares, n)

    for row in wanted:
        _join(row, row.pieces(len(x1), batch))
    for row in rows:
        files.discard(row.parts.path)
        files.discard(row.parts.mark)


def _begin(parts):
    """An empty folder for the pieces of a row, or the one that a killed sampling has begun under the same key."""
    if parts.key and parts.current():
        return
    marks.only_ours(parts.path)
    files.remove(parts.path)
    parts.path.mkdir(parents=True)
    parts.sign()


def _draw_share(i, work, x1, ehr, threads, precision):
    """What process `i` draws: work is [(make, seeds, pieces)]."""
    prepare(threads, precision)
    if torch.cuda.is_available():
        torch.cuda.set_device(i % torch.cuda.device_count())
    for make, seeds, pieces in work:
        _draw_pieces(make(), x1, ehr, seeds, pieces)
        gc.collect()                    # its models are gone before those of the next row come


def _draw_pieces(forecaster, x1, ehr, seeds, pieces):
    for subjects, file in pieces:
        images = forecaster.sample(x1[subjects], ehr.iloc[subjects], seeds)
        _save(file, images[:, :, 0].to("cpu", torch.float16).numpy())


def _join(row, pieces):
    """Write the row from its pieces, its key last."""
    images = np.concatenate([np.load(file) for _, file in pieces], axis=1)
    row.whole.set_aside()
    _save(row.path, images)
    if row.key:
        row.whole.sign()


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
        images = np.load(file).astype(np.float32)
        return torch.from_numpy(images)[:, :, None]
