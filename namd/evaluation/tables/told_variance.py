"""What came out in notebook 06, one sentence a function: regimes, boundary, number of runs, referral, verdicts."""

import numpy as np
import pandas as pd

from namd.evaluation.stats.variance import REGIMES
from namd.evaluation.tables.wording import by_interval, listed, measured, signed

SURE = 2 / 3            # a nodule above it is called malignant with some confidence
LABELS = ("benign", "malignant")


def regimes_found(table, regime) -> str:
    """How many nodules of each label each regime has, with their mean probability, and whether any is surely malignant.

    Args:
        table: columns label, prob_mean (`variance.spread`); regime: (N,) of REGIMES.

    Source: ours, because "confident" may be a mean p of .56.
    """
    cells = table["prob_mean"].groupby([np.asarray(regime), table["label"].to_numpy()]).agg(["size", "mean"])
    told = []
    for name in REGIMES:
        inside = [f"{cells.loc[(name, v), 'size']} {LABELS[v]} (mean p {cells.loc[(name, v), 'mean']:.2f})"
                  for v in (0, 1) if (name, v) in cells.index]
        told.append(f"{name}: {listed(inside) if inside else 'none'}")
    top = table["prob_mean"].max()
    said = (f"No mean p exceeds {top:.2f}: the judge is never sure of malignancy, and the error axis nearly tells the"
            " label" if top < SURE else f"The largest mean p is {top:.2f}")
    return f"{'; '.join(told).capitalize()}. {said}."


def arch(rise, fall) -> str:
    """Whether the variance rises to the middle of the error axis, and falls again.

    Args:
        rise, fall: (value, low, high), middle third minus the lowest and minus the highest.

    Source: ours.
    """
    told = []
    for side, three in (("lowest", rise), ("highest", fall)):
        if np.isnan(three[0]):
            told.append(f"with the {side} third there is nothing to compare")
            continue
        said = by_interval(*three[1:], "larger than in", "smaller than in", "not to be told from")
        told.append(f"{said} the {side} third ({signed(*three, 4)})")
    return f"Mean variance in the middle third of the errors: {listed(told)}."


def confident_shares(confident, label, lead) -> str:
    """Whether benign nodules are confident more often.

    Args:
        confident, label: (N,) in {0, 1}; lead: (value, low, high), benign minus malignant.

    Source: ours.
    """
    shares = [f"{confident[label == v].mean():.0%} of the {LABELS[v]} nodules" for v in (0, 1)]
    said = by_interval(*lead[1:], "benign ones are confident more often", "malignant ones are confident more often",
                       "no difference is certain")
    return f"Confident are {listed(shares)}: {said} ({signed(*lead, 2)})."


def chosen_cases(table, picked) -> str:
    """What the judge says of the confident cases that the panel shows.

    Args:
        table: `variance.spread`; picked: {(regime, label): index or None} of `variance.pick_cases`.

    Source: ours.
    """
    told = [f"the {name} {LABELS[v]} one has {table['prob_mean'][i]:.2f}" for (name, v), i in picked.items()
            if i is not None and name != REGIMES[1]]
    return f"Mean p of the confident cases: {listed(told) if told else 'there is none'}."


def ring_found(share, flat, inside, outside, within) -> str:
    """How the ring's share of the variance compares with its area, with its sides, and with one half.

    Args:
        share, inside, outside: (value, low, high): the ring's share of the variance; ring minus interior, ring minus
            outside; flat: its share of the area; within: table of boundary.share_within.

    Source: ours, because the paper gives no number.
    """
    peak = by_interval(min(inside[1], outside[1]), min(inside[2], outside[2]), "peaks at the boundary",
                       "has no peak at the boundary", "may or may not peak at the boundary")
    most = by_interval(share[1] - 0.5, share[2] - 0.5, "more than half", "less than half", "about half")
    half = np.interp(0.5, within["share"], within["width"])
    return (f"The variance {peak}: the ring holds {measured(*share)} of it on {flat:.0%} of the area. That is"
            f" {most} of all variance; half of it lies within {half:.1f} mm of the boundary.")


def errors_alike(gap, low, high, margin) -> str:
    """Whether the error maps of correct and incorrect nodules are alike.

    Args:
        gap, low, high: correct minus incorrect, window units; margin: what counts as none.

    Source: ours.
    """
    if np.isnan(gap):
        return "One of the two regimes has no nodule, so their error maps cannot be compared."
    inside = -margin < low and high < margin
    other = by_interval(low, high, "larger where the answer is right", "smaller where the answer is right",
                        "not certainly different, and not certainly alike")
    return (f"Mean error, confidently correct minus incorrect: {signed(gap, low, high, 4)}, margin {margin:.4f}: the"
            f" errors are {'alike' if inside else other}.")


def pixels_fix(share, low, high) -> str:
    """Whether the pixel error fixes the prediction error, by their squared rank correlation.

    Args:
        share, low, high: with its 95 % interval.

    Source: ours; "not fully" is read as less than half.
    """
    said = by_interval(low - 0.5, high - 0.5, "more than half", "less than half", "perhaps half")
    return (f"The pixel error fixes {measured(share, low, high)} of the order of the prediction errors (squared rank"
            f" correlation): {said}.")


def plateau(share) -> str:
    """At which run half of the nodules have settled, for each place where one may stop.

    Args:
        share: {name: (K,)} of variance.settled, e.g. {"judged against run 30": ...}.

    Source: ours.
    """
    told = []
    at = []
    for name, values in share.items():
        at.append(int((np.asarray(values) >= 0.5).argmax()) + 1)
        told.append(f"{name}, at run {at[-1]}")
    moves = ("the plateau follows from where one stops drawing" if at[0] > at[-1] else
             "the plateau does not depend on where one stops drawing")
    return f"Half of the nodules have settled, {listed(told)}: {moves}."


def runs_needed(k_mean, k_var, k_auroc, patient_error) -> str:
    """How many runs each precision takes, and what no number of runs mends.

    Args:
        k_mean: (value, low, high); k_var, k_auroc: runs; patient_error: standard error of the AUROC over patients.

    Source: ours.
    """
    return (f"Runs needed: {k_mean[0]} [{k_mean[1]}, {k_mean[2]}] for the mean p, {k_var:.0f} for its variance,"
            f" {k_auroc:.0f} for the AUROC. The patients' own standard error of the AUROC, {patient_error:.3f}, stays.")


def referred(quarter, share) -> str:
    """What referring the most uncertain nodules does to the others.

    Args:
        quarter: a row of referral.referral_curve; share: of the nodules that are referred.

    Source: ours.
    """
    gain = quarter[["gain", "gain_low", "gain_high"]].to_numpy()
    if np.isnan(gain[0]):
        return "Among the nodules that are kept one class is missing, so they have no AUROC."
    said = by_interval(*gain[1:], "rises", "falls", "does not certainly change")
    beside = "no fewer than" if quarter["error"] >= quarter["malignant"] else "fewer than"
    return (f"With {share:.0%} of the nodules referred, the AUROC of the others {said} ({signed(*gain)}). Of them"
            f" {quarter['error']:.1%} get a wrong answer, {beside} if each was called benign"
            f" ({quarter['malignant']:.1%}).")


def settled(claims) -> str:
    """How many claims hold, and which fail or stay open, each in its own words.

    Args:
        claims: DataFrame claim, verdict, ... of uncertainty_claims.table, indexed by id.

    Source: ours.
    """
    words = pd.Series(claims["verdict"])
    told = [f"{(words == 'holds').sum()} of {len(words)} claims hold"]
    for name in ("fails", "undecided"):
        said = [f'"{claim}"' for claim in claims.loc[words == name, "claim"]]
        if said:
            told.append(f"{name}: {listed(said)}")
    return f"{'; '.join(told)}."
