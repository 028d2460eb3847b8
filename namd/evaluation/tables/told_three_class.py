"""What came out in notebook 09, one sentence a function: readers, arms, prompts, and both judges' doubt."""

import numpy as np

from namd.evaluation.stats.three_class import CLASSES, TITLES
from namd.evaluation.tables.wording import by_interval, listed, measured, signed

GUIDED, STATIC = "guided", "static"
ASKED = {STATIC: "the paper's claim", "logistic": "the same numbers without prompts",
         "size-guided": "told the size alone", "guided without image": "the moved words alone"}
READ = ("majority", "diameter", "logistic", STATIC, GUIDED, "ceiling")


def sizes_hidden(diameter, diameters, size) -> str:
    """What the crop takes away: how far the nodules' sizes lie apart on the scan, and what a pixel is worth after it.

    Args:
        diameter: (N,) mm; diameters: sides of the crop, in diameters; size: its pixels a side.

    Source: ours.
    """
    small, large = diameter.min(), diameter.max()
    worth = [diameters * mm / size for mm in (small, large)]
    return (f"On the scan the largest of {len(diameter):,} nodules is {large / small:.1f} times as wide as the"
            f" smallest, {large:.1f} mm beside {small:.1f}. In the crop each takes 1/{diameters} of the side, so that a"
            f" pixel is worth {worth[0]:.2f} to {worth[1]:.2f} mm, and no picture says which.")


def rates_chosen(tuned) -> str:
    """Which learning rates static and guided prompts chose.

    Args:
        tuned: DataFrame arm, fold, chosen of the arms.

    Source: ours, because one rate for all would handicap one of the two.
    """
    told = []
    for arm in (STATIC, GUIDED):
        counts = tuned.loc[tuned["arm"] == arm, "chosen"].value_counts().sort_index()
        told.append(f"{arm} prompts chose " + listed(f"{rate:g} in {n} of {counts.sum()} folds"
                                                     for rate, n in counts.items()))
    return f"{'; '.join(told).capitalize()}."


def loss_fell(history) -> str:
    """How far the loss of a batch came, from the first fifth of the readings to the last.

    Args:
        history: DataFrame with loss (nats).

    Source: ours; single batches are rough.
    """
    loss = history["loss"].dropna().to_numpy()
    part = max(1, len(loss) // 5)
    return (f"The loss went from {loss[:part].mean():.2f} to {loss[-part:].mean():.2f} nats; a guess of thirds has"
            f" {np.log(3):.2f}.")


def arms_read(table) -> str:
    """The accuracy of the arms that matter most, from calling all alike to the readers' own ceiling.

    Args:
        table: rows of metrics/autorad.csv.

    Source: ours.
    """
    of = table.set_index("arm")["accuracy"]
    return "Accuracy: " + listed(f"{arm} {of[arm]:.3f}" for arm in READ if arm in of) + "."


def most_confused(matrix, arm) -> str:
    """Where the nodules of each class go most often that are not called what they are.

    Args:
        matrix: (3, 3) nodules by true (rows) and called class.

    Source: ours.
    """
    told = []
    for true, row in enumerate(np.asarray(matrix, dtype=float)):
        wrong = np.where(np.arange(3) == true, -1, row).argmax()
        told.append(f"{row[true] / row.sum():.0%} of the {CLASSES[true]} nodules are called so, and"
                    f" {row[wrong] / row.sum():.0%} {CLASSES[wrong]}")
    return f"By {arm} prompts, {'; '.join(told)}."


def gains(differences, statistic="macro_f1") -> str:
    """What guided prompts gain over static ones and over the controls that tell why.

    Args:
        differences: rows of metrics/autorad_differences.csv.

    Source: ours.
    """
    lines = differences[(differences["row"] == GUIDED) & (differences["statistic"] == statistic)].set_index("beside")
    told = []
    for beside, what in ASKED.items():
        if beside in lines.index:
            three = lines.loc[beside, ["value", "low", "high"]]
            said = by_interval(*three.iloc[1:], "better", "worse")
            told.append(f"{beside} ({what}) {signed(*three)}, {said}")
    title = TITLES[statistic]
    return f"{title[0].upper()}{title[1:]}, guided minus {'; '.join(told)}."


def lengths_differ(sweep) -> str:
    """Whether the number of context tokens matters, beside the width of one interval.

    Args:
        sweep: rows of metrics/autorad_tokens.csv.

    Source: ours.
    """
    best, worst = (sweep.loc[at] for at in (sweep["accuracy"].idxmax(), sweep["accuracy"].idxmin()))
    wide = best["accuracy_high"] - best["accuracy_low"]
    apart = best["accuracy"] - worst["accuracy"]
    said = "less than" if apart < wide else "more than"
    return (f"Accuracy is best with {best['tokens']:.0f} tokens ({best['accuracy']:.3f}) and worst with"
            f" {worst['tokens']:.0f} ({worst['accuracy']:.3f}): {apart:.3f} apart, {said} one interval is wide"
            f" ({wide:.3f}).")


def moved_most(moves) -> str:
    """Which group of features moves the prompt most, and which least.

    Args:
        moves: DataFrame of three_class.moves, the largest first.

    Source: ours.
    """
    first, last = (moves.iloc[at] for at in (0, -1))
    return (f"Without {first['group']} the shift δ changes by {measured(*first[['value', 'low', 'high']])} of its"
            f" length, without {last['group']} by {measured(*last[['value', 'low', 'high']])}.")


def doubts_meet(doubt) -> str:
    """Whether the three-class model doubts the nodules on which the forecasts disagree.

    Args:
        doubt: DataFrame of two_judges.by_variance.

    Source: ours.
    """
    least, most = (doubt.iloc[at] for at in (0, -1))
    top = doubt.loc[doubt["value"].idxmax()]
    apart = "do not overlap" if least["high"] < most["low"] or most["high"] < least["low"] else "overlap"
    return (f"P(unsure) is {measured(*least[['value', 'low', 'high']])} where Var(p) is least and"
            f" {measured(*most[['value', 'low', 'high']])} where it is largest; these intervals {apart}. It is highest"
            f" in part {top['part']:.0f} of {len(doubt)} ({top['value']:.2f}).")
