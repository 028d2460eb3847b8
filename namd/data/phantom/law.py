"""The phantom's law: who the subjects are, what their risk is, how their nodule changes in a year.

Every quantity is a function of uniform draws, one row of draws per subject, so that a subject does not depend on
how many others are drawn. The dial (`eps`, `gmax`) and the two nulls are parameters, never hidden.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from namd.data import brock
from namd.ground.errors import UserError
from namd.ground.seeding import numpy_rng

NULLS = ("none", "growth_given_label", "no_record_effect")
SUBJECT_DRAWS = ("age", "gender", "emphysema", "father", "mother", "brother", "sister", "child", "attenuation", "lobe",
                 "longest", "ratio", "spiculated", "ill_defined")
POSTERIOR_DRAWS = ("aggressiveness", "label")
VISIT_DRAWS = ("speed", "noise", "shrinks", "shrinkage", "spiculates", "solidifies", "doubling", "course", "change")
FAMILY = {"famfather": .09, "fammother": .05, "fambrother": .07, "famsister": .05, "famchild": .01}
SHARE_EMPHYSEMA, SHARE_MALE, SHARE_MALIGNANT = .38, .59, .15
SHARE_ATTENUATION = {1: .72, 2: .16, 3: .12}                          # soft tissue, ground glass, part solid
SHARE_LOBE = {1: .31, 2: .09, 3: .20, 4: .22, 5: .04, 6: .14}         # RUL RML RLL LUL lingula LLL
SOFT, GROUND_GLASS, PART_SOLID = 1, 2, 3
SPICULATED, SMOOTH, POORLY_DEFINED = 1, 2, 3
DOUBLING_DAYS = {SOFT: 180., GROUND_GLASS: 700., PART_SOLID: 350.}


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
    flags = {name: (u[name[3:]] < share).astype(int) for name, share in FAMILY.items()}
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
    relatives = np.minimum(rows[list(FAMILY)].sum(axis=1), 2)
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
    without = null == "no_record_effect"
    return nodule_terms(rows, lobe=not without) + (0 if without else patient_terms(rows))


@lru_cache
def calibration(null: str) -> tuple[float, float]:
    """Constant c that makes the mean risk .15, and u0, the 85 % quantile of eta, in a reference population of 100,000.

    Source: ours, because the paper's cohort is about 15 % malignant; a fixed population keeps subjects independent.
    """
    names = SUBJECT_DRAWS
    u = dict(zip(names, numpy_rng("phantom law", "reference").random((len(names), 100_000)), strict=True))
    raw = uncentred_eta(pd.concat([draw_patient(u), draw_nodule(u)], axis=1), null)
    low, high = -20., 20.
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if expit(raw + c).mean() < SHARE_MALIGNANT else (low, c)
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
    none = np.prod([1 - p for p in FAMILY.values()])
    one = none * sum(p / (1 - p) for p in FAMILY.values())
    blank = rows.assign(**dict.fromkeys(FAMILY, 0))
    total = np.zeros(len(rows))
    for emphysema, p in ((0, 1 - SHARE_EMPHYSEMA), (1, SHARE_EMPHYSEMA)):
        for relatives, q in enumerate((none, one, 1 - none - one)):
            total += p * q * risk(blank.assign(diagemph=emphysema, famfather=relatives), law)
    return total


def draw_posterior(rows, law: Law, u) -> pd.DataFrame:
    """Aggressiveness u = eta + eps N(0, 1) and label ~ Bernoulli(sigmoid(u)), columns `u` and `label`.

    Source: ours, because one hidden state must drive both the label and the growth for a forecast to be possible.
    """
    aggressive = eta(rows, law) + law.eps * ndtri(u["aggressiveness"])
    return pd.DataFrame({"u": aggressive, "label": (u["label"] < expit(aggressive)).astype(int)}, index=rows.index)


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
    grows, shrinks = np.abs(.12 + .1 * ndtri(u["change"])), -np.abs(.15 + .12 * ndtri(u["change"]))
    benign = np.select([u["course"] < .72, u["course"] < .88], [still, grows], shrinks)
    return np.where(rows["label"] == 1, malignant, benign)


def follow_up(rows, law: Law, u) -> pd.DataFrame:
    """Nodule attributes at T1 given T0, `u` and `label`: columns t1_* and `growth` (log ratio of diameters).

    Source: ours; a spicule appears with .30 sigmoid(u), a solid part in ground glass with .35 sigmoid(u).
    """
    null = law.null == "growth_given_label"
    growth = np.clip(growth_given_label(rows, u) if null else growth_from_aggressiveness(rows, law, u), -.7, 1.1)
    changes = expit(np.asarray(rows["u"]))
    spiculated = (rows["sct_margins"] == SPICULATED) | (u["spiculates"] < .30 * changes)
    part_solid = (rows["sct_pre_att"] == GROUND_GLASS) & (u["solidifies"] < .35 * changes)
    longest = np.clip(rows["longest_mm"] * np.exp(growth), 3, 34)
    return pd.DataFrame({"t1_longest_mm": longest,
                         "t1_perpendicular_mm": np.clip(rows["perpendicular_mm"] * np.exp(growth), 2, longest),
                         "t1_sct_pre_att": np.where(part_solid, PART_SOLID, rows["sct_pre_att"]),
                         "t1_sct_margins": np.where(spiculated, SPICULATED, rows["sct_margins"]),
                         "growth": growth}, index=rows.index)


def draw_subjects(n: int, seed: int, eps: float = .45, gmax: float = .8, null: str = "none", first: int = 0):
    """Subjects `first` .. `first + n - 1` at T0: record, nodule, `eta`, `risk`, `u`, `label`; index `subject`.

    Raises:
        UserError: an unknown null, eps < 0 or gmax <= 0.

    Source: ours; the parts name theirs.
    """
    law, ids = Law(eps, gmax, null), range(first, first + n)
    u = uniforms(SUBJECT_DRAWS + POSTERIOR_DRAWS, seed, "subject", ids=ids)
    rows = pd.concat([draw_patient(u), draw_nodule(u)], axis=1).set_index(pd.Index(ids, name="subject"))
    return rows.assign(eta=eta(rows, law), risk=risk(rows, law)).join(draw_posterior(rows, law, u))


def draw_follow_up(rows, seed: int, eps: float = .45, gmax: float = .8, null: str = "none") -> pd.DataFrame:
    """T1 attributes of `rows` (index `subject`, columns of `draw_subjects`), keyed by (seed, subject).

    Source: ours; see `follow_up`.
    """
    return follow_up(rows, Law(eps, gmax, null), uniforms(VISIT_DRAWS, seed, "follow-up", ids=rows.index))
