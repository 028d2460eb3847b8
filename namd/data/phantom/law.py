"""The phantom's law: who the subjects are and what their risk is; `growth` is how their nodule changes in a year.

Every quantity is a function of uniform draws, one row of draws per subject, so that a subject does not depend on
how many others are drawn. The dial (`eps`, `gmax`) and the two nulls are parameters, never hidden.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from namd.data import brock
from namd.data.report import FAMILY
from namd.ground.errors import UserError
from namd.ground.seeding import numpy_rng

NULLS = ("none", "growth_given_label", "no_record_effect")
SUBJECT_DRAWS = ("age", "gender", "emphysema", "father", "mother", "brother", "sister", "child", "attenuation", "lobe",
                 "longest", "ratio", "spiculated", "ill_defined")
POSTERIOR_DRAWS = ("aggressiveness", "label")
SHARE_FAMILY = {"famfather": .09, "fammother": .05, "fambrother": .07, "famsister": .05, "famchild": .01}
SHARE_EMPHYSEMA = .38
SHARE_MALE = .59
SHARE_MALIGNANT = .15
SHARE_ATTENUATION = {1: .72, 2: .16, 3: .12}                          # soft tissue, ground glass, part solid
SHARE_LOBE = {1: .31, 2: .09, 3: .20, 4: .22, 5: .04, 6: .14}         # RUL RML RLL LUL lingula LLL
SOFT = 1                        # codes of sct_pre_att
GROUND_GLASS = 2
PART_SOLID = 3
SPICULATED = 1                  # codes of sct_margins
SMOOTH = 2
POORLY_DEFINED = 3


@dataclass(frozen=True)
class Law:
    """The law's parameters: `eps` is the unpredictable part of aggressiveness, `gmax` the fastest log growth a year.

    Source: ours, because NLST has no known law; feasibility of the study was measured with eps .45, gmax .8.
    """

    eps: float = .45
    gmax: float = .8
    null: str = "none"

    def __post_init__(self):
        if self.null not in NULLS:
            raise UserError(f"phantom_null is {self.null!r}; write one of {', '.join(NULLS)}.")
        if self.eps < 0 or self.gmax <= 0:
            raise UserError(f"phantom_eps is {self.eps} and phantom_gmax {self.gmax}; write eps >= 0 and gmax > 0.")


def uniforms(names, *keys, ids) -> dict:
    """Uniform draws in (0, 1), a dict name -> (len(ids),), each subject from its own generator.

    Source: ours, because a draw keyed by (seed, subject) never depends on batch size or order.
    """
    rows = np.array([numpy_rng(*keys, i).random(len(names)) for i in ids]).reshape(len(ids), len(names))
    return dict(zip(names, np.clip(rows, 1e-12, 1 - 1e-12).T, strict=True))


def pick(share: dict, u) -> np.ndarray:
    """Code with probability `share[code]`, by inverse distribution function; (N,) int."""
    edges = np.cumsum(list(share.values()))[:-1]
    return np.array(list(share))[np.searchsorted(edges, u)]


def draw_patient(u) -> pd.DataFrame:
    """The eight patient attributes from uniform draws; codes as in NLST.

    Source: ours, because these are near the screened population's; age in years, clipped to the 55-76 of NLST.
    """
    flags = {name: (u[name[3:]] < share).astype(int) for name, share in SHARE_FAMILY.items()}
    return pd.DataFrame({"age": np.clip(np.round(62.5 + 5.2 * ndtri(u["age"])), 55, 76).astype(int),
                         "gender": np.where(u["gender"] < SHARE_MALE, 1, 2),
                         "diagemph": (u["emphysema"] < SHARE_EMPHYSEMA).astype(int)} | flags)


def draw_nodule(u) -> pd.DataFrame:
    """The five nodule attributes at T0 from uniform draws; diameters in mm, true (not rounded).

    Source: ours, because the marginals resemble NLST's: longest diameter lognormal, median 8 mm, clipped to 4-28.
    """
    attenuation = pick(SHARE_ATTENUATION, u["attenuation"])
    longest = np.clip(8 * np.exp(.40 * ndtri(u["longest"])), 4, 28)
    spiculated = u["spiculated"] < expit(-2.2 + .10 * (longest - 8) + .5 * (attenuation == PART_SOLID))
    blunt = np.where(u["ill_defined"] < .16, POORLY_DEFINED, SMOOTH)
    return pd.DataFrame({"sct_pre_att": attenuation, "sct_epi_loc": pick(SHARE_LOBE, u["lobe"]),
                         "sct_margins": np.where(spiculated, SPICULATED, blunt),
                         "longest_mm": longest, "perpendicular_mm": longest * (.62 + .38 * u["ratio"])})


def patient_terms(rows) -> np.ndarray:
    """Log odds that the record adds before any image is seen, dimensionless, (N,).

    Source: female McWilliams 2013 (data.brock); age .0778 a year and relative .587 (two at most) Tammemagi
    2013 (PLCOm2012); emphysema 1.14 = ln 3.1, between the crude 3.3 and the adjusted 2.5 of de Torres 2007. The factor
    1.3 is ours, because it puts the follow-up where the paper's is; declared, as it favours text-conditioned forecasts.
    """
    relatives = np.minimum(rows[FAMILY].sum(axis=1), 2)
    return np.asarray(1.3 * (.0778 * (rows["age"] - 62) + brock.FEMALE * (rows["gender"] == 2) + .587 * relatives
                             + 1.14 * rows["diagemph"]), float)


def nodule_terms(rows, lobe: bool = True) -> np.ndarray:
    """Log odds that the nodule at T0 adds, dimensionless, (N,); `lobe=False` leaves its place out.

    Source: McWilliams 2013 (data.brock): size, attenuation, spiculation, upper lobe.
    """
    kind = (brock.NONSOLID * (rows["sct_pre_att"] == GROUND_GLASS)
            + brock.PART_SOLID * (rows["sct_pre_att"] == PART_SOLID))
    upper = brock.UPPER_LOBE * rows["sct_epi_loc"].isin(brock.UPPER_LOBES) * lobe
    spiculated = brock.SPICULATED * (rows["sct_margins"] == SPICULATED)
    return np.asarray(brock.size_term(rows["longest_mm"]) + kind + spiculated + upper, float)


def uncentred_eta(rows, null: str) -> np.ndarray:
    """Log odds without the constant; the record's part and the lobe are left out under `no_record_effect`, (N,)."""
    if null == "no_record_effect":
        return nodule_terms(rows, lobe=False)
    return nodule_terms(rows) + patient_terms(rows)


@lru_cache
def calibration(null: str) -> tuple[float, float]:
    """Constant c that makes the mean risk .15, and u0, the 85 % quantile of eta, in a reference population of 100,000.

    Source: ours, because the paper's cohort is about 15 % malignant; a fixed population keeps subjects independent.
    """
    names = SUBJECT_DRAWS
    u = dict(zip(names, numpy_rng("phantom law", "reference").random((len(names), 100_000)), strict=True))
    raw = uncentred_eta(pd.concat([draw_patient(u), draw_nodule(u)], axis=1), null)
    low = -20.
    high = 20.
    for _ in range(60):
        c = (low + high) / 2
        if expit(raw + c).mean() < SHARE_MALIGNANT:
            low = c
        else:
            high = c
    return c, float(np.quantile(raw + c, .85))


def eta(rows, law: Law) -> np.ndarray:
    """Log odds of malignancy given the T0 attributes and the whole record, dimensionless, (N,).

    Source: ours, the sum of `patient_terms` and `nodule_terms` with the constant of `calibration`.
    """
    return uncentred_eta(rows, law.null) + calibration(law.null)[0]


def risk(rows, law: Law) -> np.ndarray:
    """P(malignant | x1 attributes, record): eta with its unpredictable part integrated out, in [0, 1], (N,).

    Source: ours; 40-node Gauss-Hermite, exact to 1e-6 up to eps 2. Equals sigmoid(eta) at eps 0.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    return (expit(eta(rows, law)[:, None] + law.eps * node) * (weight / weight.sum())).sum(axis=1)


def risk_without_record(rows, law: Law) -> np.ndarray:
    """`risk` when emphysema and family history are unknown: the mean over the population's values, (N,).

    Source: ours, because a participant without these values must not have a forecast that knows them.
    """
    none = np.prod([1 - p for p in SHARE_FAMILY.values()])
    one = none * sum(p / (1 - p) for p in SHARE_FAMILY.values())
    blank = rows.assign(**dict.fromkeys(FAMILY, 0))
    share_emphysema = {0: 1 - SHARE_EMPHYSEMA, 1: SHARE_EMPHYSEMA}
    share_relatives = {0: none, 1: one, 2: 1 - none - one}
    total = np.zeros(len(rows))
    for emphysema, p in share_emphysema.items():
        for relatives, q in share_relatives.items():
            total += p * q * risk(blank.assign(diagemph=emphysema, famfather=relatives), law)
    return total


def draw_posterior(rows, law: Law, u) -> pd.DataFrame:
    """Aggressiveness u = eta + eps N(0, 1) and label ~ Bernoulli(sigmoid(u)), columns `u` and `label`.

    Source: ours, because one hidden state must drive both the label and the growth for a forecast to be possible.
    """
    aggressive = eta(rows, law) + law.eps * ndtri(u["aggressiveness"])
    return pd.DataFrame({"u": aggressive, "label": (u["label"] < expit(aggressive)).astype(int)}, index=rows.index)


def draw_subjects(n: int, seed: int, eps: float = .45, gmax: float = .8, null: str = "none", first: int = 0):
    """Subjects `first` .. `first + n - 1` at T0: record, nodule, `eta`, `risk`, `u`, `label`; index `subject`.

    Raises:
        UserError: an unknown null, eps < 0 or gmax <= 0.

    Source: ours; the parts name theirs.
    """
    law = Law(eps, gmax, null)
    ids = range(first, first + n)
    u = uniforms(SUBJECT_DRAWS + POSTERIOR_DRAWS, seed, "subject", ids=ids)
    rows = pd.concat([draw_patient(u), draw_nodule(u)], axis=1).set_index(pd.Index(ids, name="subject"))
    return rows.assign(eta=eta(rows, law), risk=risk(rows, law)).join(draw_posterior(rows, law, u))
