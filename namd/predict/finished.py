"""One trained arm of a finished run, opened to predict with."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from namd.data.cohort import Cohort
from namd.ground import precision, process
from namd.ground.errors import UserError
from namd.ground.reading import read_json
from namd.models.judge import Judge, load_judge
from namd.models.pipeline import NAMDPipeline
from namd.study.params import Parameters

NEEDED = {"cohort/manifest.json": "01", "arms/{arm}/namd/model_index.json": "04", "arms/{arm}/runs/04.json": "04",
          "judge/config.json": "05", "runs/05.json": "05"}


@dataclass(frozen=True)
class FinishedArm:
    """What a finished run holds for one arm: its models, stamps and training nodules."""

    run: str                # name of the run's folder
    stamp: dict             # runs/04.json of the arm
    judged_by: dict         # runs/05.json
    p: Parameters           # of notebook 04
    synthetic: bool
    train: pd.DataFrame     # pairs.parquet, training split
    pipe: NAMDPipeline
    judge: Judge

    @property
    def window(self) -> tuple[int, int]:
        """HU shown as -1 and as +1."""
        return self.p.window_low, self.p.window_high


def open_run(run, arm=None) -> FinishedArm:
    """Models, stamps and training nodules of one arm of a finished run; None is the run's main one.

    Raises:
        UserError: no such run or arm, or a notebook of it is still to be run.
    """
    root = Path(run)
    if not root.is_dir():
        raise UserError(f"There is no run at {root}: give the folder of a finished one, e.g. outputs/quick.")
    arm = arm or _main_arm(root)
    _refuse_unfinished(root, arm)
    stamp = read_json(root / f"arms/{arm}/runs/04.json", "04", "arm", "digest", "key", "commit", "parameters")
    judged_by = read_json(root / "runs/05.json", "05", "key")
    p = Parameters.part(stamp["parameters"])
    cohort = Cohort.open(root / "cohort")
    device = process.device("auto")                 # not the run's, which may have been another machine's
    precision.set_arithmetic(p.precision)
    pipe = NAMDPipeline.from_pretrained(root / "arms" / arm / "namd", precision=p.precision).to(device)
    judge = load_judge(root / "judge").to(device)
    return FinishedArm(root.resolve().name, stamp, judged_by, p, cohort.manifest["synthetic"],
                       cohort.split("train").table, pipe, judge)


def _refuse_unfinished(root: Path, arm: str) -> None:
    """UserError where the run has no such arm, or lacks what one of its notebooks makes."""
    arms = sorted(folder.name for folder in root.glob("arms/*"))
    if arms and arm not in arms:
        raise UserError(f"Run {root.name} has no arm {arm}; it has {', '.join(arms)}.")
    for file, number in NEEDED.items():
        _refuse_missing(root, file.format(arm=arm), number)


def _refuse_missing(root: Path, file: str, number: str) -> None:
    if not (root / file).is_file():
        raise UserError(f"Run {root.name} is not finished: {file} is missing; run notebook {number} first "
                        f"(`python -m namd run {number}`).")


def _main_arm(root: Path) -> str:
    """The arm that notebook 05 calls NAMD."""
    _refuse_missing(root, "runs/05.json", "05")
    return read_json(root / "runs/05.json", "05", "parameters")["parameters"]["arm"]
