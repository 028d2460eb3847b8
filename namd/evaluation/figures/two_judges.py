"""AutoRad-Lung's doubt beside the spread of NAMD's forecasts."""

import matplotlib.pyplot as plt
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, finish, look


@look()
def unsure_by_variance(table, n="", synthetic=False):
    """Mean P(unsure) in each part of the nodules by variance, with its interval; dotted: the mean of all.

    Args:
        table: rows of tables.two_judges.by_variance; n: whom it counts, in words.
    """
    fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    reach = abs(table[["low", "high"]].to_numpy().T - table["value"].to_numpy())
    ax.errorbar(table["part"], table["value"], reach, fmt="o-", ms=5, lw=1.2, capsize=3, color=COLOURS[0],
                label="mean and 95 % over patients")
    ax.axhline((table["value"] * table["n"]).sum() / table["n"].sum(), color="0.3", ls=":", lw=1.2,
               label="all nodules")
    names = [f"{line.part}\n{line.variance:.2g}" for line in table.itertuples()]
    ax.set_xticks(table["part"], names)
    ax.set(xlabel="equal parts of the nodules by NAMD's Var(p), and its mean there",
           ylabel="P(unsure), three-class model")
    ax.legend(fontsize=8)
    sns.despine(fig)
    return finish(fig, f"Do the two systems doubt the same nodules?\n{n}".strip(), synthetic)
