"""Every claim of Section 4.3 and Appendix D as a number of one trained run, and over all trained runs of a study."""

import numpy as np
import pandas as pd

from namd.evaluation.stats import boundary, seeds_and_patients
from namd.evaluation.stats.bootstrap import (
    auroc_draws,
    contrast_draws,
    mean_draws,
    rank_correlation_draws,
    with_itself,
)
from namd.evaluation.stats.intervals import verdict, wilson
from namd.evaluation.stats.patients import first_nodules
from namd.evaluation.stats.referral import kept_draws
from namd.evaluation.stats.variance import REGIMES, regimes, running_variance, spread
from namd.evaluation.tables.claims import SPREAD, SPREAD_OURS
from namd.ground.seeding import numpy_rng

ERROR_CUT = 0.5         # an error at or above it is a wrong answer
UNSURE = 0.25           # share of the test nodules, largest Var(p) first, that are called unsure
ALIKE = 0.1             # a difference of two groups within this share of the mean is none
TARGET = 0.02           # precision of the mean p (probability)
AT_K = 20               # the K that the paper settles on
TOLERANCE = 0.2         # a variance has settled when it is this near its last value, as a share of it


def measure(prob, label, pixel_var, pixel_error, distance, counts) -> dict:
    """Every claim about the test nodules for one trained run, on the test set and in every resample of the patients.

    Args:
        prob: (K, N) probabilities; label: (N,) in {0, 1}; counts: (n_boot, N) of `bootstrap.resample_counts`.
        pixel_var, pixel_error: (N, H, W) maps over the K runs; distance: (N, H, W) mm (`boundary.signed_distance`).

    Returns:
        {claim id of tables.claims: (value, (n_boot,) draws)}, above 0 when the claim holds; NaN where a group
        is empty. Besides, "error_gap" and "error_mean", from which `over_training` makes "error_maps", and
        "both_labels", the number of empty cells, which has no draws of its own.

    Source: Section 4.3 shows pictures and names no statistic; ours are taught one by one in notebook 06.
    """
    table = spread(prob, label)
    counts = with_itself(counts)
    regime = regimes(table["error"], table["prob_var"], ERROR_CUT, table["prob_var"].quantile(1 - UNSURE))
    drawn = _probabilities(table, regime, counts)
    drawn |= _maps(pixel_var, distance, counts)
    drawn |= _errors(pixel_error.mean((1, 2)), table["error"], regime, counts)
    filled = set(zip(regime, table["label"], strict=True))              # cells of regime x label
    drawn["both_labels"] = np.full(len(counts), 2 * len(REGIMES) - len(filled), dtype=float)
    return {name: (values[0], values[1:]) for name, values in drawn.items()}


def thirds(error):
    """Third of the error axis that each nodule falls into: (N,) of 0, 1, 2."""
    return np.minimum((np.asarray(error) * 3).astype(int), 2)


def _probabilities(table, regime, counts):
    """What the K probabilities of each nodule say: their spread, and what it is good for."""
    label = table["label"].to_numpy()
    prob_mean = table["prob_mean"].to_numpy()
    prob_var = table["prob_var"].to_numpy()
    third = thirds(table["error"])
    confident = regime != REGIMES[1]
    everyone = np.ones(len(table), dtype=bool)
    kept = kept_draws(table, prob_var, ERROR_CUT, UNSURE, counts)
    return {"rise": contrast_draws(prob_var, third == 1, third == 0, counts),
            "fall": contrast_draws(prob_var, third == 1, third == 2, counts),
            "benign_confident": contrast_draws(confident, label == 0, label == 1, counts),
            "mean_known": TARGET - np.sqrt(mean_draws(prob_var, everyone, counts) / AT_K),
            "referral": kept["auroc"] - auroc_draws(label, prob_mean, counts)}


def _maps(pixel_var, distance, counts):
    """Where in the image the variance sits."""
    width = boundary.RING_MM
    everyone = np.ones(len(pixel_var), dtype=bool)
    inside, ring, outside = boundary.profile(pixel_var, distance, (-np.inf, -width, width, np.inf)).T
    share, flat = boundary.share_draws(pixel_var, distance, width, counts)
    return {"boundary_inside": mean_draws(ring - inside, everyone, counts),
            "boundary_outside": mean_draws(ring - outside, everyone, counts),
            "ring_lead": share - flat, "ring_most": share - 0.5}


def _errors(mean_error, error, regime, counts):
    """What the pixels' error, (N,) in window units, says about the error of the diagnosis."""
    everyone = np.ones(len(mean_error), dtype=bool)
    return {"error_gap": contrast_draws(mean_error, regime == REGIMES[0], regime == REGIMES[2], counts),
            "error_mean": mean_draws(mean_error, everyone, counts),
            "pixel_diagnosis": 0.5 - rank_correlation_draws(mean_error, error, counts) ** 2}


def over_training(measured, settled, weights, *keys) -> dict:
    """Every claim over R trained runs: {claim id: (value, low, high)}, 95 % over patients and training seeds.

    Args:
        measured: R results of `measure` with the same counts; settled: (R, N) bool of `settled_at`.
        weights: (n_boot, R) of `seeds_and_patients.resample`; keys: name the resamples of the nodules of Figure 5.

    Returns:
        Means over the runs; for "both_labels" the run with most empty cells, without an interval.

    Source: ours, because the paper shows one trained model.
    """
    found = {}
    for name in measured[0]:
        value = np.stack([run[name][0] for run in measured])                # (R,)
        drawn = np.stack([run[name][1] for run in measured])                # (R, n_boot)
        found[name] = seeds_and_patients.interval(value, drawn, weights)
    most_empty = max(run["both_labels"][0] for run in measured)
    found["both_labels"] = float(most_empty), np.nan, np.nan
    found["error_maps"] = alike(*found["error_gap"], ALIKE * found["error_mean"][0])
    found["plateau"] = plateau(settled, len(weights), *keys)
    return found


def table(found, n_train) -> pd.DataFrame:
    """The claims that tables.claims declares for notebook 06, each with its number, interval and verdict.

    Args:
        found: {claim id: (value, low, high)} of `over_training`; n_train: R.

    Returns:
        DataFrame by id: claim, statistic, value, low, high, training_seeds, over (what the interval covers), verdict.
    """
    rows = []
    for claim in [*SPREAD, *SPREAD_OURS]:
        value, low, high = found[claim.id]
        counted = claim.id == "both_labels"
        over = seeds_and_patients.covers(n_train, claim.over)
        word = verdict(low, high)
        if counted:
            over = f"{claim.over}, in the run with most" if n_train > 1 else claim.over
            word = "fails" if value else "holds"
        rows.append(dict(id=claim.id, claim=claim.claim, statistic=claim.statistic, value=value, low=low, high=high,
                         training_seeds=n_train, verdict=word, over=over))
    return pd.DataFrame(rows).set_index("id")


def alike(gap, low, high, margin):
    """How far a difference stays within a margin: (margin - |gap|, low, high), from the interval of the difference.

    Source: Altman and Bland 1995: a wide interval is no evidence of absence.
    """
    return margin - abs(gap), margin - max(-low, high), margin - max(low, -high, 0)


def settled_at(prob, k, tolerance=TOLERANCE):
    """Whether the variance of a nodule's first k probabilities lies near that of all: (N,) bool; prob: (K, N).

    Source: Appendix D, "stabilizes ... for the majority"; the tolerance is ours.
    """
    running = running_variance(prob)
    return np.abs(running[k - 1] - running[-1]) <= tolerance * running[-1]


def one_a_patient(patient, n, *keys):
    """Nodules of Figure 5, at random and no two of one patient: sorted positions, `n` or as many as there are patients.

    Args:
        patient: (N,), whose nodule each is; keys: name the draw.

    Source: Appendix D takes 50 nodules; of different patients is ours, as Wilson's interval needs independent ones.
    """
    first = first_nodules(patient)
    return np.sort(numpy_rng(*keys).choice(first, min(n, len(first)), replace=False))


def plateau(settled, n_boot, *keys):
    """Share of nodules that have settled, minus one half, over R trained runs: (value, low, high), 95 %.

    Args:
        settled: (R, N) bool of `settled_at`, one nodule a patient; n_boot: number of resamples; keys: name the draw.

    Returns:
        Wilson's interval for R = 1, else a bootstrap of the nodules and the training seeds
        (`seeds_and_patients.interval`).

    Source: Appendix D; Wilson 1927 keeps its width where all of few nodules agree, the bootstrap does not.
    """
    settled = np.asarray(settled)
    if len(settled) == 1:
        low, high = wilson(settled.mean(), settled.size)
        return settled.mean() - 0.5, low - 0.5, high - 0.5
    counts, weights = seeds_and_patients.resample(np.zeros(settled.shape[1]), len(settled), n_boot, *keys)
    drawn = settled @ counts.T / settled.shape[1]                           # (R, n_boot)
    return seeds_and_patients.interval(settled.mean(1) - 0.5, drawn - 0.5, weights)
