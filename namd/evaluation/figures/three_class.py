"""Pictures of the three-class study: who is called what, which arm gains, how many tokens, which features move."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from namd.evaluation.figures import forests
from namd.evaluation.figures.plots import COLOURS, finish, look
from namd.evaluation.stats.three_class import CLASSES, TITLES

COLUMNS = 4             # confusion matrices side by side


@look()
def confusions(matrices, n="", synthetic=False):
    """Confusion matrices, small multiples: the number of nodules and below it the share of their true class.

    Args:
        matrices: {arm: (3, 3) nodules by true (rows) and called class (columns)}; the colour is the share.
        n: whom it counts, in words.
    """
    columns = min(COLUMNS, len(matrices))
    lines = -(-len(matrices) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(2.5 * columns + 0.6, 2.5 * lines + 0.5), squeeze=False,
                             sharey=True, layout="constrained")
    for ax in axes.flat[len(matrices):]:
        ax.axis("off")
    for i, (ax, (arm, cells)) in enumerate(zip(axes.flat, matrices.items(), strict=False)):
        lowest = i + columns >= len(matrices)
        cells = np.asarray(cells, dtype=float)
        share = cells / cells.sum(1, keepdims=True)
        sns.heatmap(share, ax=ax, vmin=0, vmax=1, cmap="Blues", square=True, cbar=False, annot=_words(cells, share),
                    fmt="", annot_kws={"fontsize": 8}, xticklabels=CLASSES if lowest else False, yticklabels=CLASSES)
        ax.set(title=arm, xlabel="called" if lowest else "")
        ax.tick_params(axis="x", labelrotation=30)
        ax.tick_params(axis="y", labelrotation=0)
    for ax in axes[:, 0]:
        ax.set_ylabel("true class")
    return finish(fig, f"Who is called what\n{n}".strip(), synthetic)


_words = np.vectorize(lambda n, share: f"{n:.0f}\n{share:.0%}")


def difference_forests(table, statistics, n="", synthetic=False):
    """Forests of differences between arms on the same patients, one panel a statistic; right of 0 the first gains.

    Args:
        table: rows of tables.three_class.differences, those that are to be lines ("guided - static") in their order.
        statistics: names of stats.three_class.TITLES; n: whom it counts, in words.
    """
    named = table.assign(row=table["row"] + " - " + table["beside"])
    panels = {TITLES[name]: (named[named["statistic"] == name].drop(columns="statistic"), 0) for name in statistics}
    return forests.forests(panels, f"What an arm gains over another, 95 % over patients\n{n}".strip(), synthetic)


@look()
def token_sweep(table, statistics, paper=None, n="", synthetic=False):
    """Statistics against the number of context tokens, each with its 95 % bar.

    Args:
        table: rows of tables.three_class.arm_rows with the column tokens; statistics: names of TITLES.
        paper: {tokens: accuracy} that the paper reports, drawn as crosses where they may be compared; n: as above.
    """
    fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    table = table.sort_values("tokens")
    for i, name in enumerate(statistics):
        reach = np.abs(table[[f"{name}_low", f"{name}_high"]].to_numpy().T - table[name].to_numpy())
        beside = 0.008 * np.ptp(table["tokens"]) * (2 * i - len(statistics) + 1)        # no bar hides another
        ax.errorbar(table["tokens"] + beside, table[name], reach, fmt="o^sD"[i % 4], ls=("-", "--")[i % 2], ms=5,
                    lw=1.2, capsize=3, color=COLOURS[i], label=TITLES[name])
    if paper:
        ax.plot(list(paper), list(paper.values()), "x", color="0.2", ms=7, label="accuracy, paper")
    ax.set_xticks(table["tokens"])
    ax.set(xlabel="context tokens", ylabel=", ".join(TITLES[name] for name in statistics) + "; bars 95 %")
    ax.legend(fontsize=8)
    sns.despine(fig)
    return finish(fig, f"Does the number of context vectors matter?\n{n}".strip(), synthetic)


@look()
def moves(table, n="", synthetic=False):
    """Bars of how far each group of features moves the conditional token.

    Args:
        table: rows of tables.three_class.moves.
    """
    fig, ax = plt.subplots(figsize=(5.6, 0.4 * len(table) + 1.3), layout="constrained")
    where = np.arange(len(table))[::-1]
    reach = np.abs(table[["low", "high"]].to_numpy().T - table["value"].to_numpy())
    ax.barh(where, table["value"], xerr=reach, color=COLOURS[0], height=0.6, capsize=3, ecolor="0.3")
    ax.set(yticks=where, yticklabels=table["group"], ylabel="silenced group",
           xlabel="mean |change of δ| / mean |δ|, 95 % over patients")
    sns.despine(fig)
    return finish(fig, f"Which numbers move the prompt\n{n}".strip(), synthetic)
