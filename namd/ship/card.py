"""What a shipped pipeline says of itself: what it was trained on, what was measured, and whose licence holds."""

import pandas as pd

from namd.data.cohort import Cohort
from namd.data.leakage.sets import splits
from namd.evaluation.stats.columns import COLUMNS
from namd.ground.reading import read_json, read_table
from namd.models import hub
from namd.ship.finished import FinishedArm
from namd.ship.folder import sums_of

ABOUT = ("A trained `NAMDPipeline`: nodule-aligned VAE, U-Net beside the baseline's latent, scheduler and what reads "
         "the record, with the judge of its drawings in `judge/`. Language model: {llm}. "
         "`NAMDPipeline.from_pretrained` opens this folder, `python -m namd predict --run` draws with it.")
PHANTOM = "synthetic phantom data, no patients"
OF_PATIENTS = dict(tags="lung-nodule", use="no medical device, and no opinion on any patient")


def facts(root, finished: FinishedArm, referenced: bool) -> dict:
    """What the manifest says: trained_on, measured, language_model, and images, the sums of the crops that trained.

    A run that begins with the model compares them with the crops that it tests (`data.leakage`); a sum tells nothing to
    who does not have the image.

    Args:
        referenced: whether the language model stays where it is; then the sums of its files are known.
    """
    about = finished.about
    llm = finished.pipe.config.llm_path
    source = PHANTOM if about["synthetic_training"] else _cohort(root)["source"]
    return dict(trained_on=f"the {about['training_pairs']:,} training pairs of run {about['run']}, arm {about['arm']}"
                           f" ({source}; {about['training_malignant_share']:.0%} malignant), parameters "
                           f"{about['digest']}, by the code of commit {about['commit']}.",
                measured=_measured(root, about["arm"]), language_model=language_model(llm, referenced),
                images=sorted(splits(Cohort.open(root / "cohort"))[0].images))


def language_model(path, referenced) -> dict | None:
    """Which one the prompts were trained for; no other fits.

    Args:
        path: folder or hub id, "" for none; referenced: whether it stays there; then the sums of its files are told.
    """
    if not path:
        return None
    folder = hub.directory(path)
    return hub.provenance(path) | (dict(sha256=sums_of(folder)) if referenced and folder else {})


def _cohort(root) -> dict:
    return read_json(root / "cohort" / "manifest.json", "01", "source", "licence")


def _measured(root, arm) -> dict[str, float]:
    """What Table 1 of the run says of the arm, {title: mean over its draws}; nothing before notebook 05 wrote it."""
    table = root / "metrics" / "table1.csv"
    if not table.is_file():
        return {}
    rows = read_table(table, "05", "row").set_index("row")
    if arm not in rows.index:
        return {}
    row = rows.loc[arm]
    means = {column.title: row.get(f"{column.name}_mean") for column in COLUMNS if column.in_table1}
    return {f"{title} (mean over K = {row['k']:.0f})": float(mean) for title, mean in means.items() if pd.notna(mean)}


def told(root, finished: FinishedArm, llm: str) -> dict:
    """What the card alone says: about, command, and licence, tags and use where the usual ones do not hold.

    Args:
        llm: where the language model is, in words.
    """
    about = finished.about
    said = dict(about=ABOUT.format(llm=llm),
                command=f"python -m namd ship --run outputs/{about['run']} --arm {about['arm']}")
    if not about["synthetic_training"]:
        said |= OF_PATIENTS
    bound = _licences(root, about)
    if bound:
        said |= dict(license="other", licence=f"that of the data and weights it was made from ({'; '.join(bound)})")
    return said


def _licences(root, about) -> list[str]:
    """Of patients' data, and of the weights that the stamps of notebooks 02 to 04 name."""
    found = []
    if not about["synthetic_training"]:
        found.append(_cohort(root)["licence"])
    for number in ("02", "03", "04"):
        stamp = root / "arms" / about["arm"] / "runs" / f"{number}.json"
        numbers = read_json(stamp, number).get("numbers", {}) if stamp.is_file() else {}
        found += [source["licence"] for source in numbers.get("weights", {}).values() if source["licence"]]
    return list(dict.fromkeys(found))
