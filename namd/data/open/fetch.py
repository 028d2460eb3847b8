"""`python -m namd fetch`: from the public lists to a delivery that notebook 01 reads."""

from pathlib import Path

from namd.data.nlst.lists import read_lists
from namd.data.open import index, plan, public
from namd.data.open.bucket import Buckets
from namd.data.open.series import Job
from namd.data.open.summary import free, not_fetched, origins, summary
from namd.data.open.tables import fetch_tables
from namd.data.open.work import fetch_all
from namd.ground import files
from namd.ground.errors import UserError
from namd.ground.paths import REPO

LICENCE_FILE = "LICENCES.txt"
SHOWN = 10                              # of the series that cannot be had


def fetch(p, dry_run=False, n_subjects=0, whole=False, at_once=16, say=print) -> int:
    """Say what there is, of which licence, and how much; then put lists, tables and slices into `p.data_delivery`.

    Args:
        p: parameters data_source (open), data_delivery, data_second_year, open_lists.
        dry_run: stop when it is said; only the lists, 1 MB, are fetched for that.
        n_subjects: a stratified sample of so many participants; 0 is all.
        whole: every slice of a series, not those around the nodules alone.
        at_once: series side by side.

    Returns:
        0, or 2 where some series cannot be had; the same command tries them again and finds the others done.

    Raises:
        UserError: nothing is listed, the server is out of reach or denies access, or the disk is full.

    Source: NLST at IDC (CC BY 4.0), and the lists of `public.LISTS`.
    """
    if p.data_source != "open":
        raise UserError(f"data_source is {p.data_source}: fetch is for `data_source: open`, as in params/open.yaml.")
    root = REPO / p.data_delivery
    if root.exists() and not root.is_dir():
        raise UserError(f"data_delivery is {root}, which is a file: name a folder, there or not.")
    index.version()                     # nothing can be told without it
    public.fetch_lists(p.open_lists, root, Buckets(), say)
    if "sybil" in p.open_lists:
        _say_absent(fetch_all(public.boxes(), root, at_once), say)
    found = _pairs(root, p.data_second_year, say)
    rows = index.of_series(plan.uids(found))
    absent = plan.uids(found) - rows.keys()
    if absent:
        say(f"{len(absent)} listed series are not in IDC {index.version()}, e.g. {min(absent)}; without their pairs:")
        found = [pair for pair in found if not plan.uids([pair]) & absent]
    if not found:
        raise UserError(f"None of the pairs listed in {root} is in IDC {index.version()}.")
    if n_subjects:
        found = plan.sample(found, n_subjects)
    jobs = plan.jobs(found, rows, whole)
    say("\n".join(summary(root, found, rows, jobs, whole)))
    if dry_run:
        for line in not_fetched():
            say(line)
        return 0
    _need_space(root, jobs)
    fetch_tables(root, Buckets(), say)
    _write_origins(root, origins(found, rows))
    absent = fetch_all(jobs, root, at_once)
    _say_absent(absent, say)
    say(f"{len(jobs) - len(absent)} of {len(jobs)} series are in {p.data_delivery}, every file checked.")
    return 2 if absent else 0


def _pairs(root: Path, second_year: bool, say) -> list[plan.Pair]:
    """Nodules that a list of the delivery places in two years."""
    listed, refused = read_lists(root)
    if refused:
        say(f"{len(refused)} rows of the lists are of no use, e.g. {refused[0].source_id}: {refused[0].message}")
    found = plan.pairs(listed, second_year)
    if not found:
        raise UserError(f"No list in {root} places a nodule in two years: name nlstx or gmae in open_lists, or put a"
                        f" list there, e.g. LUNA25's public table ({public.LUNA25}).")
    return found


def _need_space(root: Path, jobs: list[Job]) -> None:
    """Stop before a disk is filled."""
    held = sum(file.stat().st_size for file in (root / plan.FOLDER).rglob("*.dcm"))
    need = sum(job.kept for job in jobs) - held
    left = free(root / plan.FOLDER)
    if need > left:
        raise UserError(f"{root} needs about {need / 1e9:.1f} GB more, and {left / 1e9:.1f} GB are free: free"
                        " some, name a data_delivery on another disk, or take a sample with --subjects.")


def _write_origins(root: Path, text: str) -> None:
    """LICENCES.txt; one that already says so is left as it is."""
    path = root / LICENCE_FILE
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    with files.replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _say_absent(absent: dict[Job, Exception], say) -> None:
    """The series that cannot be had, each with its reason."""
    for job, error in list(absent.items())[:SHOWN]:
        say(f"series {job.row.uid}: {error}")
    if len(absent) > SHOWN:
        say(f"... and {len(absent) - SHOWN} more series that cannot be had")
