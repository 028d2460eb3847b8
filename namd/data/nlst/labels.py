"""Benign or malignant, by one named rule; and the split by patient."""

import pandas as pd

from namd.data.codes import CANCER_SITE
from namd.data.nlst.participants import Participant
from namd.data.refused import RefusedError
from namd.ground.seeding import numpy_rng

LEFT_UPPER = 4                          # codes of LOBES
LINGULA = 5
OTHER_PLACE = 8


def rule_name(label_days: int) -> str:
    """Name under which a cohort stores its label rule."""
    return f"first_cancer_in_lobe_within_{label_days}_days"


def merged_lobe(code) -> int | None:
    """Lobe with the lingula (5) counted to the left upper lobe (4); None where unknown."""
    if pd.isna(code) or code == OTHER_PLACE:
        return None
    return LEFT_UPPER if code == LINGULA else int(code)


def label_nodule(participant: Participant, nodule: dict | None, marks: set[bool], label_days: int,
                 year: int = 0) -> int:
    """0 benign or 1 malignant for one nodule, or a refusal; nothing is guessed.

    Benign: no row of the cancer table names the participant, and the participant's own row names no cancer.
    Malignant: the first cancer was found 1 to `label_days` days after the first screen of the pair, in the nodule's
    lobe, and the nodule is the largest there or annotated. Where no row tells its lobe, it must be annotated.

    Args:
        nodule: its row of the abnormality table in the first year; None where no row is known to be its.
        marks: what the centre lists say of this nodule (True for malignant).
        year: of the first scan, 0 or 1.

    Raises:
        RefusedError: E03 two first cancers that differ, E13 cancer before the first screen, E14 what is left open.

    Source: ours; the authors' code puts the participant's label on every nodule.
    """
    if len(marks) > 1:
        raise RefusedError("E14", "the centre lists call it both benign and malignant")
    if not participant.has_cancer:
        _check_that_nothing_tells_of_cancer(participant.person, marks)
        return 0
    _check_time_of_cancer(participant, label_days, year)
    if nodule is None and True not in marks:
        raise RefusedError("E14", "a cancer patient's nodule whose lobe is unknown, and no list calls it malignant")
    if nodule is not None and not _in_cancer_lobe(participant.person, nodule):
        raise RefusedError("E14", "a cancer patient's nodule in another lobe than the cancer, or in an unknown one")
    if False in marks:
        raise RefusedError("E14", "annotated benign, but the registry finds the cancer in its lobe")
    if True not in marks and not _largest_in_lobe(participant.nodules[year], nodule):
        raise RefusedError("E14", "a cancer patient's nodule that is not the largest of its lobe")
    return 1


def early_label(participant: Participant, nodule: dict | None, marks: set[bool], label_days: int, year: int):
    """`label_nodule` before the images are read: None where it hangs on the row that they will show to be its."""
    if nodule is not None or marks or not participant.has_cancer:
        return label_nodule(participant, nodule, marks, label_days, year)
    _check_time_of_cancer(participant, label_days, year)
    return None


def _check_time_of_cancer(participant: Participant, label_days: int, year: int) -> None:
    """Refuse a first cancer found before the screen of a year, too long after it, or at an unknown time."""
    if "cancer" in participant.clashes:
        raise RefusedError("E03", f"two differing rows of the cancer table tell of {participant.pid}'s first cancer; "
                                  "only one of them can be right")
    day = participant.diagnosis_day
    screened = participant.person.get(f"scr_days{year}")
    if day is None or screened is None:
        raise RefusedError("E14", f"the day of the diagnosis or of the screen at T{year} is unknown")
    if day <= screened:
        raise RefusedError("E13", f"diagnosed on day {day:.0f}, screened at T{year} on day {screened:.0f}")
    if day - screened > label_days:
        raise RefusedError("E14", f"diagnosed {day - screened:.0f} days after the screen at T{year}, over {label_days}")


def _check_that_nothing_tells_of_cancer(person: dict, marks: set[bool]) -> None:
    """Refuse a benign label that a list or the participant's own row contradicts."""
    if True in marks:
        raise RefusedError("E14", "annotated malignant, but the participant has no cancer on record")
    outcome = person.get("can_scr")                         # 0 is no cancer
    if person.get("candx_days") is not None or (outcome is not None and outcome > 0):
        raise RefusedError("E14", "the participant table tells of a cancer that the cancer table lacks")


def _in_cancer_lobe(person: dict, nodule: dict) -> bool:
    """Whether the cancer's recorded sites include the nodule's lobe."""
    lobe = merged_lobe(nodule["sct_epi_loc"])
    sites = [site for code, site in CANCER_SITE.items() if merged_lobe(code) == lobe]
    return any(person.get(site) == 1 for site in sites)


def _largest_in_lobe(rows: dict[int, dict], nodule: dict) -> bool:
    """Whether no other nodule of that lobe is as long."""
    lobe = merged_lobe(nodule["sct_epi_loc"])
    size = nodule["sct_long_dia"]
    if size is None:
        return False
    others = [row["sct_long_dia"] for row in rows.values()
              if row is not nodule and merged_lobe(row["sct_epi_loc"]) == lobe]
    return all(other is None or other < size for other in others)


def split_patients(patient_id, label, test_share: float, val_share: float, seed: int) -> dict[str, str]:
    """train, val or test for each patient, the same share of malignant patients in each.

    Args:
        patient_id, label: (N,) one entry a pair; a patient with one malignant nodule counts as malignant.
        test_share: share of all patients; val_share: share of the others.
        seed: data_split_seed.

    Source: paper 4.1.1 (split at patient level); stratifying by label is ours.
    """
    patients = pd.Series(list(label), index=list(patient_id)).groupby(level=0).max().sort_index()
    split = {}
    for value, group in patients.groupby(patients):
        names = numpy_rng(seed, "split", int(value)).permutation(group.index.to_numpy(dtype=object))
        n_test = round(test_share * len(names))
        n_val = round(val_share * (len(names) - n_test))
        split |= dict.fromkeys(names[:n_test], "test")
        split |= dict.fromkeys(names[n_test:n_test + n_val], "val")
        split |= dict.fromkeys(names[n_test + n_val:], "train")
    return split


def is_further_test_pair(table: pd.DataFrame) -> pd.Series:
    """Whether a row of pairs.parquet is of a test patient who keeps another: the earliest, then of the longest nodule.

    Source: paper 4.1.1 (450 test pairs of 450 subjects); which one is ours.
    """
    in_order = table.sort_values(["t0_year", "sct_long_dia", "pair_id"], ascending=[True, False, True])
    is_first = ~in_order.duplicated("patient_id")
    return (table.split == "test") & ~is_first.reindex(table.index)
