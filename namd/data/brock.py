"""The Brock (PanCan) model: the risk of a nodule from the record alone, by published coefficients."""

import numpy as np
import pandas as pd

from namd.data.report import FAMILY

CONSTANT = -6.7892
AGE = 0.0287                                        # a year
AGE_CENTRE = 62
FEMALE = 0.6011
FAMILY_HISTORY = 0.2961
EMPHYSEMA = 0.2953
SIZE = -5.3854                                      # of (mm / 10) ** -0.5
SIZE_CENTRE = 1.58113883                            # its value at 4 mm
NONSOLID = -0.1276
PART_SOLID = 0.3770
SPICULATED = 0.7729
UPPER_LOBE = 0.6581
NODULES = -0.0824                                   # a nodule more
N_CENTRE = 4
UPPER_LOBES = (1, 4)                                # right and left; the tables code the lingula apart


def size_term(longest_mm):
    """Log odds of the longest diameter in mm, 0 at 4 mm; any shape."""
    return SIZE * ((np.asarray(longest_mm, dtype=float) / 10) ** -0.5 - SIZE_CENTRE)


def risk(ehr: pd.DataFrame, n_nodules: int = N_CENTRE) -> np.ndarray:
    """Probability of cancer of each nodule from its T0 record, nothing fitted: (N,) in [0, 1].

    Args:
        ehr: (N, 13) columns of `report.EHR`; codes as in the NLST tables, mm, years.
        n_nodules: nodules of the patient. The record does not hold their number; at 4 the term is 0.

    Source: McWilliams et al. 2013 (NEJM 369:910), full model with spiculation (2b). What is missing takes the value at
    which its term is 0 (62 years, male, no emphysema, no family history, 4 mm, solid, not spiculated, no upper lobe);
    fluid, fat and other attenuation count as solid, and one relative of five is a family history: ours.
    """
    def yes(name, *codes):
        return ehr[name].isin(codes).to_numpy(dtype=float)

    age = ehr["age"].astype("Float64").fillna(AGE_CENTRE).to_numpy(dtype=float)
    longest_mm = ehr["sct_long_dia"].astype("Float64").fillna(4.0).to_numpy(dtype=float)
    relatives = np.max([yes(name, 1) for name in FAMILY], axis=0)
    log_odds = (CONSTANT + AGE * (age - AGE_CENTRE) + FEMALE * yes("gender", 2) + FAMILY_HISTORY * relatives
                + EMPHYSEMA * yes("diagemph", 1) + size_term(longest_mm) + NONSOLID * yes("sct_pre_att", 2)
                + PART_SOLID * yes("sct_pre_att", 3) + SPICULATED * yes("sct_margins", 1)
                + UPPER_LOBE * yes("sct_epi_loc", *UPPER_LOBES) + NODULES * (n_nodules - N_CENTRE))
    return 1 / (1 + np.exp(-log_odds))
