"""What two data sets have in common, and the one sentence that ends a run because of it."""

from pathlib import Path

import pandas as pd

from namd.data.cohort import Cohort
from namd.data.leakage.sets import DataSet, pretrained, readings, splits
from namd.data.refused import one_line
from namd.ground.errors import UserError

SHOWN = 5
UNKNOWN = "not recorded"


def compare(seen: list[DataSet], tested: list[DataSet]) -> pd.DataFrame:
    """Every set of `seen` beside every other one of `tested`.

    Args:
        seen: what something is learnt from or chosen by; tested: what that is then asked about.

    Returns:
        Columns set_a, set_b, common_patients, common_images (numbers, or "not recorded" where one of the two does not
        say), who (the first five of each).

    Source: ours; the paper splits by patient, and the authors' code adds LUNA25, which is NLST, to the pretraining.
    """
    rows = []
    done = set()
    for a in seen:
        for b in tested:
            if a is not b and (b.name, a.name) not in done:
                done.add((a.name, b.name))
                rows.append(_row(a, b))
    return pd.DataFrame(rows, columns=["set_a", "set_b", "common_patients", "common_images", "who"])


def _row(a: DataSet, b: DataSet) -> dict:
    """Two sets."""
    patients = None if None in (a.patients, b.patients) else sorted(a.patients & b.patients)
    images = None if None in (a.images, b.images) else a.images.keys() & b.images.keys()
    same = sorted(f"{a.images[digest]} = {b.images[digest]}" for digest in images or [])
    who = [", ".join(names[:SHOWN]) for names in (patients or [], same) if names]
    return dict(set_a=a.name, set_b=b.name, common_patients=UNKNOWN if patients is None else len(patients),
                common_images=UNKNOWN if images is None else len(images), who=one_line("; ".join(who)))


def refuse(compared: pd.DataFrame) -> None:
    """End a run of which something tested was seen before.

    Args:
        compared: of `compare`.

    Raises:
        UserError: two sets share a patient or an image; the sentence names the first five of each pair of sets.
    """
    leaks = []
    for row in compared.itertuples():
        numbers = {"patients": row.common_patients, "images": row.common_images}
        shared = [f"{n} {what}" for what, n in numbers.items() if n not in (0, UNKNOWN)]
        if shared:
            leaks.append(f"{row.set_a} and {row.set_b} share {' and '.join(shared)} ({row.who})")
    if leaks:
        raise UserError(f"Leak: {'; '.join(leaks)}. What is tested must not have been seen before: leave one of the"
                        " copies out of the delivery, or name another model or data set.")


def of_cohort(cohort: Cohort, p) -> pd.DataFrame:
    """What the splits of a cohort share, and with what the models have learnt from that the run begins with.

    Args:
        p: vae_path, unet_path, flux_path, llm_path.
    """
    parts = splits(cohort)
    models = pretrained(vae_path=p.vae_path, unet_path=p.unet_path, flux_path=p.flux_path, llm_path=p.llm_path)
    return compare([*parts, *models], _tested(parts))


def _tested(parts: list[DataSet]) -> list[DataSet]:
    """The splits of a cohort that something is chosen or judged by."""
    return [part for part in parts if part.name != "train"]


def before_training(cohort: Cohort, **paths: str) -> pd.DataFrame:
    """What validation and test share with the models that an arm begins with, nothing of it; else the run ends.

    Args:
        paths: parameter -> path or hub id, as of `pretrained`.

    Raises:
        UserError: of `refuse`.

    Source: ours; 01 compares the models of the main arm, and an ablation may begin with others.
    """
    models = pretrained(**paths)
    found = compare(models, _tested(splits(cohort)) if models else [])
    refuse(found)
    return found


def of_readings(cohort: Cohort, beside, p) -> pd.DataFrame:
    """What LIDC's readings share with the models that read them, and both with the test set that they judge.

    Args:
        beside: folder of NAMD's cohort, there or not; p: lidc_source, lidc_seed, autorad_encoder and the other paths.

    Source: ours; a delivery in LIDC's layout may hold NLST's participants, as those of LIDC-annot-NLST501 are.
    """
    own = readings(cohort, p.lidc_seed if p.lidc_source == "phantom" else None)
    models = pretrained(autorad_encoder=p.autorad_encoder, autorad_text=p.autorad_text,
                        autorad_autoregressive=p.autorad_autoregressive, autorad_contrastive=p.autorad_contrastive)
    parts = splits(Cohort.open(beside)) if Path(beside, "manifest.json").is_file() else []
    return compare([own, *models], [own, *(part for part in parts if part.name == "test")])
