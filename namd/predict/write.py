"""What a prediction leaves: two pictures, a DICOM series of the draws, and prediction.json."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

from namd.data.dicom.nodule import Nodule
from namd.data.dicom.secondary import RESEARCH_ONLY, SYNTHETIC, write_secondary
from namd.data.images import MM_PER_PX
from namd.evaluation.figures.plots import look
from namd.evaluation.figures.prediction import follow_up_grid, spread_maps, to_hu
from namd.ground.files import replacing, write_json
from namd.predict.draw import Prediction, core_hu
from namd.ship.finished import FinishedArm

WRITTEN = ("follow_up.png", "variance.png", "follow_up", "prediction.json")
NOT_A_PATIENT = ("the models were trained on synthetic phantom data, so the images and the probability show how the "
                 "program works and mean nothing for a patient")
NO_DIAGNOSIS = "how a classifier of real follow-up images reads the drawn ones; no diagnosis"


def as_json(arm: FinishedArm, found: Prediction) -> dict:
    """Everything that prediction.json says."""
    probability = {"mean": float(found.prob.mean()), "sd": found.sd, "low": float(found.prob.min()),
                   "high": float(found.prob.max()), "baseline_image": found.prob_x1, "k": len(found.prob),
                   "values": found.prob.tolist(), "seeds": found.seeds}
    images = {"mm_per_px": MM_PER_PX, "pixels": arm.p.image_size, "window_hu": list(arm.window)}
    return {"use": RESEARCH_ONLY, "probability_of_malignancy": probability,
            "meaning": NOT_A_PATIENT if arm.about["synthetic_training"] else NO_DIAGNOSIS, "notes": found.notes,
            "report": found.report, "record": found.record, "missing": found.missing,
            "nodule": _about_nodule(found.nodule), "images": images, "model": arm.about}


def _about_nodule(nodule: Nodule) -> dict:
    """Where the nodule lies, and how it was scanned."""
    series = nodule.series
    item = series.slices[nodule.place]
    return {"series_uid": series.uid, "center_mm": list(nodule.point), "slice_instance": item.instance,
            "mm_to_slice": round(nodule.off_slice, 2), "pixel": [round(value, 2) for value in nodule.pixel],
            "core_hu": core_hu(nodule.crop), "n_slices": len(series.slices), "spacing_mm": item.spacing,
            "gap_mm": nodule.gap, "thickness_mm": series.thickness, "kernel": series.kernel,
            "manufacturer": series.manufacturer, "body_part": series.body_part, "lossy": series.lossy,
            "padding": series.padding}


def write(out: Path, arm: FinishedArm, found: Prediction, said: dict) -> None:
    """Images, maps, DICOM files and prediction.json below `out`; `said` is what `as_json` returned."""
    heading = f"{SYNTHETIC} follow-ups, {RESEARCH_ONLY}"
    if arm.about["synthetic_training"]:
        heading += "\nmodels trained on phantom data"
    x1_hu = to_hu(found.x1, arm.window)
    x2_hu = to_hu(found.x2_hat, arm.window)
    about = {"Description": heading, "Source": f"run {arm.about['run']}, digest {arm.about['digest']}"}
    grid = follow_up_grid(found.x1, found.x2_hat, found.prob.tolist(), found.prob_x1, heading)
    _save(grid, out / "follow_up.png", about)
    maps = spread_maps(found.nodule.crop, x1_hu, x2_hu, arm.window, heading)
    _save(maps, out / "variance.png", about)
    entropy = [found.nodule.series.uid, json.dumps(list(found.nodule.point)), arm.about["key"],
               json.dumps(found.record), str(len(x2_hu))]
    with replacing(out / "follow_up") as aside:
        write_secondary(aside, x2_hu, arm.window, entropy)
    write_json(out / "prediction.json", said)


def _save(fig, path: Path, about: dict) -> None:
    """`fig` as a PNG with its name and `about` inside."""
    with look(), replacing(path) as aside:
        fig.savefig(aside, dpi=150, format="png", metadata={"Title": path.stem, **about})
    plt.close(fig)
