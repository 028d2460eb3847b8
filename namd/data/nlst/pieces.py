"""What has been read of a delivery, kept beside the cohort until that is whole: a killed reading goes on from it."""

import json
import os
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from namd.data.dicom.nodule import refuse_air
from namd.data.dicom.series import SeriesIndex, index_series, read_series
from namd.data.images import PIXELS
from namd.data.nlst.crops import PairRead, Scan, read_pair
from namd.data.refused import RefusedError, one_line
from namd.ground import files, keys, marks
from namd.ground.errors import UserError

WORTH = 20                              # times as long as it takes to save must have been read since the last time
SERIES_AT_HAND = 4                      # nodules of one scan follow each other


class Pieces:
    """A folder of pieces, each some pairs in their order, under the key of what is read and of the code that reads.

    Source: ours, because an hour of reading disks is too much to lose.
    """

    def __init__(self, cohort, *given):
        """Go on in what a killed reading for `cohort` has left; what was read under another key is removed.

        Args:
            cohort: folder that the pieces are for; given: what is read, anything JSON can write.
        """
        self._folder = Path(f"{cohort}.parts")
        mark = self._folder / "key"
        key = keys.key({}, keys.code(__name__), {}, *given)
        if mark.is_file() and mark.read_text(errors="replace") == key:
            return
        marks.only_ours(self._folder)
        files.remove(self._folder)
        with files.replacing(mark) as aside:
            aside.write_text(key)

    def index(self, delivery, workers: int) -> SeriesIndex:
        """`index_series`, once; a file of it that is not as it was written does not count."""
        file = self._folder / "index.json"
        if file.is_file() and marks.changed(file) is None:
            return SeriesIndex(json.loads(file.read_text(encoding="utf-8")))
        files.discard(file)
        index = index_series(delivery, workers)
        files.write_json(file, {**index, "": index.nameless})
        return index

    def file(self, number: int) -> Path:
        """Where a piece is."""
        return self._folder / f"{number:05d}.npz"

    def discard(self) -> None:
        """Remove the pieces: the cohort is whole, or there will be none."""
        files.discard(self._folder)


def read_piece(file: Path, jobs: list[tuple[Scan, Scan]]) -> int:
    """Read the pairs of a piece, or those that a killed reading left out, and keep them in `file`; how many it holds.

    Whole series are kept as soon as they are read, parts of series some at a time.

    Raises:
        UserError: a folder of the delivery is gone since it was found.

    Source: ours; whatever one file makes a library raise costs one nodule, never the cohort.
    """
    done = load_piece(file)
    if not done:
        files.discard(file)                                           # what a full disk or a crash has left of it
    open_series = lru_cache(SERIES_AT_HAND)(read_series)
    saved = time.monotonic()
    took = 0
    for first, second in jobs[len(done):]:
        pair = read_both(first, second, open_series)
        if pair.refusal:
            _check_that_it_is_there(*first.folders, *second.folders)
        done.append(pair)
        now = time.monotonic()
        if len(done) == len(jobs) or now - saved > WORTH * took:
            _save(file, done)
            saved = time.monotonic()
            took = saved - now
    return len(done)


def _check_that_it_is_there(*folders: str) -> None:
    """End the reading where a folder that was found has gone.

    Source: ours, because a disk that was unplugged for a moment would else have cost the pairs on it for good.
    """
    gone = next((folder for folder in folders if not os.path.isdir(folder)), None)
    if gone is not None:
        raise UserError(f"{one_line(gone)} was there when the reading began, and is gone: see that its disk is"
                        " connected, and start again; what is read is kept.")


def read_both(first: Scan, second: Scan, open_series=read_series) -> PairRead:
    """`read_pair`, refused where one of the crops shows no tissue."""
    found = read_pair(first, second, open_series)
    try:
        for crop, scan in zip(found.crops if found.refusal is None else (), (first, second), strict=False):
            refuse_air(crop, f"series {scan.centre.uid}")
    except RefusedError as error:
        return PairRead(refusal=error)
    return found


def load_piece(file: Path) -> list[PairRead]:
    """The pairs that a piece holds, in their order; none of a file that is absent or damaged."""
    try:
        with np.load(file, allow_pickle=False) as found:
            crops = found["crops"].reshape(-1, 2, PIXELS, PIXELS)
            said = json.loads(found["said"].tobytes())
        images = iter(crops)
        return [_pair(row, images) for row in said]
    except Exception:                                                 # a torn zip raises its own kinds
        return []


def _pair(row, images) -> PairRead:
    """What one pair gave, its crops the next of `images` where it gave any."""
    if "code" in row:
        return PairRead(refusal=RefusedError(row["code"], row["message"]))
    return PairRead(crops=next(images), scans=tuple(row["scans"]))


def _save(file: Path, done: list[PairRead]) -> None:
    """Write a piece, whole or not at all."""
    said = [dict(code=pair.refusal.code, message=pair.refusal.message) if pair.refusal else dict(scans=pair.scans)
            for pair in done]
    crops = [pair.crops for pair in done if not pair.refusal]
    with files.replacing(file) as aside, open(aside, "wb") as handle:
        np.savez(handle, crops=np.array(crops, dtype="<i2").reshape(-1, PIXELS, PIXELS),
                 said=np.frombuffer(json.dumps(said, default=_plain).encode(), dtype=np.uint8))


def _plain(value):
    """A number of numpy as one of JSON."""
    return value.item()
