"""The scans of all linked nodules of a delivery, read once, in any number of processes."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from pathlib import Path

from namd.data.dicom.header import Header
from namd.data.dicom.opening import is_dicom
from namd.data.dicom.series import SeriesIndex, read_series
from namd.data.folders import packed_or_lost, regular_files
from namd.data.nlst.crops import FETCH, PairRead, Scan, n_workers, see_pair
from namd.data.nlst.links import Link
from namd.data.nlst.pieces import SERIES_AT_HAND, Pieces, load_piece, read_both, read_piece
from namd.data.refused import RefusedError, one_line
from namd.ground.errors import UserError
from namd.ground.workers import in_order

PAIRS_A_PIECE = 32


class AbsentSeriesError(RefusedError):
    """A nodule one of whose series is not in the delivery: nothing of it is lost that a fetch would not bring."""


def read_linked(delivery, linked: list[Link], pieces: Pieces, workers: int, say) -> SeriesIndex:
    """Read the scans of all linked nodules that no piece holds yet; where the series of the delivery lie.

    Args:
        delivery: folder; pieces: of this delivery and these nodules; workers: processes, 0 for one a core; say: called
            with one line at a time.
    """
    workers = n_workers(workers, len(linked))
    index = pieces.index(delivery, workers)
    say(f"images: {len(index)} series found")
    unread = _unread(delivery, index, linked)
    batches = _batches(linked)
    n_before = sum(len(load_piece(pieces.file(i))) for i in range(len(batches)))
    if n_before:
        say(f"images: {n_before} of {len(linked)} pairs were read before")
    jobs = ((pieces.file(i), _scans(batch, index, unread)) for i, batch in enumerate(batches))
    n_read = 0
    for n in in_order(read_piece, jobs, workers):
        quarters = n_read * 4 // len(linked)
        n_read += n
        if n_read * 4 // len(linked) > quarters:
            say(f"images: {n_read} of {len(linked)} pairs read")
    return index


def _batches(linked) -> list[list[Link]]:
    """The nodules of each piece; no matter how many processes there are."""
    size = min(PAIRS_A_PIECE, max(1, len(linked) // 8))
    return [linked[i:i + size] for i in range(0, len(linked), size)]


def pairs_read(linked: list[Link], pieces: Pieces, index: SeriesIndex) -> Iterator[tuple[Link, PairRead]]:
    """Yield (link, what its scans gave) in order.

    Args:
        linked, pieces: of `read_linked`; index: what it returned.

    Raises:
        UserError: a piece that was written a moment ago cannot be read.
    """
    for i, batch in enumerate(_batches(linked)):
        found = load_piece(pieces.file(i))
        if len(found) != len(batch):
            raise UserError(f"{pieces.file(i)} was damaged or removed since it was written: start again, what is whole "
                            "is kept.")
        yield from ((link, _told(link, read, index)) for link, read in zip(batch, found, strict=True))


def pairs_seen(delivery, index: SeriesIndex, linked: list[Link], workers: int,
               decode: bool) -> Iterator[tuple[Link, PairRead]]:
    """Yield (link, what its scans give) in order, without crops; nothing is kept or written.

    Args:
        delivery: folder; index: of its series; linked: nodules; workers: processes, 0 for one a core; decode: read the
            pixels too, as `read_linked` does, not the headers alone.
    """
    unread = _unread(delivery, index, linked)
    jobs = ((_scans(batch, index, unread), decode) for batch in _batches(linked))
    seen = in_order(_see, jobs, n_workers(workers, len(linked)))
    return ((link, _told(link, read, index)) for link, read in zip(linked, chain.from_iterable(seen), strict=True))


def _told(link: Link, read: PairRead, index: SeriesIndex) -> PairRead:
    """What the scans of a link gave, its refusal marked where one of the two is not in the delivery."""
    uids = (link.start.uid, link.end.uid)
    if not set(uids) <= index.keys():
        return replace(read, refusal=AbsentSeriesError(read.refusal.code, read.refusal.message))
    if read.refusal and read.refusal.code == "E15":
        named = next((uid for uid in uids if _is_only_named(uid, index[uid])), None)
        if named is not None:
            return replace(read, refusal=AbsentSeriesError("E15", (
                f"series {named} is not in the delivery, though a file of another names it: {read.refusal.message}; "
                f"{FETCH}")))
    return read


def _is_only_named(uid: str, folders: list[str]) -> bool:
    """Whether what lies in the folders of a series is of another one, e.g. a segmentation of it."""
    try:
        held = {Header(path).stored("SeriesInstanceUID") for path in chain.from_iterable(map(regular_files, folders))
                if is_dicom(path)}
    except (RefusedError, OSError):                                   # a damaged file may be of it
        return False
    return bool(held) and uid not in held


def _see(scans: list[tuple[Scan, Scan]], decode: bool) -> list[PairRead]:
    """What some pairs give, without crops."""
    open_series = lru_cache(SERIES_AT_HAND)(read_series)
    see = read_both if decode else see_pair
    return [replace(see(first, second, open_series), crops=None) for first, second in scans]


def _unread(delivery, index, linked) -> str:
    """What lies in a delivery and may be a series that the `index` lacks, in words; empty where it lacks none."""
    wanted = {link.start.uid for link in linked} | {link.end.uid for link in linked}
    if wanted <= index.keys():
        return ""
    nameless = [f"{one_line(Path(folder).relative_to(delivery))} (no SeriesInstanceUID can be read in it)"
                for folder in index.nameless]
    return " or ".join(filter(None, [*nameless[:2], packed_or_lost(delivery)]))


def _scans(links, index, unread) -> list[tuple[Scan, Scan]]:
    """The two scans of each link, with their folders by the `index` of series; an absent one stands for both.

    Source: ours, because a scan whose partner is not there would be read for nothing.
    """
    def scan(link, year, centre):
        folders = _with_images(index.get(centre.uid, []))
        return Scan(folders=folders, pid=link.pid, year=year, centre=centre, unread=unread)

    def both(link):
        first = scan(link, link.year, link.start)
        second = scan(link, link.year + 1, link.end)
        absent = [one for one in (first, second) if not one.folders]
        return (absent[0], absent[0]) if absent else (first, second)

    return list(map(both, links))


def _with_images(folders: list[str]) -> list[str]:
    """Of several folders that name one series, those with CT images, where any has some.

    Source: ours, because a segmentation or a report in a folder of its own names the series that it is of.
    """
    if len(folders) < 2:
        return folders
    return [folder for folder in folders if _has_images(folder)] or folders


def _has_images(folder: str) -> bool:
    """Whether a folder holds an axial CT image, whatever else may be wrong with it."""
    try:
        read_series(folder)
    except RefusedError as error:
        return error.code != "E15"
    return True
