"""How notebook 05 shows its tables: Table 1 in the paper's layout, differences as text, both as forests."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, finish
from namd.evaluation.tables.differences import BETTER
from namd.ground.paper import PAPER, ours

NAMES = {"lpips": "LPIPS ↓", "fid_inception": "FID ↓, Inception", "kid_inception": "KID ↓, Inception",
         "fid": "FID ↓, judge", "kid": "KID ↓, judge", "auroc": "AUROC ↑", "auprc": "AUPRC ↑", "delta_rmae": "Δ-RMAE ↓"}
PAPERS = ("lpips", "fid", "auroc", "auprc")
RANKED = ("Deterministic methods", "Stochastic methods")
CONTROLS = "Controls, ours"
TAGS = {"best": "b", "second": "u", "": ""}


class Shown(pd.DataFrame):
    """Text cells in which <b> and <u> mark best and second: HTML on a page, **best** and _second_ in plain text."""

    def _repr_html_(self):
        return self.to_html(escape=False, border=0)

    def __repr__(self):
        return pd.DataFrame(self).map(_plain).rename(index=_plain).to_string()


def _plain(text):
    return re.sub("</?(small|i)>", "", re.sub("</?u>", "_", re.sub("</?b>", "**", text)))


def marks(values, better):
    """"best" and "second" among values as printed (three decimals), "" for the others; equal ones are marked alike.

    Args:
        values: (n,) float, NaN is never marked; better: +1 where higher is better, -1 where lower is.

    Source: ours. The paper's own Table 1 marks one of two equal LPIPS and underlines two different AUROCs.
    """
    printed = [float(f"{value:.3f}") for value in values]
    ranks = sorted({value for value in printed if not np.isnan(value)}, reverse=better > 0)
    words = dict(zip(ranks, ("best", "second"), strict=False))
    return [words.get(value, "") for value in printed]


def table1(table, methods):
    """Table 1 in the paper's layout: its groups and rows with the paper's values beside ours, then the controls.

    Args:
        table: DataFrame of table1.beside_the_paper, indexed by row; methods: the rows that are generators to be ranked,
            stochastic where k > 1; every other row without a place in the paper is a control.

    Returns:
        Shown, one line a method below the line of its group, columns (metric, "here" or "paper"): mean ± sd over runs,
        "–" where there is none. The paper's FID stands beside Inception's where the run has it. Best bold and second
        underlined among deterministic and stochastic methods, in each column.

    Source: Table 1; the KID, the columns of our own and the controls are ours.
    """
    known_as = {paper: row for row, paper in table["paper_row"].items() if paper}
    lines = [(paper["group"], name, known_as.get(name), paper) for name, paper in PAPER["table1"].items()]
    own = table.index[table["paper_row"] == ""]
    lines += [(RANKED[int(table.loc[row, "k"] > 1)] if row in methods else CONTROLS, row, row, {}) for row in own]
    shown, ranked = {}, [group in RANKED for group, *_ in lines]
    theirs = {ours(metric, table): metric for metric in PAPERS}
    for metric in [name for name in NAMES if name != "delta_rmae" and f"{name}_mean" in table]:
        here = [_pair(table, row, metric) for _, _, row, _ in lines]
        shown[NAMES[metric], "here"] = _column(here, ranked, BETTER[metric])
        if metric in theirs:
            paper = [known.get(theirs[metric], (np.nan, None)) for *_, known in lines]
            shown[NAMES[metric], "paper"] = _column(paper, ranked, BETTER[metric])
    shown["K", ""] = ["–" if row is None else str(table.loc[row, "k"]) for _, _, row, _ in lines]
    verdicts = ["not run here" if row is None else table.loc[row, "comparable"] or "–" for _, _, row, _ in lines]
    shown["comparable?", ""] = [f"<small>{text}</small>" for text in verdicts]
    names = [name if row is None or row in name.lower() else f"{name} · {row}" for _, name, row, _ in lines]
    return _under_groups(pd.DataFrame(shown, index=names), [group for group, *_ in lines])


def _under_groups(frame, groups):
    """The lines of each group below a line with its name."""
    parts = []
    for group in ("Real image baselines", *RANKED, CONTROLS):
        lines = frame[[name == group for name in groups]]
        parts += [pd.DataFrame("", index=[f"<i>{group}</i>"], columns=frame.columns), lines] if len(lines) else []
    return Shown(pd.concat(parts))


def _pair(table, row, metric):
    """(mean, sd over runs) of one cell; sd None for a single run."""
    if row is None:
        return np.nan, None
    return table.loc[row, f"{metric}_mean"], table.loc[row, f"{metric}_sd"] if table.loc[row, "k"] > 1 else None


def _column(pairs, ranked, better):
    """Cells "mean ± sd", marked where `ranked`."""
    words = marks([mean if kept else np.nan for (mean, _), kept in zip(pairs, ranked, strict=True)], better)
    cells = []
    for (mean, sd), word in zip(pairs, words, strict=True):
        spread = "" if sd is None else f"<small>\u00a0±\u00a0{sd:.3f}</small>"
        text = "–" if np.isnan(mean) else f"{mean:z.3f}{spread}"
        cells.append(f"<{TAGS[word]}>{text}</{TAGS[word]}>" if word else text)
    return cells


def difference_cells(differences):
    """`differences.differences` as text, one line a row: "difference [low, high] verdict" for each statistic."""
    cells = [f"{d:+.3f} [{low:+.3f}, {high:+.3f}] {word}" for d, low, high, word in
             differences[["difference", "low", "high", "verdict"]].itertuples(index=False)]
    columns = [NAMES[metric] + (", K-mean" if statistic == "K-mean" else "") for metric, statistic in
               differences[["metric", "statistic"]].itertuples(index=False)]
    long = pd.DataFrame(dict(row=differences["row"], column=columns, cell=cells))
    wide = long.pivot(index="row", columns="column", values="cell")
    order = [name for metric in NAMES.values() for name in (metric, f"{metric}, K-mean") if name in columns]
    return wide.reindex(index=long["row"].unique(), columns=order).fillna("–").rename_axis(index=None, columns=None)


def interval_cells(table, digits):
    """"value [low, high]" of each column `name` that stands beside name_low and name_high.

    Args:
        table: DataFrame; digits: {name: decimals}; NaN becomes "–".
    """
    def cell(value, low, high, n):
        return "–" if np.isnan(value) else f"{value:.{n}f} [{low:.{n}f}, {high:.{n}f}]"

    return pd.DataFrame({name: [cell(*values, n) for values in table[[name, f"{name}_low", f"{name}_high"]].to_numpy()]
                         for name, n in digits.items()}, index=table.index)


def forests(panels, title="", synthetic=False):
    """Forests side by side that share their rows.

    Args:
        panels: {axis label: (DataFrame row, value, low, high, value of the dashed line)}; a row may be missing in some
            panels. A column `statistic` tells apart two values of a row, each with its own colour and marker.
    """
    rows = list(dict.fromkeys(row for table, _ in panels.values() for row in table["row"]))
    size = (2.6 * len(panels) + 1.6, 0.34 * len(rows) + 1.3)
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax, (label, (table, reference)) in zip(axes[0], panels.items(), strict=True):
        parts = list(table.groupby("statistic", sort=False)) if "statistic" in table else [("", table)]
        for i, (name, part) in enumerate(parts):
            where = np.array([-rows.index(row) for row in part["row"]]) + 0.24 * ((len(parts) - 1) / 2 - i)
            value = part["value"].to_numpy(dtype=float)
            reach = np.abs(part[["low", "high"]].to_numpy(dtype=float).T - value)
            ax.errorbar(value, where, xerr=reach, fmt="os"[i], color=COLOURS[i], capsize=2, ms=4, lw=1.2, label=name)
        ax.axvline(reference, color="0.3", ls="--", lw=1)
        ax.set(yticks=-np.arange(len(rows)), yticklabels=rows, xlabel=label, ylim=(0.6 - len(rows), 0.6))
        ax.locator_params(axis="x", nbins=4)                                # three decimals side by side would touch
        if len(parts) > 1:
            ax.legend(fontsize=7, loc="best")
    for name in axes[0, 0].get_yticklabels():
        name.set_fontweight("bold" if name.get_text() == "namd" else "normal")
    sns.despine(fig)
    return finish(fig, title, synthetic)


def row_forests(table, title="", synthetic=False, reference="real baseline"):
    """`forests` of AUROC and AUPRC of the K-mean probability of every row; the row `reference` is dashed.

    Args:
        table: DataFrame with the columns of table1.diagnosis_columns, indexed by row.
    """
    parts = {}
    for name in ("auroc", "auprc"):
        values = {f"{name}_kmean": "value", f"{name}_low": "low", f"{name}_high": "high"}
        parts[f"{name.upper()} of the K-mean probability"] = (
            table[list(values)].rename(columns=values).reset_index(), table.loc[reference, f"{name}_kmean"])
    return forests(parts, title, synthetic)


def difference_forests(differences, against, title="", synthetic=False):
    """`forests` of every row minus `against`, one panel a metric; 0 is dashed."""
    table = differences.rename(columns={"difference": "value"})
    panels = {f"{NAMES[metric]}\n(row - {against})": (part if metric == "auroc" else part.drop(columns="statistic"), 0)
              for metric, part in table.groupby("metric", sort=False)}
    return forests(panels, title, synthetic)
