"""python -m namd predict: follow-ups of one nodule of a CT series. Research only."""

import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from namd.data.cohort import Cohort
from namd.data.dicom.nodule import Nodule, read_nodule_at
from namd.data.dicom.secondary import RESEARCH_ONLY, SYNTHETIC, write_secondary
from namd.data.images import MM_PER_PX, centre_crop, window
from namd.data.record import read_record
from namd.data.report import report_text
from namd.evaluation.figures.prediction import follow_up_grid, spread_maps, to_hu
from namd.forecasters.drawing import run_seeds
from namd.ground import marks, precision
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.reading import read_json
from namd.models.judge import Judge, load_judge
from namd.models.pipeline import NAMDPipeline

NEEDED = {"cohort/manifest.json": "01", "arms/{arm}/namd/model_index.json": "04", "arms/{arm}/runs/04.json": "04",
          "judge/config.json": "05", "runs/05.json": "05"}
WRITTEN = ("follow_up.png", "variance.png", "follow_up", "prediction.json")
AIR_HU, CORE_MM = -700, 3
NOT_A_PATIENT = ("the models were trained on synthetic phantom data, so the images and the probability show how the "
                 "program works and mean nothing for a patient")


@dataclass
class Trained:
    """What a finished run holds for one arm: its models, stamps and training nodules."""

    name: str
    stamp: dict             # runs/04.json of the arm
    judged_by: dict         # runs/05.json
    p: SimpleNamespace      # parameters of notebook 04
    synthetic: bool
    train: pd.DataFrame     # pairs.parquet, training split
    pipe: NAMDPipeline
    judge: Judge


def predict(run, series, center, ehr, k_runs, out, arm="namd") -> int:
    """Draw follow-ups of one nodule, judge them, and write images, maps, DICOM files and prediction.json.

    Args:
        run: folder of a finished run; arm: which of its trained arms.
        series: folder with the DICOM files of one CT series.
        center: "x,y,z", the nodule in mm, DICOM patient coordinates.
        ehr: JSON file with the record; None when nothing is known.
        k_runs: follow-ups to draw, with the authors' seeds.
        out: folder to write.

    Returns:
        0, the exit status.

    Raises:
        UserError: any of the inputs cannot be used, or `out` holds files of these names that are not ours.

    Source: Sec. 3.3.2 and 4.1.2 (samples, judged by a classifier of real follow-ups).
    """
    if k_runs < 1:
        raise UserError(f"-k is {k_runs}: draw at least one follow-up (the paper draws 20).")
    point, (record, missing) = _point(center), read_record(ehr)
    out = _folder(out, series)
    nodule, trained = read_nodule_at(series, point), open_run(run, arm)
    p, seeds = trained.p, run_seeds(k_runs)
    x1 = torch.from_numpy(window(centre_crop(nodule.crop, p.image_size), p.window_low, p.window_high))[None, None]
    name = f"{nodule.series.uid} {' '.join(f'{value:.2f}' for value in point)}"
    x2_hat = trained.pipe(x1, pd.DataFrame([record], index=[name]), seeds, batch_size=p.eval_batch)[:, 0]
    prob, prob_x1 = trained.judge.prob(x2_hat).numpy(), float(trained.judge.prob(x1))
    found = _summary(trained, nodule, record, missing, prob, prob_x1, seeds)
    written = _write(out, trained, nodule, x1[0, 0].numpy(), x2_hat[:, 0].numpy(), found)
    _say(found, written)
    return 0


def _point(center) -> tuple[float, float, float]:
    """(x, y, z) mm from "x,y,z"."""
    number = r"\s*([-+]?\d+(?:\.\d*)?)\s*"
    found = re.fullmatch(",".join([number] * 3), center)
    if not found:
        raise UserError(f"--center is '{center}': write three numbers in mm, x,y,z, e.g. --center 62.5,-18.0,-310.0")
    return tuple(float(word) for word in found.groups())


def _folder(out, series) -> Path:
    """`out`, made when it is missing, outside `series` and with nothing of a user's under the names to be written."""
    out = Path(out)
    if Path(series).is_dir() and out.resolve().is_relative_to(Path(series).resolve()):
        raise UserError(f"--out {out} lies in the folder of the scan, which stays as it is: name another folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out} cannot be made ({error.strerror}): name another folder.") from error
    for name in WRITTEN:
        marks.only_ours(out / name)
    return out


def open_run(run, arm) -> Trained:
    """Models, stamps and training nodules of one arm of a finished run.

    Raises:
        UserError: no such run or arm, or a notebook of it is still to be run.
    """
    root = Path(run)
    arms = sorted(folder.name for folder in root.glob("arms/*"))
    if not root.is_dir():
        raise UserError(f"There is no run at {run}: give the folder of a finished one, e.g. outputs/quick.")
    if arms and arm not in arms:
        raise UserError(f"Run {root.name} has no arm {arm}; it has {', '.join(arms)}.")
    for file, number in NEEDED.items():
        file = file.format(arm=arm)
        if not (root / file).is_file():
            raise UserError(f"Run {root.name} is not finished: {file} is missing; run notebook {number} first "
                            f"(`python -m namd run {number}`).")
    stamp = read_json(root / f"arms/{arm}/runs/04.json", "04", "arm", "digest", "key", "commit", "parameters")
    judged_by = read_json(root / "runs/05.json", "05", "key")
    p, cohort = SimpleNamespace(**stamp["parameters"]), Cohort.open(root / "cohort")
    precision.settle(p.precision)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Trained(root.resolve().name, stamp, judged_by, p, cohort.manifest["synthetic"], cohort.split("train").table,
                   NAMDPipeline.from_pretrained(root / "arms" / arm / "namd").to(device),
                   load_judge(root / "judge").to(device))


def _summary(trained, nodule: Nodule, record, missing, prob, prob_x1, seeds) -> dict:
    """Everything that prediction.json says."""
    item, series, p = nodule.series.slices[nodule.place], nodule.series, trained.p
    return {
        "use": RESEARCH_ONLY,
        "probability_of_malignancy": {
            "mean": float(prob.mean()), "sd": float(prob.std(ddof=1)) if len(prob) > 1 else None,
            "low": float(prob.min()), "high": float(prob.max()), "baseline_image": prob_x1, "k": len(prob),
            "values": prob.tolist(), "seeds": seeds},
        "meaning": NOT_A_PATIENT if trained.synthetic else
                   "how a classifier of real follow-up images reads the drawn ones; no diagnosis",
        "notes": _notes(trained.train, nodule, record, p.image_size * MM_PER_PX),
        "report": report_text(record), "record": record, "missing": missing,
        "nodule": {
            "series_uid": series.uid, "center_mm": list(nodule.point), "slice_instance": item.instance,
            "mm_to_slice": round(nodule.off_slice, 2), "pixel": [round(v, 2) for v in nodule.pixel],
            "core_hu": _core_hu(nodule.crop), "n_slices": len(series.slices), "spacing_mm": item.spacing,
            "gap_mm": nodule.gap, "thickness_mm": series.thickness, "kernel": series.kernel,
            "manufacturer": series.manufacturer},
        "images": {"mm_per_px": MM_PER_PX, "pixels": p.image_size, "window_hu": [p.window_low, p.window_high]},
        "model": {
            "run": trained.name, "arm": trained.stamp["arm"], "digest": trained.stamp["digest"],
            "key": trained.stamp["key"], "commit": trained.stamp["commit"], "judge_key": trained.judged_by["key"],
            "synthetic_training": trained.synthetic, "training_pairs": len(trained.train),
            "training_malignant_share": float((trained.train["label"] == 1).mean())},
    }


def _core_hu(crop) -> float:
    """Mean HU within 3 mm of the centre of a crop."""
    rows, columns = np.indices(crop.shape) - (np.array(crop.shape) - 1).reshape(2, 1, 1) / 2
    return float(crop[np.hypot(rows, columns) * MM_PER_PX <= CORE_MM].mean())


def _notes(train, nodule: Nodule, record, side_mm) -> list[str]:
    """What sets this nodule apart from those of the training, one sentence each."""
    series, spacing, notes = nodule.series, nodule.series.slices[nodule.place].spacing, []
    if _core_hu(nodule.crop) < AIR_HU:
        notes.append(f"the {2 * CORE_MM} mm around the centre have {_core_hu(nodule.crop):.0f} HU on average, which is "
                     "air: check that the centre lies on the nodule")
    measured = [("slice thickness", series.thickness, "t0_thickness_mm", "mm"),
                ("slice gap", nodule.gap, "t0_gap_mm", "mm"), ("pixel size", spacing, "t0_spacing_mm", "mm"),
                ("age", record["age"], "age", "years"),
                ("longest diameter", record["sct_long_dia"], "sct_long_dia", "mm")]
    for what, value, column, unit in measured:
        seen = train[column].dropna().astype(float)
        if value is not None and len(seen) and not seen.min() - 0.005 <= value <= seen.max() + 0.005:
            notes.append(f"{what} is {value:g} {unit}, outside the training's {seen.min():g} to {seen.max():g} {unit}")
    if (record["sct_long_dia"] or 0) > side_mm:
        notes.append(f"a nodule of {record['sct_long_dia']:g} mm does not fit into the {side_mm:.0f} mm the models see")
    if series.kernel not in set(train["t0_kernel"].dropna()):
        notes.append(f"the kernel '{series.kernel}' does not occur in the training")
    return notes


def _write(out: Path, trained, nodule: Nodule, x1, x2_hat, found) -> list[str]:
    """Images, maps, DICOM files and prediction.json below `out`; their names."""
    hu_window, prob = (trained.p.window_low, trained.p.window_high), found["probability_of_malignancy"]
    x1_hu, x2_hu = to_hu(x1, hu_window), to_hu(x2_hat, hu_window)
    heading = f"{SYNTHETIC} follow-ups, {RESEARCH_ONLY}" + "\nmodels trained on phantom data" * trained.synthetic
    about = {"Description": heading, "Source": f"run {trained.name}, digest {trained.stamp['digest']}"}
    figures = {"follow_up": follow_up_grid(x1, x2_hat, prob["values"], prob["baseline_image"], heading),
               "variance": spread_maps(nodule.crop, x1_hu, x2_hu, hu_window, heading)}
    for name, fig in figures.items():
        with replacing(out / f"{name}.png") as aside:
            fig.savefig(aside, dpi=150, format="png", metadata={"Title": name, **about})
        plt.close(fig)
    entropy = [nodule.series.uid, json.dumps(found["nodule"]["center_mm"]), found["model"]["key"], found["report"],
               str(len(x2_hu))]
    with replacing(out / "follow_up") as aside:
        write_secondary(aside, x2_hu, hu_window, entropy)
    with replacing(out / "prediction.json") as aside:
        aside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return [str(out / name) for name in WRITTEN]


def _say(found, written) -> None:
    """The summary for people."""
    nodule, model, prob = found["nodule"], found["model"], found["probability_of_malignancy"]
    x, y, z = nodule["center_mm"]
    sd = "" if prob["sd"] is None else f" ± {prob['sd']:.2f} ({prob['low']:.2f} to {prob['high']:.2f})"
    lines = [
        ("namd predict", found["use"].upper()),
        ("series", f"{nodule['n_slices']} slices, {nodule['spacing_mm']:.3f} mm pixels, kernel {nodule['kernel']}"),
        ("nodule", f"x {x:g}, y {y:g}, z {z:g} mm: slice {nodule['slice_instance']}, {nodule['core_hu']:.0f} HU"),
        ("report", found["report"]),
        ("missing", ", ".join(found["missing"]) or "nothing"),
        ("model", f"run {model['run']}, arm {model['arm']}, digest {model['digest']}, {model['training_pairs']} pairs, "
                  f"{model['training_malignant_share']:.0%} malignant"),
        ("malignancy", f"p = {prob['mean']:.2f}{sd} over K = {prob['k']} drawn follow-ups; "
                       f"{prob['baseline_image']:.2f} for the baseline image"),
        *(("note", note) for note in found["notes"]),
        ("meaning", found["meaning"]),
        ("written", ", ".join(written)),
    ]
    for name, text in lines:
        print(textwrap.fill(text, 100, initial_indent=f"{name:<14}", subsequent_indent=" " * 14))
