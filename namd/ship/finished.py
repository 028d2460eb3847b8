"""One trained arm of a finished run, or what was shipped of it, opened to predict with."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from namd.data.cohort import Cohort
from namd.ground import precision, process
from namd.ground.errors import UserError
from namd.ground.paths import located
from namd.ground.reading import read_json, reading
from namd.models.authors import open_pipeline
from namd.models.judge import Judge, load_judge
from namd.models.pipeline import NAMDPipeline
from namd.ship.folder import MANIFEST, first_changed, first_unlike
from namd.study.params import Parameters

NEEDED = {"cohort/manifest.json": "01", "arms/{arm}/namd/model_index.json": "04", "arms/{arm}/runs/04.json": "04",
          "judge/config.json": "05", "runs/05.json": "05"}
AGAIN = "take the folder from the repository again, or make it again with `python -m namd ship`"
RUN = "run.json"                            # of a shipped model: what else a prediction needs of its run
COMPARED = {"t0_thickness_mm": ("slice thickness", "mm"), "t0_gap_mm": ("slice gap", "mm"),
            "t0_spacing_mm": ("pixel size", "mm"), "age": ("age", "years"), "sct_long_dia": ("longest diameter", "mm")}
EXAMPLES = "a finished run such as outputs/quick, or a shipped model such as outputs/reference/models/namd-small"


@dataclass(frozen=True)
class FinishedArm:
    """What a finished run holds for one arm: its models, where they come from, and what the training nodules span."""

    about: dict             # run, arm, digest, key, commit, judge_key, synthetic_training, training_pairs, ...
    p: Parameters           # of notebook 04
    ranges: dict            # {column of COMPARED: (smallest, largest)} of the training, where it is known
    kernels: list[str] | None   # of the training's baseline scans; None where nobody knows
    pipe: NAMDPipeline
    judge: Judge

    @property
    def window(self) -> tuple[int, int]:
        """HU shown as -1 and as +1."""
        return self.p.window_low, self.p.window_high


def open_arm(run, arm=None) -> FinishedArm:
    """One arm of a finished run, or the one that a shipped model holds; None is the run's main one.

    Args:
        run: folder, from the current one or from the checkout.

    Raises:
        UserError: neither is there, a notebook of the run is still to be run, or the model is not as it was shipped.
    """
    root = located(run)
    if not root.is_dir():
        raise UserError(f"There is no run at {run}: give the folder of {EXAMPLES}.")
    if (root / MANIFEST).is_file() and (root / RUN).is_file():
        return _open_shipped(root, arm)
    if not any((root / part).exists() for part in ("arms", "cohort", "runs")):
        raise UserError(f"{run} is neither a run nor a shipped model with its judge: give the folder of {EXAMPLES}.")
    return open_run(root, arm)


def open_run(run, arm=None) -> FinishedArm:
    """Models, stamps and the span of the training nodules of one arm of a finished run; None is the run's main one.

    Raises:
        UserError: no such arm, or a notebook of it is still to be run.
    """
    root = Path(run)
    arm = arm or _main_arm(root)
    _refuse_unfinished(root, arm)
    stamp = read_json(root / f"arms/{arm}/runs/04.json", "04", "arm", "digest", "key", "commit", "parameters")
    judged_by = read_json(root / "runs/05.json", "05", "key")
    cohort = Cohort.open(root / "cohort")
    train = cohort.split("train").table
    about = {"run": root.resolve().name, **{name: stamp[name] for name in ("arm", "digest", "key", "commit")},
             "judge_key": judged_by["key"], "synthetic_training": cohort.manifest["synthetic"],
             "training_pairs": len(train), "training_malignant_share": float((train["label"] == 1).mean())}
    pipe, judge = _models(root / "arms" / arm / "namd", root / "judge", stamp["parameters"]["precision"])
    return FinishedArm(about, Parameters.part(stamp["parameters"]), _ranges(train),
                       sorted(train["t0_kernel"].dropna().unique()), pipe, judge)


def _open_shipped(root: Path, arm) -> FinishedArm:
    changed = first_changed(root)
    if changed:
        raise UserError(f"{root}: {changed} is absent or not as it was shipped: {AGAIN}.")
    said = read_json(root / RUN, "05", "about", "name", "parameters", "ranges", "kernels", again=AGAIN)
    with reading(root / RUN, "05", AGAIN):
        about = {**said["about"], "shipped_as": said["name"]}
        shipped_arm = about["arm"]
        parameters = Parameters.part(said["parameters"])
        arithmetic = said["parameters"]["precision"]
    if arm not in (None, shipped_arm):
        raise UserError(f"{root.name} has no arm {arm}: it was shipped with {shipped_arm} alone.")
    pipe, judge = _models(root, root / "judge", arithmetic)
    _refuse_another_llm(root, Path(pipe.config.llm_path))
    return FinishedArm(about, parameters, said["ranges"], said["kernels"], pipe, judge)


def _refuse_another_llm(root: Path, llm: Path) -> None:
    """UserError where the language model beside a shipped one is gone, or not the one it was trained with."""
    if ".." in llm.parts and not llm.is_dir():
        raise UserError(f"{root} reads its language model from {llm}, seen from there, where nothing is: put that"
                        " folder back, or ship the run again.")
    trained_with = read_json(root / MANIFEST, "05", "language_model", again=AGAIN)["language_model"] or {}
    with reading(root / MANIFEST, "05", AGAIN):
        changed = first_unlike(llm, dict(trained_with.get("sha256", {})))
    if changed:
        raise UserError(f"{root} was trained with another {llm.name}: {changed} in it is not as it was then. Take that"
                        " folder from the repository again, or train and ship anew.")


def _models(pipeline: Path, judge: Path, arithmetic: str) -> tuple[NAMDPipeline, Judge]:
    """Both, on this machine's device, which is not always that of the training."""
    device = process.device("auto")
    precision.set_arithmetic(arithmetic)
    return (open_pipeline(pipeline, precision=arithmetic).to(device), load_judge(judge).to(device))


def _ranges(train: pd.DataFrame) -> dict:
    """{column: (smallest, largest)} over the nodules that have a value there."""
    values = train[list(COMPARED)].astype("float64")
    return {name: (float(seen.min()), float(seen.max())) for name in COMPARED if len(seen := values[name].dropna())}


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
                        f"(`python -m namd run {number} --params <your parameter file>`).")


def _main_arm(root: Path) -> str:
    """The arm that notebook 05 calls NAMD."""
    _refuse_missing(root, "runs/05.json", "05")
    return read_json(root / "runs/05.json", "05", "parameters")["parameters"]["arm"]
