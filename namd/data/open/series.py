"""One series on the disk: its slices checked and written one by one, so that a kill loses none that is whole."""

import fcntl
import hashlib
import json
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from namd.data.open import slices
from namd.data.open.bucket import AbsentError, Buckets, StoppedError, Stored
from namd.data.open.index import Row
from namd.ground import files, marks

RECORD = ".fetched.json"                # in the folder of a series: what is whole in it
REACH = 2                               # slices on either side of a nodule's, as dicom.geometry.slice_gap has it
MD5 = re.compile("[0-9a-f]{32}")
NAME = re.compile(r"[0-9A-Za-z][\w.-]{0,199}")
TRIES = 3                               # of an object that arrives damaged


@dataclass(frozen=True)
class Job:
    """One series to fetch: its row of IDC's index, its folder below the delivery, and the nodules in it.

    `places` are InstanceNumbers, SOPInstanceUIDs or points (x, y, z) in mm; None asks for every slice.
    """

    row: Row
    folder: Path
    places: tuple | None

    @property
    def kept(self) -> int:
        """Bytes on the disk, nearly: slices are taken for equally large."""
        if self.places is None:
            return self.row.size
        n_slices = min(len(self.places) * (2 * REACH + 1), self.row.files)
        return round(n_slices * self.row.size / max(1, self.row.files))

    @property
    def read(self) -> int:
        """Bytes to fetch, nearly: of a part of a series each header is read, too."""
        return self.kept if self.places is None else self.kept + slices.HEAD * self.row.files


def fetch(job: Job, root: Path, buckets: Buckets) -> int:
    """Put the slices of a series below `root`, or see that they are there and sound; another process may do the same.

    Returns:
        How many files were fetched; 0 where all were there.

    Raises:
        AbsentError: the series is not in the bucket as the index says, or a file of somebody else is in the way.
        UserError: the server is out of reach or the disk is full.
    """
    folder = root / job.folder
    with _alone(folder, buckets.stop):
        held = _held(folder, job)
        if held.answers(job):
            stored = [Stored(f"{job.row.uuid}/{name}", kept["bytes"], kept["md5"]) for name, kept in held.files.items()]
        else:
            stored = _wanted(job, buckets)
        kept = {}
        n_new = 0
        for one in stored:
            md5 = _md5(folder / one.name)
            if not md5 or md5 not in (one.etag, held.files.get(one.name, {}).get("md5")):
                md5 = _put(folder / one.name, one, job, buckets)
                n_new += 1
            kept[one.name] = dict(bytes=one.size, md5=md5)
        _note(folder, held, held.with_job(job, kept))
    return n_new


@dataclass(frozen=True)
class Held:
    """What the record of a folder says is whole in it; `places` None for the whole series."""

    uuid: str
    places: list | None
    files: dict[str, dict]              # name -> bytes, md5

    def answers(self, job: Job) -> bool:
        """Whether the files are all that a job asks for."""
        if self.places is None or job.places is None:
            return self.places is None
        return bool(self.files) and all(place in self.places for place in _plain(job.places))

    def with_job(self, job: Job, files: dict) -> "Held":
        """The record with what a job has added."""
        whole = None in (self.places, job.places)
        places = None if whole else sorted([*self.places, *(one for one in _plain(job.places)
                                                            if one not in self.places)], key=str)
        return Held(self.uuid, places, dict(sorted((self.files | files).items())))


def _plain(places) -> list:
    """Places as JSON gives them back."""
    return [place if isinstance(place, int | str) else list(place) for place in places]


def _held(folder: Path, job: Job) -> Held:
    """The record of a folder; an empty one where there is none, or where it is of an older version of the series."""
    try:
        found = Held(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
        is_sound = all(NAME.fullmatch(name) and MD5.fullmatch(kept["md5"]) and kept["bytes"] >= 0
                       for name, kept in found.files.items())
        if found.uuid == job.row.uuid and is_sound and isinstance(found.places, list | None):
            return found
        for name in filter(NAME.fullmatch, found.files):
            files.discard(folder / name)
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
        pass
    return Held(job.row.uuid, [], {})


def _note(folder: Path, before: Held, now: Held) -> None:
    """Write the record where it has changed, so that a delivery that is whole stays as it is."""
    if now == before:
        return
    files.discard(folder / RECORD)
    files.write_json(folder / RECORD, asdict(now))


def _wanted(job: Job, buckets: Buckets) -> list[Stored]:
    """The objects of the bucket that a job asks for."""
    row = job.row
    stored = [one for one in buckets.objects(row.bucket, row.uuid + "/") if one.name]
    size = sum(one.size for one in stored)
    if (len(stored), size) != (row.files, row.size):
        raise AbsentError(f"the bucket holds {len(stored)} files of {size:,} bytes in {row.bucket}/{row.uuid}/, and the"
                          f" index says {row.files} of {row.size:,}")
    if not all(NAME.fullmatch(one.name) for one in stored):
        raise AbsentError(f"{row.bucket}/{row.uuid}/ holds names that are no file names")
    if job.places is None:
        return stored
    seen = [slices.look(one, lambda n_bytes, one=one: buckets.start(row.bucket, one, n_bytes)) for one in stored]
    return slices.choose(seen, job.places, REACH)


def _put(path: Path, one: Stored, job: Job, buckets: Buckets) -> str:
    """Fetch one object to `path`, in place of a damaged file of ours; its MD5."""
    content = _sound(one, job, buckets)
    if marks.foreign(path):
        raise AbsentError(f"{path} was not written by this program and is not what IDC has: move it away")
    files.discard(path)
    with files.replacing(path) as aside:
        aside.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _sound(one: Stored, job: Job, buckets: Buckets) -> bytes:
    """An object that has its size, its sum and its series.

    An ETag of several parts says nothing of the bytes. One that looks like their MD5 and is none (encrypted) is no
    fault of those that arrive twice the same.
    """
    before = None
    for _ in range(TRIES):
        content = buckets.whole(job.row.bucket, one)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        is_right = md5 == one.etag or not MD5.fullmatch(one.etag) or content == before
        if len(content) == one.size and is_right:
            break
        before = content
    else:
        raise AbsentError(f"{one.key} arrives damaged, {TRIES} times")
    head = slices.header(content)
    uid = None if head is None else str(head.get("SeriesInstanceUID", ""))
    if uid is not None and uid != job.row.uid:
        raise AbsentError(f"{one.key} is a slice of the series {uid}")
    return content


def _md5(path: Path) -> str:
    """MD5 of a file, empty where there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return ""


@contextmanager
def _alone(folder: Path, stop):
    """Hold the folder of a series against other processes; where they cannot be held off, both write the same."""
    with files.or_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        while not _lock(handle):
            if stop.wait(0.2):
                raise StoppedError
        yield
    finally:
        os.close(handle)


def _lock(handle) -> bool:
    """Whether the lock is ours now, or cannot be had on this file system."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
