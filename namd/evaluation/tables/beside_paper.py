"""The paper's numbers beside ours, and whether the two may be compared."""

import numpy as np

from namd.evaluation.stats.columns import LPIPS_LIKE
from namd.ground.paper import PAPER, ours


def paper_rows(main):
    """{our row: the paper's name of it}; main: the run's main arm, which is NAMD.

    Source: Table 1; in the row that it calls w/o L_align both losses are omitted (Sec. 4.2.2).
    """
    return {"real baseline": "Real baseline LDCT", "real follow-up": "Real follow-up LDCT", main: "NAMD",
            "no_align_no_pred": "NAMD (w/o L_align)"}


def other_patients(source):
    """Why no number of a cohort may be set beside the paper's; empty where some may; source: `cohort.source_of`."""
    if source == "phantom":
        return "phantom data"
    return f"{source}: not the paper's patients and record" if source != "NLST" else ""


def why_not(metric, table, source, lpips):
    """Why a number of ours in `table` may not be set beside the paper's; empty where it may; lpips: (net, weights)."""
    if other_patients(source):
        return other_patients(source)
    if metric == "fid":
        if ours("fid", table) == "fid":
            return "judge features, not Inception's"
        n = int(table["n"].max())
        n_paper = PAPER["cohort"]["test_pairs"]
        return "" if n == n_paper else f"it grows as N falls: {n} here, {n_paper} there"
    return why_no_lpips(*lpips) if metric == "lpips" else ""


def why_no_lpips(net, weights):
    """Why a perceptual distance may not be set beside a published LPIPS; empty where it may."""
    if weights == "random":
        return "random LPIPS weights"
    return "no LPIPS: a net without published heads" if net in LPIPS_LIKE else ""


def beside_the_paper(table, source, lpips, known_as):
    """`table` with the paper's means and a word on whether the two may be compared.

    Args:
        table: DataFrame indexed by row, with n; source: what the cohort is of (`cohort.source_of`); lpips: (net,
            weights) of the column LPIPS; known_as: {row: the paper's name}, e.g. `paper_rows`.

    Returns:
        The same with lpips_net, paper_row, paper_auroc, paper_auprc, paper_lpips, paper_fid (NaN where the paper has
        none) and comparable (empty where the paper has no such row).

    Source: Table 1, by namd.ground.paper.
    """
    paper = [PAPER["table1"].get(known_as.get(row, ""), {}) for row in table.index]
    means = {}
    for name in ("auroc", "auprc", "lpips", "fid"):
        means[f"paper_{name}"] = [known.get(name, (np.nan, None))[0] for known in paper]
    return table.assign(lpips_net=lpips[0], paper_row=[known_as.get(row, "") for row in table.index], **means,
                        comparable=[_comparable(known, table, source, lpips) for known in paper])


def _comparable(known, table, source, lpips):
    """The word on one row; known: what the paper reports of it."""
    if not known:
        return ""
    if other_patients(source):
        return f"not comparable: {other_patients(source)}"
    but = []
    for name in [name for name in known if name != "group"]:
        why = why_not(name, table, source, lpips)
        if why:
            but.append(f"{name.upper()} ({why})")
    return f"all but {', '.join(but)}" if but else "yes"


def panel_row(table, row, name, source, lpips, known_as):
    """One line of the panel "Paper and this run": mean ± sd of one metric of one row, theirs and ours.

    Args:
        table: as in `beside_the_paper`; row: a key of `known_as`; name: lpips, fid, auroc or auprc.

    Returns:
        dict for run.panel.
    """
    mean, sd = PAPER["table1"][known_as[row]][name]
    line = table.loc[row]
    column = ours(name, table)
    paper = mean
    here = f"{line[f'{column}_mean']:.3f}"
    if sd is not None:
        paper = f"{mean} ± {sd}"
        here = f"{here} ± {line[f'{column}_sd']:.3f}"
    why = why_not(name, table, source, lpips)
    return dict(quantity=f"{name.upper()}, {row}", paper=paper, here=here, n=int(line["n"]), k=int(line["k"]),
                comparable=not why, why=why)
