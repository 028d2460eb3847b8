"""The record e as a radiology report (Fig. 4) and as numbers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

NODULE = ["sct_pre_att", "sct_epi_loc", "sct_long_dia", "sct_perp_dia", "sct_margins"]
PATIENT = ["age", "diagemph", "gender", "famfather", "fammother", "fambrother", "famsister", "famchild"]
EHR = NODULE + PATIENT                  # the 13 features, in the order of Table 2
FAMILY = PATIENT[3:]
CDAS_ONLY = ["diagemph", *FAMILY]       # the public tables lack them
DIAMETERS = ["sct_long_dia", "sct_perp_dia"]
KNOWN = {"sct_pre_att": [1, 2, 3, 4, 6, 7], "sct_margins": [1, 2, 3], "sct_epi_loc": [1, 2, 3, 4, 5, 6, 8]}
ATTENUATION = {1: "soft tissue", 2: "ground glass", 3: "part solid", 4: "fluid", 6: "fat", 7: "other attenuation"}
MARGIN = {1: "spiculated", 2: "smooth", 3: "poorly defined"}
LOBE = {1: "right upper lobe", 2: "right middle lobe", 3: "right lower lobe", 4: "left upper lobe", 5: "lingula",
        6: "left lower lobe", 8: "lung outside the lobes"}
GENDER = {1: "male", 2: "female"}
UNABLE = 9                              # unable to determine
EMPTY_REPORT = ""                       # the null prompt of Eq. 9


@dataclass(frozen=True)
class Scale:
    """Means and spreads of some columns of a split, by which the rows of other splits are standardised too."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def measured(cls, values) -> "Scale":
        """Of (N, n) numbers, missing ones (NaN) left out; a column without any has mean 0, a constant one spread 1."""
        values = np.array(values)
        values[:, np.isnan(values).all(axis=0)] = 0             # numpy warns of a mean of nothing
        mean = np.nanmean(values, axis=0)
        spread = np.nanstd(values, axis=0)
        return cls(tuple(mean.tolist()), tuple(np.where(spread > 0, spread, 1).tolist()))

    def scores(self, values) -> np.ndarray:
        """Standard scores of (N, n) numbers, 0 for missing ones."""
        return np.nan_to_num((values - np.array(self.mean)) / np.array(self.std))


def report_text(row) -> str:
    """Report of one record in the words of Fig. 4; what is missing is called unknown.

    Args:
        row: mapping with the 13 names of `EHR`; missing values are None, NaN or NA.

    Returns:
        Two sentences. The perpendicular diameter is not said, and the five family flags become one phrase, as in
        Fig. 4; `family history of cancer` needs one yes, `no family history` needs five times no.

    Source: paper App. C, Fig. 4, which shows one record. Ours are the words for missing values and for a plain no
        ("no prior diagnosis of emphysema and no family history of cancer", where the authors' code says nothing), "soft
        tissue" for Table 2's "Soft", the attenuations and the place that Table 2 leaves out, "An", and sizes without an
        idle ".0".
    """
    gender = _word(GENDER, row["gender"], "person of unknown gender")
    person = f"{gender} of unknown age" if pd.isna(row["age"]) else f"{row['age']:g} years old {gender}"
    emphysema = _history(row["diagemph"], "prior diagnosis of emphysema")
    family = _history(family_history(row), "family history of cancer")
    attenuation = _word(ATTENUATION, row["sct_pre_att"], "unknown attenuation")
    article = "An" if attenuation[0] in "aeiou" else "A"
    margin = _word(MARGIN, row["sct_margins"], "unknown")
    lobe = _word(LOBE, row["sct_epi_loc"], "unknown lobe")
    size = "of unknown size" if pd.isna(row["sct_long_dia"]) else f"{row['sct_long_dia']:g} mm in size"
    return (f"Lung cancer screening with low dose computed tomography performed for this {person} with {emphysema} "
            f"and {family}. {article} {attenuation} nodule, with {margin} margin, {size} is present in the {lobe}.")


def _word(words: dict, code, unknown: str) -> str:
    """Word of a code; `unknown` for a missing value and for 9, unable to determine."""
    return unknown if pd.isna(code) else words.get(int(code), unknown)


def _history(flag, what: str) -> str:
    """A yes, a no, or neither, in words."""
    if pd.isna(flag):
        return f"unknown {what}"
    return what if flag == 1 else f"no {what}"


def family_history(row) -> int | None:
    """1 where one relative had lung cancer, 0 where none of five had, None where that is not known."""
    flags = [row[name] for name in FAMILY]
    known = [flag for flag in flags if not pd.isna(flag)]
    if 1 in known:
        return 1
    return 0 if len(known) == len(flags) else None


def report_texts(ehr: pd.DataFrame, text_report: str = "record") -> list[str]:
    """One report a row, in the order of `ehr`; the empty one for everybody where `text_report` is none."""
    if text_report == "none":
        return [EMPTY_REPORT] * len(ehr)
    return [report_text(row) for row in ehr.to_dict("records")]


def nodule_features(attributes: pd.DataFrame, kind: str, scale: Scale | None = None) -> tuple[np.ndarray, Scale]:
    """Nodule features f for the alignment loss (Eq. 2).

    Args:
        attributes: (N, 5) columns of `NODULE`.
        kind: `standardised` (log diameters as z-scores, one-hot codes / sqrt 2, so that two different codes are at
            distance 1) or `raw` (the five numbers as the tables hold them, lobe code beside millimetres).
        scale: what an earlier call returned, so that validation rows use the training means; None measures them.

    Returns:
        (N, n_feat) float32, and their scale. A missing diameter takes the mean (0 as z-score), a missing code no
        category.

    Source: `raw` from the authors' code; `standardised` is ours, because integer codes are not distances.
    """
    if kind not in ("standardised", "raw"):
        raise ValueError(f"kind is '{kind}'; use standardised or raw")
    if kind == "raw":
        values = _floats(attributes, NODULE)
        scale = scale or Scale.measured(values)
        return np.where(np.isnan(values), scale.mean, values).astype(np.float32), scale
    sizes = np.log(_floats(attributes, DIAMETERS))
    scale = scale or Scale.measured(sizes)
    codes = [_one_hot(attributes[name], KNOWN[name]) / np.sqrt(2) for name in KNOWN]
    return np.hstack([scale.scores(sizes), *codes]).astype(np.float32), scale


def has_attributes(attributes: pd.DataFrame) -> np.ndarray:
    """(N,) bool, which of (N, 5) rows of `NODULE` name at least one attribute; 9, unable to determine, names none."""
    return ~np.hstack([_is_unknown(attributes[name]) for name in NODULE]).all(axis=1)


def record_vector(ehr: pd.DataFrame, scale: Scale | None = None) -> tuple[np.ndarray, Scale]:
    """All 13 features as numbers, for the controls that see no text.

    Args:
        ehr: (N, 13) columns of `EHR`.
        scale: what an earlier call returned; None measures means and spreads.

    Returns:
        (N, 39) float32: z-scores of the log diameters and the age, one-hot codes, 0/1 flags, and one missing flag
        for each feature; and the scale of the three numbers.

    Source: ours.
    """
    numbers = np.hstack([np.log(_floats(ehr, DIAMETERS)), _floats(ehr, ["age"])])
    scale = scale or Scale.measured(numbers)
    codes = [_one_hot(ehr[name], KNOWN[name]) for name in KNOWN]
    flags = [_one_hot(ehr[name], [2 if name == "gender" else 1]) for name in PATIENT[1:]]
    missing = [_is_unknown(ehr[name]) for name in EHR]
    return np.hstack([scale.scores(numbers), *codes, *flags, *missing]).astype(np.float32), scale


def _floats(frame, names) -> np.ndarray:
    """Columns as float64 with NaN for missing."""
    return frame[names].astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _is_unknown(column) -> np.ndarray:
    """(N, 1) whether a value is missing, or 9 (unable to determine) in a column that has this code."""
    unknown = column.isna()
    if column.name in KNOWN:
        unknown = unknown | column.eq(UNABLE).fillna(False)
    return unknown.to_numpy(dtype=bool)[:, None]


def _one_hot(column, codes) -> np.ndarray:
    """(N, len(codes)) 0/1; a row of zeros for a missing value or another code."""
    return np.stack([column.eq(code).fillna(False).to_numpy(dtype=float) for code in codes], axis=1)
