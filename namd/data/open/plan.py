"""What of the lists is fetched: participants, pairs of nodules, series, files and bytes, all of them or a sample."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from namd.data.nlst.lists import Listed
from namd.data.open import index
from namd.data.open.series import Job

FOLDER = "dicom"                        # below the delivery: dicom/<participant>/<SeriesInstanceUID>/
INTERVALS = ((0, 1), (1, 2))            # years of the two scans of a pair


@dataclass(frozen=True)
class Pair:
    """One nodule that a list places in `year` and the next one."""

    year: int
    source: str
    pid: int
    lesion: str
    rows: tuple[Listed, ...]            # of both years


@dataclass(frozen=True)
class Count:
    """How much of something there is."""

    subjects: int
    malignant: int | None               # participants, as the list tells them; None where it does not
    cancers: int                        # participants in the cancer table
    pairs: int
    series: int
    files: int
    size: int                           # bytes


def pairs(listed: list[Listed], second_year: bool) -> list[Pair]:
    """Every nodule that one list places at T0 and T1, and with `second_year` at T1 and T2."""
    lesions = defaultdict(lambda: defaultdict(list))
    for row in listed:
        lesions[row.source, row.pid, row.lesion][row.year].append(row)
    found = []
    for (source, pid, lesion), years in lesions.items():
        found += [Pair(first, source, pid, lesion, (*years[first], *years[second]))
                  for first, second in INTERVALS[:1 + second_year] if first in years and second in years]
    return found


def sample(found: list[Pair], n_subjects: int) -> list[Pair]:
    """The pairs of `n_subjects` participants, of malignant, benign and unknown ones as many as their share.

    A larger sample holds every smaller one.

    Source: ours, because a first try must not be all of one kind, and must not be thrown away afterwards.
    """
    kinds = defaultdict(list)
    for pid, kind in _kinds(found).items():
        kinds[kind].append((hashlib.sha256(str(pid).encode()).digest(), pid))
    order = []
    for members in kinds.values():
        order += [((i + 0.5) / len(members), *member) for i, member in enumerate(sorted(members))]
    chosen = {pid for _, _, pid in sorted(order)[:n_subjects]}
    return [pair for pair in found if pair.pid in chosen]


def _kinds(found: list[Pair]) -> dict[int, bool | None]:
    """Whether any list calls a nodule of a participant malignant; None where none says anything."""
    kinds = {}
    for pair in found:
        told = [row.malignant for row in pair.rows if row.malignant is not None]
        before = kinds.get(pair.pid)
        kinds[pair.pid] = bool(before or any(told)) if told or before is not None else None
    return kinds


def jobs(found: list[Pair], rows: dict[str, index.Row], whole: bool) -> list[Job]:
    """A job for every series of the pairs that IDC holds, participants in order."""
    places = defaultdict(set)
    pid = {}
    for pair in found:
        for row in pair.rows:
            places[row.uid].add(_place(row))
            pid.setdefault(row.uid, row.pid)
    order = sorted(places.keys() & rows.keys(), key=lambda uid: (pid[uid], uid))
    return [Job(rows[uid], Path(FOLDER, str(pid[uid]), uid), None if whole else tuple(sorted(places[uid], key=str)))
            for uid in order]


def _place(row: Listed):
    """InstanceNumber, SOPInstanceUID or point of a listed nodule."""
    if row.instance is not None:
        return int(row.instance)
    return row.sop if row.sop is not None else tuple(map(float, row.point))


def count(found: list[Pair], rows: dict[str, index.Row], ill=frozenset()) -> Count:
    """What pairs come to; `ill` are the participants in the cancer table."""
    kinds = Counter(_kinds(found).values())
    series = [rows[uid] for uid in uids(found) if uid in rows]
    return Count(subjects=sum(kinds.values()), malignant=kinds[True] if kinds[True] or kinds[False] else None,
                 cancers=len({pair.pid for pair in found} & ill), pairs=len(found), series=len(series),
                 files=sum(row.files for row in series), size=sum(row.size for row in series))


def uids(found: list[Pair]) -> set[str]:
    """The series of pairs."""
    rows = chain.from_iterable(pair.rows for pair in found)
    return {row.uid for row in rows}
