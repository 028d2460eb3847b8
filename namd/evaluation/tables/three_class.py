"""The three-class table over out-of-fold probabilities, its differences, the paper's numbers beside it, its claims."""

import numpy as np
import pandas as pd

from namd.evaluation.stats import bootstrap
from namd.evaluation.stats.intervals import verdict
from namd.evaluation.stats.three_class import NAMES, TITLES, draws, interval, relative
from namd.evaluation.tables.differences import WORDS
from namd.ground.paper import AUTORAD

GUIDED, STATIC = "guided", "static"
PRETRAINED = ("autoregressive", "contrastive")
PAPERS_OWN = ("AIMv2", "CLIP")          # the same two arms, where their weights are the published ones
OTHERS = "best other length"
MEAN = "mean"                           # of the seeds, a line of its own
BY_SEED = ("accuracy", "macro_f1", "f1_unsure")
# what the ledger asks for: (statistic, arm, the arm beside it)
RELATIVE = (("recall_unsure", GUIDED, STATIC), ("f1_unsure", GUIDED, STATIC), ("accuracy", GUIDED, STATIC))
ABSOLUTE = (("accuracy", *PRETRAINED), ("accuracy", "autoregressive", "random encoder"),
            ("macro_f1", GUIDED, "logistic"), ("macro_f1", GUIDED, "diameter"))


def draw_arms(prob, label3, counts):
    """Every statistic of every arm, on the nodules themselves and in the same resamples of their patients.

    Args:
        prob: {arm: (N, 3) out-of-fold probabilities}; label3: (N,) of 0 benign, 1 unsure, 2 malignant.
        counts: (n_boot, N) of bootstrap.resample_counts(label3, ..., patient=patient).

    Returns:
        {arm: {statistic of stats.three_class.NAMES: (1 + n_boot,)}}, on which every table here rests, so that arms are
        paired.
    """
    counts = bootstrap.with_itself(counts)
    return {arm: draws(p, label3, counts) for arm, p in prob.items()}


def arm_rows(drawn, n, index="arm"):
    """metrics/autorad.csv: one line an arm with every statistic and its 95 % interval over patients.

    Args:
        drawn: `draw_arms`; n: nodules; index: name of the first column, e.g. tokens for arms named by their number.

    Returns:
        DataFrame arm, n, then accuracy, accuracy_low, accuracy_high and so on in the order of NAMES (for
        cells.interval_cells).
    """
    rows = []
    for arm, found in drawn.items():
        row = {index: arm, "n": n}
        for name in NAMES:
            row[name], row[f"{name}_low"], row[f"{name}_high"] = interval(found[name])
        rows.append(row)
    return pd.DataFrame(rows)


def differences(drawn, n):
    """metrics/autorad_differences.csv: every arm minus static, then guided minus every arm, on the same patients.

    Args:
        drawn: `draw_arms`, with the arms "static" and "guided"; n: nodules.

    Returns:
        DataFrame row, beside, statistic, value (row - beside), low, high, relative (row / beside - 1), relative_low,
        relative_high, verdict (row is better, worse or undecided), n. Intervals at 95 %, not adjusted for their number.

    Source: ours, because the paper compares arms by their means.
    """
    pairs = [(arm, STATIC) for arm in drawn if arm != STATIC]
    pairs += [(GUIDED, arm) for arm in drawn if arm not in (GUIDED, STATIC)]
    rows = []
    for row, beside in pairs:
        for name in NAMES:
            value, low, high = interval(drawn[row][name] - drawn[beside][name])
            gain = interval(relative(drawn[row][name], drawn[beside][name]))
            rows.append(dict(row=row, beside=beside, statistic=name, value=value, low=low, high=high, relative=gain[0],
                             relative_low=gain[1], relative_high=gain[2], verdict=WORDS[verdict(low, high)], n=n))
    return pd.DataFrame(rows)


def by_seed(prob, label3, counts):
    """metrics/autorad_seeds.csv: guided, static and their difference at every seed of folds and training.

    Args:
        prob: {seed: {arm: (N, 3) out-of-fold probabilities}}, each with "guided" and "static"; label3, counts: as in
            `draw_arms`, the same for all seeds.

    Returns:
        DataFrame seed (MEAN for the means over seeds, where there are several), statistic of BY_SEED, then guided,
        static and difference (guided - static), each with _low and _high (95 % over patients, the seeds as they are),
        verdict (guided is better, worse or undecided), n.

    Source: ours, because an interval over patients says nothing of another training.
    """
    arms = {}
    for seed, found in prob.items():
        arms[seed] = draw_arms({arm: found[arm] for arm in (GUIDED, STATIC)}, label3, counts)
    rows = []
    for name in BY_SEED:
        drawn = {seed: (found[GUIDED][name], found[STATIC][name]) for seed, found in arms.items()}
        if len(drawn) > 1:
            drawn[MEAN] = np.mean(list(drawn.values()), axis=0)
        for seed, (guided, static) in drawn.items():
            row = dict(seed=seed, statistic=name)
            for what, values in {GUIDED: guided, STATIC: static, "difference": guided - static}.items():
                row[what], row[f"{what}_low"], row[f"{what}_high"] = interval(values)
            row["verdict"] = WORDS[verdict(row["difference_low"], row["difference_high"])]
            rows.append(row | dict(n=len(label3)))
    return pd.DataFrame(rows)


def over_seeds(table):
    """One sentence on `by_seed`: on how many seeds guidance gains macro F1, and how much on average."""
    own = table[table["statistic"] == "macro_f1"]
    each = own[own["seed"].astype(str) != MEAN]
    gains = each["difference"]
    above = int((each["difference_low"] > 0).sum())
    return (f"Macro F1, guided - static: the lower bound is above 0 on {above} of {len(each)} seeds of folds and"
            f" training; the mean difference is {gains.mean():z.3f}, from {gains.min():z.3f} to {gains.max():z.3f}.")


def beside_paper(drawn, lengths, why=""):
    """AutoRad-Lung's numbers, ours beside them, and whether the two may be compared.

    Args:
        drawn: `draw_arms`, with "static" and "guided"; lengths: {context tokens: statistics as in `draw_arms`}, those
            of the paper's Table 2 are shown; why: why no number of this run may be compared, e.g. "phantom data".

    Returns:
        DataFrame quantity, place, paper, here, low, high (95 %), comparable ("yes", or "not comparable: ...").

    Source: namd.ground.paper.AUTORAD. A gain is over CLIP-based models there and over static prompts here.
    """
    accuracy, place = AUTORAD["accuracy"]
    found = [_beside("accuracy", place, accuracy, drawn[GUIDED]["accuracy"], why)]
    other = "the paper's gain is over CLIP-based models, this one over static prompts"
    for name, (gain, place) in AUTORAD["gains"].items():
        found.append(_beside(f"{TITLES[name]}, relative gain", place, gain,
                             relative(drawn[GUIDED][name], drawn[STATIC][name]), why or other))
    for tokens, (accuracy, place) in AUTORAD["tokens"].items():
        if tokens in lengths:
            found.append(_beside(f"accuracy, {tokens} context tokens", place, accuracy, lengths[tokens]["accuracy"],
                                 why))
    return pd.DataFrame(found)


def _beside(quantity, place, paper, drawn, why):
    """One line of `beside_paper`."""
    value, low, high = interval(drawn)
    return dict(quantity=quantity, place=place, paper=paper, here=value, low=low, high=high,
                comparable=f"not comparable: {why}" if why else "yes")


def panel_rows(beside, n):
    """Lines of `beside_paper` for run.panel: shares as per cent; n: nodules."""
    rows = []
    for line in beside.itertuples():
        rows.append(dict(quantity=f"{line.quantity} ({line.place})", paper=f"{line.paper:.1%}", n=n,
                         here=f"{line.here:.1%} [{line.low:.1%}, {line.high:.1%}]", comparable=line.comparable == "yes",
                         why=line.comparable.removeprefix("not comparable").removeprefix("yes").removeprefix(": ")))
    return rows


def against_other_lengths(lengths, tokens):
    """Accuracy at `tokens` context tokens minus that of the best other length: (1 + n_boot,); NaN where it is alone.

    Args:
        lengths: {context tokens: statistics as in `draw_arms`}.

    Source: ours. Every resample picks its own best, so that the interval knows of the choice.
    """
    others = [found["accuracy"] for number, found in lengths.items() if number != tokens]
    own = lengths.get(tokens, {}).get("accuracy")
    if own is None or not others:
        return np.full(2, np.nan)
    return own - np.max(others, axis=0)


def effects(drawn, lengths, n, data, unpublished, training_seeds=1):
    """metrics/autorad_effects.csv: one line a claim of the ledger (tables.autorad_claims).

    Args:
        drawn: `draw_arms`; a pair of which an arm was not run is left out; lengths: {context tokens: statistics as in
            `draw_arms`}, without the paper's best there is no number; n: nodules; data: "phantom" or "LIDC".
        unpublished: why the autoregressive and the contrastive arm do not read AIMv2 and CLIP as published, and so
            are no number for AIMv2 beside CLIP; "" where they do. training_seeds: how many the arms' draws rest on.

    Returns:
        DataFrame quantity ("accuracy", or "accuracy, relative"), row, beside, value (row - beside; relative, row /
        beside - 1), low, high (95 %), over (what the interval covers), n, k (readings of a nodule: 1), training_seeds,
        data, lacks (what the line would need for a number).
    """
    rows = []
    for name, row, beside in RELATIVE:
        if {row, beside} <= drawn.keys():
            rows.append((f"{TITLES[name]}, relative", row, beside, relative(drawn[row][name], drawn[beside][name])))
    for name, row, beside in ABSOLUTE:
        if {row, beside} <= drawn.keys():
            rows.append((TITLES[name], row, beside, drawn[row][name] - drawn[beside][name]))
    first, second = (drawn[name]["accuracy"] for name in PRETRAINED) if not unpublished else np.full((2, 2), np.nan)
    rows.append(("accuracy", *PAPERS_OWN, first - second))
    best = AUTORAD["best_tokens"]
    rows.append(("accuracy", f"{best} tokens", OTHERS, against_other_lengths(lengths, best)))
    table = []
    for quantity, row, beside, found in rows:
        value, low, high = interval(found)
        table.append(dict(quantity=quantity, row=row, beside=beside, value=value, low=low, high=high, over="patients",
                          n=n, k=1, training_seeds=training_seeds, data=data,
                          lacks=unpublished if (row, beside) == PAPERS_OWN else ""))
    return pd.DataFrame(table)


def moves(delta, without, counts):
    """How far each group of features moves the conditional token: its change when the group says nothing.

    Args:
        delta: (N, width) the tokens of N nodules; without: {group: (N, width) the tokens when the group's features lie
            at their means}; counts: (n_boot, N) resamples of the patients.

    Returns:
        DataFrame group, value, low, high (95 %): the mean length of the change, as a share of the mean length of delta;
        the largest first.

    Source: ours, because AutoRad-Lung does not say which features matter.
    """
    length = np.linalg.norm(delta, axis=1).mean()
    rows = []
    for group, moved in without.items():
        change = np.linalg.norm(np.subtract(delta, moved), axis=1) / length            # (N,)
        value, low, high = bootstrap.mean_interval(change, counts)
        rows.append(dict(group=group, value=value, low=low, high=high))
    return pd.DataFrame(rows).sort_values("value", ascending=False, ignore_index=True)
