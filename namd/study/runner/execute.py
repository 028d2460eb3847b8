"""Run one notebook: its lock, its arms, its reasons, papermill, and a mark that is written last."""

import errno
import os
import time
from contextlib import contextmanager

import yaml
from filelock import FileLock, SoftFileLease, Timeout

from namd.ground import files, marks
from namd.ground.errors import UserError
from namd.ground.order import PER_ARM, notebook
from namd.ground.paths import outputs_root, short
from namd.ground.surroundings import allotted, for_a_kernel
from namd.study.need import commands
from namd.study.runner import through_papermill
from namd.study.runner.done import UNFINISHED, DoneFiles
from namd.study.runner.lines import say
from namd.study.runner.twins import take_over

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
LEASE = 120         # seconds


def run_job(plan, job, expected=None):
    """Execute `job` of `plan`; returns its mark.

    Args:
        expected: key of the job's components when Snakemake asks; then a job that turns out current is not executed.

    Raises:
        UserError: the notebook failed; the sentence names its cell, the error and the executed notebook. Or the
            sources are no longer those of `expected`.

    Source: ours, because papermill calls a cell that killed its kernel "completed".
    """
    root = outputs_root() / plan.values["run_name"]
    finished = DoneFiles(plan, root)
    done = finished.file(job)
    if expected is not None and expected != plan.components(job).key:
        raise UserError(f"{job.label}: a notebook, a module or a parameter changed while the study ran;"
                        " start it again.")
    marks.begin(root)
    _need_arms(plan, job, root)
    for name in ("notebooks", "done", "runs"):
        (root / job.folder / name).mkdir(parents=True, exist_ok=True)
    with _only_one(root / job.folder / "runs" / f".{job.number}.lock", job) as waited:
        if waited and finished.holds(job):
            return done
        if expected and finished.restored(job):
            say(job, "is up to date: what it reads came out the same")
            return done
        seconds = _do(plan, job, finished)
    n_done, total = finished.finished()
    say(job, f"done in {seconds:.0f} s ({n_done} of {total} notebooks)")
    return done


def _do(plan, job, finished):
    """Execute `job`, or take over what its twin made, and write its mark; returns the seconds it took."""
    began = time.time()
    say(job, f"starts{_reason(finished.why(job))}")
    _write_parameters(plan, finished.root)
    finished.set_aside(job)
    with files.or_disk_full(finished.file(job)):
        if take_over(plan, job, finished):
            say(job, f"takes over the files of {plan.twin(job).label}, which did the same")
        else:
            _execute(plan, job, finished.root / job.folder / "notebooks" / notebook(job.number).name)
    seconds = time.time() - began
    os.sync()                       # a mark must not outlive a power cut that its artefacts did not
    finished.write(job, seconds)
    return seconds


def _reason(why):
    """What `why` says, for the line with which a job starts; nothing of one that has not run before."""
    if why == [UNFINISHED]:
        return ""
    return f": {'; '.join(why)}" if why else ": it was asked for"


def _need_arms(plan, job, root):
    """Refuse to run 05 to 08 while an arm of compare_arms is not trained: a study drops no row of Table 1 by itself."""
    if plan.imported:
        return
    for arm in plan.parameters(job).get("compare_arms", ()):
        if not (root / "arms" / arm / "runs" / f"{PER_ARM[-1]}.json").is_file():
            raise UserError(f"{job.label} compares the arm {arm}, which run {root.name} has not trained:"
                            f" {commands(root, PER_ARM[-1], arm)}")


@contextmanager
def _only_one(path, job):
    """Hold the job's lock; yields True when another process had it first. It dies with its process.

    Source: ours. A network file system without locks gets a lease instead, a file that its holder renews: it ends
    LEASE seconds after the last sign of a machine that is lost.
    """
    lock = FileLock(path, fallback_to_soft=False)
    try:
        waited = _acquired(lock, job)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lock = SoftFileLease(f"{path}.lease", lease_duration=LEASE)
        waited = _acquired(lock, job)
    try:
        yield waited
    finally:
        lock.release()


def _acquired(lock, job):
    """Acquire `lock`; True when another process had it first."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(job, "another process runs it already; waiting for it")
        lock.acquire()
        return True
    return False


def _write_parameters(plan, root):
    """params.yaml of the run: the merged values, so that any stage can be repeated by hand."""
    with files.replacing(root / "params.yaml") as aside:
        aside.write_text(yaml.safe_dump(plan.by_arm[plan.main], sort_keys=False), encoding="utf-8")


def _execute(plan, job, target):
    """Execute into a temporary file beside `target`, then rename; a failed run keeps `.failed.ipynb`."""
    values = _within(allotted(os.environ), plan.parameters(job))
    failed = target.with_suffix(".failed.ipynb")
    page = target.with_suffix(".html")
    for path in (failed, page):
        marks.only_ours(path)
    with files.replacing(target) as aside, for_a_kernel(values.get("threads", 0)):
        try:
            through_papermill.execute(notebook(job.number), aside, values, job)
        except UserError as error:
            if not aside.is_file():
                raise
            with files.replacing(failed) as kept:
                os.replace(aside, kept)
            raise UserError(f"{error}\nThe executed notebook: {short(failed)}") from None
        _write_html(aside, page, 1 + len(job.folder.parts))
    if not marks.changed(failed):       # else somebody works in it
        failed.unlink(missing_ok=True)


def _within(cores, values):
    """`values` with reader processes for so many cores, where "one a core" would count those of the whole machine."""
    return values | {"data_workers": cores} if cores and values.get("data_workers") == 0 else values


def _write_html(source, target, depth):
    """Self-contained HTML of an executed notebook, `depth` folders below the page of its run."""
    from namd.study.site.exporter import PageExporter

    told = dict(metadata=dict(name=target.stem), home="../" * depth + "index.html")
    with open(source, encoding="utf-8") as executed:
        body, _ = PageExporter().from_file(executed, resources=told)
    with files.replacing(target) as aside:
        aside.write_text(body, encoding="utf-8")
