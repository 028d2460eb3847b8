"""The command: builds what a run would download, rehearses it, and sets what was measured beside what was expected."""

import fcntl
import multiprocessing
import os
import re
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

import yaml

from namd.data.phantom.delivery import write_delivery
from namd.ground import files, keys, marks
from namd.ground.errors import UserError
from namd.ground.paths import outputs_root, short
from namd.rehearse import cuts, expected, report, stand_ins
from namd.rehearse.stages import DELIVERY, NEVER, NOTEBOOKS, TRAINED, Rehearsal
from namd.study.params import Parameters
from namd.study.preflight import shapes, stages, systems
from namd.study.runner.plan import Plan

FOLDER = "rehearsal"
RUN = "rehearsed"
LOCK = ".lock"
LOCKED = re.compile(r"\.\d\d\.lock")           # of a notebook
GIB = 2**30
PREDICT = "predict"
STAGES = (*NOTEBOOKS, PREDICT)
TABLE = "rehearsal.csv"
BUILT = ("models", DELIVERY, RUN, "predicted")


@dataclass(frozen=True)
class Asked:
    """How a rehearsal is cut: steps of each loop, the largest batch (0: as it is), GiB of memory, its last notebook;
    and whether what it built stays."""

    steps: int = 2
    batch: int = 0
    memory: float = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    until: str = "predict"
    keep: bool = False


def rehearse(files_given, pairs, asked: Asked) -> int:
    """Build, run, measure and compare; then delete what was built.

    Args:
        files_given, pairs: of the run, as Plan takes them; asked: as above.

    Returns:
        0, or 1 where what was measured is further from what `check` expects than a quarter, or a kill left a trace.

    Raises:
        UserError: a stage failed, or memory or disk do not suffice; the same command goes on from there.

    Source: ours, because what nobody here can train should not fail first on a hired GPU.
    """
    if asked.until not in STAGES:
        raise UserError(f"rehearse: --until {asked.until} is no stage; use one of {', '.join(STAGES)}.")
    plan = Plan(files_given, pairs)
    if plan.imported:
        raise UserError("rehearse: with pipeline_path nothing is trained, so there is nothing to rehearse: leave it"
                        " empty, or call `python -m namd check`.")
    root = marks.begin(outputs_root() / FOLDER)
    marks.only_ours(outputs_root() / TABLE)
    with _alone(root):
        return _rehearse(root, plan, asked)


def _rehearse(root, plan, asked) -> int:
    """The rehearsal itself, below `root`, which no other has meanwhile."""
    here, p = _prepare(root, plan, asked)
    kept = report.Kept(root / "measured.json", keys.sha(dict(p)))
    for stage in STAGES[:STAGES.index(asked.until) + 1]:
        if stage not in kept.rows:
            kept.add(stage, _stage(here, stage, p))
        row = kept.rows[stage]
        print(f"  {stage}: {row['seconds']:.0f} s, {row['held'] / GIB:.1f} GiB {row['killed']}", flush=True)
    wanted = dict(held=expected.held(p), written=expected.written(p))
    found = report.table(kept.rows, wanted)
    with files.replacing(outputs_root() / TABLE) as aside:
        found.to_csv(aside, index=False, float_format="%.3f")
    apart = report.apart(kept.rows, wanted)
    print(report.shown(found), *apart, sep="\n")
    if not asked.keep:
        _clear(root)
    return int(bool(apart) or any("other" in row["killed"] for row in kept.rows.values()))


@contextmanager
def _alone(root):
    """Hold the lock of the rehearsal in `root`, which dies with its process.

    Raises:
        UserError: another one holds it.
    """
    with open(root / LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"rehearse: another rehearsal runs in {short(root)}: wait until it has ended, or give"
                            " NAMD_OUTPUTS another folder.") from None
        except OSError:                     # a file system without locks
            pass
        try:
            yield
        finally:
            files.remove(root / LOCK)


def _prepare(root, plan, asked) -> tuple[Rehearsal, Parameters]:
    """Models, delivery and parameters of the rehearsal."""
    p = Parameters.part(plan.values)
    changed = cuts.cut(p, asked.steps, asked.batch)
    small = Parameters.part(plan.values | changed)
    n_layers = cuts.layers(small, int(asked.memory * GIB))
    print(f"Rehearsal of {p.run_name}: {len(stand_ins.absent(p))} models built with random weights,"
          f" {n_layers} layers of the language model")
    print(*(f"  {key}: {value} instead of {getattr(p, key)}" for key, value in changed.items()), sep="\n", flush=True)
    changed |= _apart(stand_ins.write, root / "models", small, n_layers)
    changed |= dict(run_name=RUN, data_source="delivery", data_delivery=str(root / DELIVERY))
    q = Parameters.part(plan.values | changed)
    _refuse_small_disk(root, q)
    if not (root / DELIVERY).exists():
        write_delivery(root / DELIVERY, q.phantom_subjects, q.phantom_seed, q.phantom_eps, q.phantom_gmax, "none")
    file = root / "rehearsal.yaml"
    with files.replacing(file) as aside:
        aside.write_text(yaml.safe_dump(dict(q), sort_keys=False), encoding="utf-8")
    return Rehearsal(root, file, root / RUN, q.arm), q


def _apart(build, *given):
    """`build(*given)` in a process of its own, so that this one, which waits all the time, holds no memory of models.

    Raises:
        UserError: that process was killed.

    Source: ours; getrusage(2) also counts for a child what its parent held when it was begun.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, signal.signal, (signal.SIGINT, signal.SIG_DFL)) as pool:
        try:
            return pool.submit(build, *given).result()
        except BrokenProcessPool:
            raise UserError("rehearse: the process that builds the models was killed, most often for too little memory:"
                            " --memory with fewer GiB, or a larger machine.") from None


def _refuse_small_disk(root, p) -> None:
    """Refuse a disk that the run of the rehearsal would fill; what an earlier call has made of it is there already.

    Raises:
        UserError: it is too small.
    """
    shells = shapes.build(p)
    need = stages.disk(stages.stages(shells, p, p.phantom_subjects, 1), shells, p, p.phantom_subjects, 1)
    need += systems.disk(systems.stages(p), NEVER)
    made = sum(file.stat().st_size for file in (root / RUN).rglob("*") if file.is_file())
    free = shutil.disk_usage(root).free + made
    if free < need:
        raise UserError(f"rehearse: the run takes about {need / 1e9:.2f} GB below {short(root)}, where"
                        f" {free / 1e9:.2f} GB are free: free some, or give NAMD_OUTPUTS another folder.")


def _stage(here, number, p) -> dict:
    """The row of one notebook, its training killed once where it trains, or of the prediction."""
    if number == PREDICT:
        return report.row(here.predict())
    measured = here.execute(number)
    killed = ""
    if number in TRAINED and not (number == "05" and p.judge_path):
        killed = "same bytes after SIGKILL" if here.execute_killed(number) else "other bytes after SIGKILL"
    return report.row(measured, killed)


def _clear(root) -> None:
    """Take away what the rehearsal has built; what somebody has put beside it, or into it, stays."""
    logs = [root / "logs" / f"{stage}.{kind}" for stage in STAGES for kind in ("log", "json")]
    locks = [lock for lock in (root / RUN).rglob("runs/.*.lock") if LOCKED.fullmatch(lock.name)]
    for file in [*logs, *locks]:
        files.remove(file)
    if (root / "logs").is_dir() and not any((root / "logs").iterdir()):
        files.remove(root / "logs")
    for name in (*BUILT, "measured.json", "rehearsal.yaml"):
        files.discard(root / name)
        if (root / name).exists():
            for file in [file for file in (root / name).rglob("*") if file.is_file()]:
                files.discard(file)
            print(f"{short(root / name)} stays: {marks.foreign(root / name).name} in it is not of this program.")
