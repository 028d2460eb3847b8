"""The patients and images of a data set, under names that hold wherever it comes from."""

from dataclasses import dataclass
from hashlib import sha256

import pandas as pd

from namd.data.cohort import Cohort
from namd.data.leakage.shipped import Training, one_name, training
from namd.data.phantom.registry import subject_of


@dataclass(frozen=True)
class DataSet:
    """Whom a data set holds and which images; None where nothing records it."""

    name: str
    patients: frozenset[str] | None     # NLST's pids are numbers wherever they stand, LIDC's are LIDC-IDRI-0001
    images: dict[str, str] | None       # sha256 of a crop's bytes -> the nodule and year it is of


def splits(cohort: Cohort) -> list[DataSet]:
    """Training, validation and test set of a cohort, those of them that hold somebody.

    Source: ours, because the same slice under two names is in two splits although no patient is.
    """
    names = [name for name in ("train", "val", "test") if (cohort.pairs.split == name).any()]
    return [_of_table(name, cohort.split(name), cohort.manifest.get("phantom_seed")) for name in names]


def readings(cohort: Cohort, phantom_seed: int | None) -> DataSet:
    """The cohort of LIDC's readings, or of another delivery in its layout.

    Args:
        phantom_seed: of the phantom that it was read from; None for another delivery.
    """
    return _of_table("LIDC", cohort.split("train"), phantom_seed)


def _of_table(name: str, pairs, phantom_seed) -> DataSet:
    """Everybody in some pairs, and every image."""
    table = pairs.table
    images = _images(pairs.x1_hu, table.nodule_id + " T" + table.t0_year.astype("string"))
    if table.t1_index.notna().all():
        images |= _images(pairs.x2_hu, table.nodule_id + " T" + table.t1_year.astype("string"))
    return DataSet(name, frozenset(patient_name(each, phantom_seed) for each in table.patient_id), images)


def _images(crops, names: pd.Series) -> dict[str, str]:
    """Digest of each crop, and what it is of."""
    return {sha256(crop.tobytes()).hexdigest(): name for crop, name in zip(crops, names, strict=True)}


def patient_name(patient_id: str, phantom_seed: int | None = None) -> str:
    """One name for one patient, whoever writes it; of a phantom its seed and subject.

    Source: ours; LUNA25, GM-AE, IDC's boxes and LIDC-annot-NLST501 name NLST's participants by NLST's own pid, while
    two phantoms share numbers and no subject.
    """
    if phantom_seed is None:
        return one_name(patient_id)
    return f"phantom {phantom_seed} subject {subject_of(patient_id)}"


def pretrained(**paths: str) -> list[DataSet]:
    """What the models at `paths` have learnt from, as their MANIFEST.json names it.

    Args:
        paths: parameter -> path or hub id, "" for none. A manifest may say `phantom_seed` (and in `parameters`
            pretrain_subjects), `patients` (a list of ids) and `images` (sha256 of crops, 128 x 128 int16 HU).

    Raises:
        UserError: of `training`.

    Source: ours, because a model that has seen the test patients forecasts what it remembers.
    """
    found = {}
    for parameter, path in paths.items():
        if path:
            found.setdefault(path, []).append(parameter)
    return [_of_model(f"{' and '.join(parameters)} ({path.rstrip('/').rpartition('/')[2]})", training(path))
            for path, parameters in found.items()]


def _of_model(name: str, said: Training) -> DataSet:
    """What a manifest says; None where it does not."""
    patients = said.patients
    if said.subjects is not None:
        of_phantom = {f"phantom {said.phantom_seed} subject {subject}" for subject in range(said.subjects)}
        patients = (patients or frozenset()) | of_phantom
    images = None if said.images is None else dict.fromkeys(said.images, "an image of it")
    return DataSet(name, patients, images)
