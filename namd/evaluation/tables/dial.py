"""The phantom's dial: what a generated follow-up is worth as less and less of the real one can be told in advance."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, finish
from namd.evaluation.stats import intervals, metrics

AUROCS = ("real baseline", "namd", "oracle", "real follow-up")
ROWS = (*AUROCS, "permuted patients")
GAINS = ("namd - baseline", "oracle - baseline", "namd - permuted patients")
STYLES = dict(zip((*AUROCS, *GAINS), (("--", COLOURS[0]), ("-", COLOURS[1]), (":", COLOURS[2]), ("-.", COLOURS[3]),
                                      ("-", COLOURS[1]), (":", COLOURS[2]), ("--", COLOURS[4])), strict=True))
WORDS = {"growth_given_label": "null:\ngrowth\ngiven label", "no_record_effect": "null:\nno record\neffect"}


def position(label, prob, counts):
    """What one position of the dial shows.

    Args:
        label: (N,) in {0, 1}; prob: {row: (K, N)} with the five ROWS; counts: (n_boot, N).

    Returns:
        DataFrame quantity, value, low, high (patient bootstrap): the AUROCs averaged over runs, the three GAINS, and
        the shares that namd closes of the way from the real baseline to the real follow-up ("gap closed") and to the
        oracle ("oracle's gap closed"), NaN where there is no gap.

    Source: ours. Averaged over runs and not of the mean probability, because one virtual image replaces one real one.
    """
    measured = {row: metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in ROWS}
    drawn = {row: intervals.auroc_draws(label, prob[row], counts) for row in ROWS}
    table = []
    for (name, value), spread in zip(_with_gains(measured).items(), _with_gains(drawn).values(), strict=True):
        low, high = (np.nan, np.nan) if np.isnan(value) else intervals.percentile_interval(spread)
        table.append(dict(quantity=name, value=float(value), low=low, high=high))
    return pd.DataFrame(table)


def _with_gains(auroc):
    """AUROCs, or draws of them, and what follows from them."""
    baseline, namd, oracle, follow_up, exchanged = (auroc[row] for row in ROWS)
    gains = (namd - baseline, oracle - baseline, namd - exchanged)
    return {**auroc, **dict(zip(GAINS, gains, strict=True)),
            "gap closed": intervals.gap_closed(baseline, namd, follow_up),
            "oracle's gap closed": intervals.gap_closed(baseline, namd, oracle)}


def figure(table, title=""):
    """AUROC and gain along `eps`, the nulls apart; table: `position`s with columns eps and null (phantom only)."""
    law = table[["null", "eps"]].drop_duplicates().sort_values(["null", "eps"], key=_dialled_first)
    law["x"] = np.arange(len(law)) + 0.6 * (law["null"] != "none")
    table = table.merge(law, on=["null", "eps"])
    fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, names, what in zip(axes, (AUROCS, GAINS), ("AUROC", "difference in AUROC"), strict=True):
        for i, name in enumerate(names):
            _line(ax, table[table["quantity"] == name], name, 0.07 * (i - (len(names) - 1) / 2))
        ax.set_xticks(law["x"], [_name(*pair) for pair in zip(law["null"], law["eps"], strict=True)], fontsize=8)
        ax.set(xlabel="phantom_eps: noise between risk and fate", ylabel=what)
        ax.legend(fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    axes[1].axhline(0, color="0.3", lw=1)
    sns.despine(fig)
    return finish(fig, title, synthetic=True)


def _name(null, eps):
    return WORDS.get(null, f"{eps:g}")


def _dialled_first(column):
    """Sort key: the positions of the dial before the nulls."""
    return column.map(["none", *WORDS].index) if column.name == "null" else column


def _line(ax, rows, name, shift):
    """Points with bars over patients, `shift` to the side, joined along the dial and not over the nulls."""
    style, colour = STYLES[name]
    rows = rows.assign(x=rows["x"] + shift).sort_values("x")
    reach = np.abs(rows[["low", "high"]].to_numpy().T - rows["value"].to_numpy())
    ax.errorbar(rows["x"], rows["value"], reach, fmt="o", ms=4, color=colour, capsize=2, lw=1)
    dialled = rows[rows["null"] == "none"]
    ax.plot(dialled["x"], dialled["value"], style, color=colour, label=name)
