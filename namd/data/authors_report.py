"""The record as the authors' code words it, for models that learnt to read it so."""

import pandas as pd

from namd.data.report import FAMILY, report_text

ATTENUATION = {1: "soft", 2: "ground glass"}            # every other code: part solid
MARGIN = {1: "spiculated", 2: "smooth"}                 # every other code, and none: poorly defined
LOBE = {1: "right upper lobe", 2: "right middle lobe", 3: "right lower lobe", 4: "left upper lobe", 5: "lingula",
        6: "left lower lobe"}                           # of another place nothing is said
NEEDED = ("age", "gender", "sct_pre_att", "sct_long_dia")


def authors_report(row) -> str:
    """Report of one record in the words of Fig. 4, as the authors' code fills them in.

    Args:
        row: mapping with the 13 names of `EHR`; missing values are None, NaN or NA.

    Returns:
        Two sentences. It is silent about a no (emphysema, family), about what is not known of either and about a place
        beyond the six lobes, calls every attenuation but two "part solid" and every margin but two "poorly defined",
        and writes a size of 27 as 27.0. Where one of `NEEDED` is missing, `report_text`.

    Source: authors' code (facts of dataset.py, not its text), whose words stand in the paper's Fig. 4. It leaves out a
        person with a missing value outside margin and family; our words for those of `NEEDED` are ours.
    """
    if any(pd.isna(row[name]) for name in NEEDED):
        return report_text(row)
    said = ["prior diagnosis of emphysema"] if _is_yes(row["diagemph"]) else []
    if any(_is_yes(row[name]) for name in FAMILY):
        said.append("family history of cancer")
    history = f" with {' and '.join(said)}" if said else ""
    person = f"{int(row['age'])} years old {'male' if row['gender'] == 1 else 'female'}{history}"
    attenuation = ATTENUATION.get(int(row["sct_pre_att"]), "part solid")
    margin = "poorly defined" if pd.isna(row["sct_margins"]) else MARGIN.get(int(row["sct_margins"]), "poorly defined")
    lobe = "" if pd.isna(row["sct_epi_loc"]) else LOBE.get(int(row["sct_epi_loc"]), "")
    place = f"is present in the {lobe}." if lobe else ""
    return (f"Lung cancer screening with low dose computed tomography performed for this {person}. A {attenuation}"
            f" nodule, with {margin} margin, {float(row['sct_long_dia'])} mm in size {place}")


def _is_yes(flag) -> bool:
    """Whether a flag is 1; a missing one is not."""
    return not pd.isna(flag) and flag == 1
