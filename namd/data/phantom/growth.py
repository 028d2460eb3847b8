"""The phantom's law, second part: how a nodule changes in the year between the visits."""

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, SOFT, SPICULATED, Law, calibration, uniforms

VISIT_DRAWS = ("speed", "noise", "shrinks", "shrinkage", "spiculates", "solidifies", "doubling", "course", "change")
DOUBLING_DAYS = {SOFT: 180., GROUND_GLASS: 700., PART_SOLID: 350.}


def growth_from_aggressiveness(rows, law: Law, u) -> np.ndarray:
    """Log-diameter growth over a year that follows u, dimensionless, (N,).

    Source: ours, because a doubling time drawn from the label alone leaves a forecaster nothing to find (see the null).
    """
    steady = law.gmax * expit((rows["u"] - calibration(law.null)[1]) / .4) - .02
    growth = steady * np.exp(.35 * ndtri(u["speed"])) + .04 * ndtri(u["noise"])
    shrinkage = -np.abs(.2 + .1 * ndtri(u["shrinkage"])) * (1 - expit(rows["u"]))
    return np.asarray(np.where(u["shrinks"] < .06, shrinkage, growth), float)


def growth_given_label(rows, u) -> np.ndarray:
    """Log-diameter growth over a year from the label alone (the first null), dimensionless, (N,).

    Source: ours, because published volume doubling times (medians 180 d solid, 350 d part solid, 700 d ground glass)
    are given by diagnosis; nothing of the growth is then predictable beyond the label.
    """
    days = rows["sct_pre_att"].map(DOUBLING_DAYS) * np.exp(.6 * ndtri(u["doubling"]))
    still = .05 * ndtri(u["noise"])
    malignant = np.where(u["course"] < .9, 365 * np.log(2) / (3 * days), still)
    grows = np.abs(.12 + .1 * ndtri(u["change"]))
    shrinks = -np.abs(.15 + .12 * ndtri(u["change"]))
    benign = np.select([u["course"] < .72, u["course"] < .88], [still, grows], shrinks)
    return np.where(rows["label"] == 1, malignant, benign)


def follow_up(rows, law: Law, u) -> pd.DataFrame:
    """Nodule attributes at T1 given T0, `u` and `label`: columns t1_* and `growth` (log ratio of diameters).

    Source: ours; a spicule appears with .30 sigmoid(u), a solid part in ground glass with .35 sigmoid(u).
    """
    if law.null == "growth_given_label":
        growth = growth_given_label(rows, u)
    else:
        growth = growth_from_aggressiveness(rows, law, u)
    growth = np.clip(growth, -.7, 1.1)
    changes = expit(np.asarray(rows["u"]))
    spiculated = (rows["sct_margins"] == SPICULATED) | (u["spiculates"] < .30 * changes)
    part_solid = (rows["sct_pre_att"] == GROUND_GLASS) & (u["solidifies"] < .35 * changes)
    longest = np.clip(rows["longest_mm"] * np.exp(growth), 3, 34)
    return pd.DataFrame({"t1_longest_mm": longest,
                         "t1_perpendicular_mm": np.clip(rows["perpendicular_mm"] * np.exp(growth), 2, longest),
                         "t1_sct_pre_att": np.where(part_solid, PART_SOLID, rows["sct_pre_att"]),
                         "t1_sct_margins": np.where(spiculated, SPICULATED, rows["sct_margins"]),
                         "growth": growth}, index=rows.index)


def draw_follow_up(rows, seed: int, eps: float = .45, gmax: float = .8, null: str = "none") -> pd.DataFrame:
    """T1 attributes of `rows` (index `subject`, columns of `draw_subjects`), keyed by (seed, subject).

    Source: ours; see `follow_up`.
    """
    return follow_up(rows, Law(eps, gmax, null), uniforms(VISIT_DRAWS, seed, "follow-up", ids=rows.index))
