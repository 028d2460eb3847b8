"""The command: what is asked is checked, drawn, written and said."""

import textwrap
from pathlib import Path

from namd.data.dicom.nodule import read_nodule_at
from namd.data.record import read_record
from namd.forecasters.drawing import run_seeds
from namd.ground import marks
from namd.ground.errors import UserError
from namd.predict.draw import draw
from namd.predict.write import WRITTEN, as_json, write
from namd.ship.finished import open_arm


def predict(run, series, center, ehr, k_runs, out, arm) -> int:
    """Draw follow-ups of one nodule, judge them, and write images, maps, DICOM files and prediction.json.

    Args:
        run: folder of a finished run or of a shipped model; arm: which trained arm, None for the main one.
        series: folder with the DICOM files of one CT series.
        center: (x, y, z) of the nodule in mm, DICOM patient coordinates.
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
    record, missing = read_record(ehr)
    nodule = read_nodule_at(series, center)
    finished = open_arm(run, arm)
    out = _folder(out, series)                          # last, so that a wrong --run leaves no empty folder
    found = draw(finished, nodule, record, missing, run_seeds(k_runs))
    said = as_json(finished, found)
    write(out, finished, found, said)
    _say(said, [str(out / name) for name in WRITTEN])
    return 0


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


def _trained(model) -> str:
    """On how many pairs, where it is known."""
    if model["training_pairs"] is None:
        return "trained elsewhere, on whom is not recorded"
    return f"{model['training_pairs']} pairs, {model['training_malignant_share']:.0%} malignant"


def _say(found, written) -> None:
    """The summary for people."""
    nodule = found["nodule"]
    model = found["model"]
    prob = found["probability_of_malignancy"]
    x, y, z = nodule["center_mm"]
    sd = "" if prob["sd"] is None else f" ± {prob['sd']:.2f} ({prob['low']:.2f} to {prob['high']:.2f})"
    shipped = f"{model['shipped_as']} of " if "shipped_as" in model else ""
    lines = [
        ("namd predict", found["use"].upper()),
        ("series", f"{nodule['n_slices']} slices, {nodule['spacing_mm']:.3f} mm pixels, kernel {nodule['kernel']}"),
        ("nodule", f"x {x:g}, y {y:g}, z {z:g} mm: slice {nodule['slice_instance']}, {nodule['core_hu']:.0f} HU"),
        ("report", found["report"] or "none: this arm reads no report"),
        ("missing", ", ".join(found["missing"]) or "nothing"),
        ("model", f"{shipped}run {model['run']}, arm {model['arm']}, digest {model['digest']}, {_trained(model)}"),
        ("malignancy", f"p = {prob['mean']:.2f}{sd} over K = {prob['k']} drawn follow-ups; "
                       f"{prob['baseline_image']:.2f} for the baseline image"),
        *(("note", note) for note in found["notes"]),
        ("meaning", found["meaning"]),
        ("written", ", ".join(written)),
    ]
    for name, text in lines:
        print(textwrap.fill(text, 100, initial_indent=f"{name:<14}", subsequent_indent=" " * 14))
