"""What came out in notebook 01, one sentence a function: what was kept, when, how large, and who has a second image."""

import numpy as np
import pandas as pd

from namd.data.lung_rads import FOLLOWS, category
from namd.evaluation.stats.metrics import auroc
from namd.evaluation.tables.wording import listed

BY_CORE = "graded by its solid part"    # which the record does not hold
UNKNOWN = "size or kind unknown"


def kept(n_pairs, lost) -> str:
    """How many nodules became pairs, and why most of the others did not.

    Args:
        n_pairs: pairs; lost: DataFrame with `code`, a row for each refused nodule.

    Source: ours.
    """
    said = f"{n_pairs:,} pairs, {len(lost):,} nodules refused"
    if lost.empty:
        return f"{said}."
    most = lost["code"].value_counts()
    if most.iloc[0] == 1:
        return f"{said}, each for another reason."
    return f"{said}; the commonest reason is {most.index[0]}, {most.iloc[0]:,} times."


def interval(days) -> str:
    """How long lies between the two scans of a pair.

    Args:
        days: (N,) days, missing ones left out.

    Source: ours; the paper speaks of a year, and of six to twelve months.
    """
    known = pd.Series(days).dropna().astype(float)
    if known.empty:
        return ""
    low, middle, high = known.quantile([0.05, 0.5, 0.95])
    return f"Between the two scans lie {middle:.0f} days (median; 90 % of the pairs: {low:.0f} to {high:.0f})."


def shown(before, after, label) -> str:
    """The exceptions among pictured pairs: the malignant nodule that grows least and the benign one that grows most.

    Args:
        before, after: (N,) longest diameters in mm, missing ones left out; label: (N,).

    Source: ours, because the eye looks for the rule and the exceptions decide how hard the task is.
    """
    table = pd.DataFrame({"before": np.asarray(before), "after": np.asarray(after), "label": np.asarray(label)})
    table = table.astype(float).dropna()
    if table["label"].nunique() < 2:
        return ""
    growth = table["after"] / table["before"]
    slow = growth[table["label"] == 1].idxmin()
    fast = growth[table["label"] == 0].idxmax()
    sizes = [f"from {table['before'][n]:.0f} to {table['after'][n]:.0f} mm" for n in (slow, fast)]
    word = ("by growth alone one would take them for each other" if growth[fast] > growth[slow] else
            "among these, growth tells malignant from benign" if growth[fast] < growth[slow] else
            "by growth alone nobody could tell them apart")
    return (f"The malignant nodule that grows least here goes {sizes[0]}, the benign one that grows most {sizes[1]}:"
            f" {word}.")


def size_and_growth(before, after, label) -> str:
    """Medians of both classes, and how much they overlap.

    Args:
        before, after: (N,) longest diameters in mm, missing ones left out; label: (N,).

    Source: ours.
    """
    table = pd.DataFrame({"before": before, "growth": np.asarray(after, dtype=float) / np.asarray(before, dtype=float),
                          "label": label}).astype(float).dropna()
    if table["label"].nunique() < 2:
        return ""
    told = []
    for value, name in ((1, "malignant"), (0, "benign")):
        part = table[table["label"] == value]
        longer = part["growth"].median() - 1
        told.append(f"A {name} nodule has {part['before'].median():.0f} mm at T0, and {longer:+.0%} at T1 (medians)")
    slower = (table["growth"][table["label"] == 1] <= table["growth"][table["label"] == 0].median()).mean()
    return f"{'. '.join(told)}. {slower:.0%} of the malignant ones grow no more than the median benign one."


def categories(table) -> pd.DataFrame:
    """How many benign and malignant nodules have which Lung-RADS category at the baseline, and what would follow.

    Args:
        table: sct_pre_att, sct_long_dia, sct_perp_dia (mm), label.

    Source: `namd.data.lung_rads`; a part-solid nodule of 6 mm or more stays open, for the record has no solid part.
    """
    names = [*FOLLOWS, BY_CORE, UNKNOWN]
    found = pd.DataFrame({"grade": grades(table), "label": table["label"].to_numpy()})
    counts = {name: found["grade"][found["label"] == value].value_counts().reindex(names, fill_value=0)
              for value, name in enumerate(("benign", "malignant"))}
    counted = pd.DataFrame(counts).rename_axis("Lung-RADS")
    counted["what follows"] = [FOLLOWS.get(name, "") for name in names]
    return counted[counted["benign"] + counted["malignant"] > 0]


def grades(table) -> list[str]:
    """The Lung-RADS category of each nodule of `categories`, or why it has none."""
    return [_grade(*row) for row in table[["sct_pre_att", "sct_long_dia", "sct_perp_dia"]].itertuples(index=False)]


def _grade(attenuation, longest, perpendicular) -> str:
    if pd.isna(attenuation) or pd.isna(longest) or pd.isna(perpendicular):
        return UNKNOWN
    try:
        return category(attenuation, (longest + perpendicular) / 2)
    except ValueError:
        return BY_CORE


def at_once(counted) -> str:
    """How many malignant nodules of a study of pairs would have been looked into before the second scan.

    Args:
        counted: of `categories`.

    Source: ours, because whoever is treated has no second image.
    """
    malignant = counted["malignant"]
    early = malignant.reindex(["4A", "4B"], fill_value=0).sum()
    if not malignant.sum():
        return ""
    return (f"{early:,} of {malignant.sum():,} malignant nodules are of category 4A or 4B: in a clinic they would be"
            " looked into within three months, and many would never see their second screen.")


def selected(size, label, gone) -> str:
    """What becomes of size as a sign of malignancy when the `gone` have no second image.

    Args:
        size: (N,) mm; label: (N,); gone: (N,) bool.

    Source: ours.
    """
    size, label, gone = (np.asarray(values, dtype=float) for values in (size, label, gone))
    told = []
    for name, here in (("all", gone >= 0), ("those who come back", gone == 0)):
        known = here & np.isfinite(size)
        if not known.any():
            return "No size is known."
        both = len(set(label[known])) == 2
        area = f"AUROC of the size {auroc(label[known], size[known]):.3f}" if both else "one class alone"
        told.append(f"{name}: {label[known].mean():.1%} malignant, {area}")
    return f"{listed(told)}."
