"""What only the images tell of a linked nodule: which rows of the tables are its, and which lists name it twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from math import dist

from namd.data.nlst.crops import PairRead
from namd.data.nlst.labels import label_nodule
from namd.data.nlst.links import Link, check_preexisting
from namd.data.refused import RefusedError

SLICES = 2                              # sct_slice_num of a row may be so far from the listed slice
MIDLINE_MM = 10                         # so near to x = 0 a point has no side
SAME_MM = 10                            # two lists mean one nodule where their centres are so near
RIGHT = (1, 2, 3)                       # codes of LOBES
LEFT = (4, 5, 6)


def settle(read: Iterable[tuple[Link, PairRead]], label_days: int) -> Iterator[tuple[Link, PairRead]]:
    """Linked nodules with their rows and labels, or the refusal of one.

    Args:
        read: links, those of a participant and year together, each with what its series gave.

    Returns:
        The same, in the same order; one refused here keeps what its scans gave. A tier C link whose row is found has
        it, else its features stay unknown. A nodule that several lists place is kept once, as the tables name it best:
        tier A, B, then C in the order of the lists.

    Source: ours, because a list with an identity of its own says neither sct_ab_num nor lobe.
    """
    for _, several in groupby(read, key=lambda pair: (pair[0].pid, pair[0].year)):
        yield from _settle_one(list(several), label_days)


def _settle_one(pairs: list[tuple[Link, PairRead]], label_days: int) -> Iterator[tuple[Link, PairRead]]:
    """The nodules of one participant and year."""
    kept = []
    refusals = {}
    for i in sorted(range(len(pairs)), key=lambda i: (pairs[i][0].tier, i)):
        link, read = pairs[i]
        if read.refusal:
            continue
        pairs[i] = (_with_rows(link, read), read)
        twin = next((k for k in kept if _is_same(*pairs[i], *pairs[k])), None)
        if twin is None:
            kept.append(i)
        else:
            refusals[i] = RefusedError("E03", f"it is {pairs[twin][0].source_id}, which is kept")
    claimed = Counter(pairs[i][0].number for i in kept)
    claimed_later = Counter(_number(pairs[i][0].after) for i in kept)
    for i, (link, read) in enumerate(pairs):
        if i in refusals:
            yield link, replace(read, crops=None, refusal=refusals[i])
        elif i in kept:
            yield _labelled(_without_shared_rows(link, claimed, claimed_later), read, label_days)
        else:
            yield link, read


def _with_rows(link: Link, read: PairRead) -> Link:
    """A tier C link with the rows that lie where its images are."""
    if link.tier != "C":
        return link
    nodules = link.participant.nodules
    before, after = (known or row_at(nodules[year], scan["instance"], scan["center_x_mm"])
                     for known, year, scan in zip((link.before, link.after), (link.year, link.year + 1), read.scans,
                                                  strict=True))
    return replace(link, before=before, after=after)


def _without_shared_rows(link: Link, claimed: Counter, claimed_later: Counter) -> Link:
    """A tier C link without a row that fits another nodule too, unless the list itself names its number."""
    if link.tier != "C":
        return link
    is_shared = claimed[link.number] > 1 and link.start.number is None
    is_shared_later = claimed_later[_number(link.after)] > 1 and link.end.number is None
    return replace(link, before=None if is_shared else link.before, after=None if is_shared_later else link.after)


def _number(row: dict | None) -> int | None:
    """sct_ab_num of a row."""
    return None if row is None else row["sct_ab_num"]


def row_at(rows: dict[int, dict], instance: int | None, x_mm: float) -> dict | None:
    """The one code-51 row within two slices of an image and on its side of the body; None where not exactly one is.

    Args:
        rows: of one participant and year, by sct_ab_num.
        instance: InstanceNumber of the slice; x_mm: of the nodule, growing to the patient's left.
    """
    if instance is None or abs(x_mm) < MIDLINE_MM:
        return None
    side = LEFT if x_mm > 0 else RIGHT
    found = [row for row in rows.values() if row["sct_epi_loc"] in side and row["sct_slice_num"] is not None
             and abs(row["sct_slice_num"] - instance) <= SLICES]
    return found[0] if len(found) == 1 else None


def _is_same(link: Link, read: PairRead, other: Link, other_read: PairRead) -> bool:
    """Whether two lists place one nodule, by the distance of their points; a mass is as wide as the tables say."""
    widths = [row["sct_long_dia"] or 0 for row in (link.before, other.before) if row is not None]
    near = max([SAME_MM, *(width / 2 for width in widths)])
    return link.start.source != other.start.source and dist(_point(read), _point(other_read)) <= near


def _point(read: PairRead) -> tuple:
    """(x, y, z) mm of the nodule in the first scan."""
    return tuple(float(read.scans[0][f"center_{axis}_mm"]) for axis in "xyz")


def _labelled(link: Link, read: PairRead, label_days: int) -> tuple[Link, PairRead]:
    """A tier C link with its label by all that is known of it now, or the refusal of it."""
    if link.tier != "C":
        return link, read
    try:
        check_preexisting(link.participant, link.year + 1, link.after)
        label = label_nodule(link.participant, link.before, link.marks, label_days, link.year)
    except RefusedError as error:
        return link, replace(read, crops=None, refusal=error)
    return replace(link, label=label), read
