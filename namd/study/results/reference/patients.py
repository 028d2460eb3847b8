"""What came out on patients: NAMD between the real baseline and its ceilings, on every cohort and along the dial."""

import pandas as pd

from namd.ground.paper import PAPER
from namd.study.results.reference.words import (
    count,
    distance,
    listed,
    markdown,
    number,
    of_row,
    place,
    place_of,
    with_sd,
)

BASELINE = "real baseline"
FOLLOW_UP = "real follow-up"
DIRECT = "direct"
OF_FOLLOW_UP = "gap closed"
OF_ORACLE = "oracle's gap closed"
CONTROLS = {
    DIRECT: "A logistic regression on the judge's score of the baseline and the record (*direct*)",
    "record only": "The record alone, without any image,",
    "Brock": "The Brock model, which reads the record alone,",
}
FIRST = (DIRECT, "record only")         # what README.md repeats
NULL_GROWTH = "growth_given_label"
NULL_RECORD = "no_record_effect"


def cohorts(kept):
    """The table of cohorts and its sentences; None where neither cohorts.csv nor table1.csv is kept."""
    if "table1" not in kept and "cohorts" not in kept:
        return None
    rows = [_line(kept, run) for run in _runs(kept)]
    head = ["cohort seed", "malignant / n", "real baseline", f"NAMD (± sd over K = {_k(kept)})", "oracle",
            "real follow-up", "direct", "NAMD's share of the oracle's gap"]
    told = [gained(kept), shared(kept), *beside_controls(kept), _judges(kept)]
    return dict(table=markdown(head, rows), sentences=[sentence for sentence in told if sentence],
                picture=kept.picture("cohorts", "NAMD's and the oracle's gain on other cohorts"))


def _runs(kept):
    """The cohorts that no setting was chosen on, then the run's own."""
    others = list(kept["cohorts"]["run_name"].unique()) if "cohorts" in kept else []
    return [*others, kept.run] if "table1" in kept else others


def _k(kept):
    line = kept.row("table1", row=kept.main)
    return int(line["k"]) if line is not None else int(kept["cohorts"]["k"].max())


def _line(kept, run):
    """One line of the table of cohorts."""
    if run == kept.run:
        of = {line["row"]: line for _, line in kept["table1"].iterrows()}
        value = {row: line["auroc_mean"] for row, line in of.items()}
        share = kept.row("gaps", row=kept.main, ceiling="oracle")
        about = of[kept.main]
    else:
        lines = kept.rows("cohorts", run_name=run)
        value = dict(zip(lines["quantity"], lines["value"], strict=True))
        share = kept.row("cohorts", run_name=run, quantity=OF_ORACLE)
        about = lines.iloc[0]
    sd = _of_table1(kept, run, kept.main, "auroc_sd")
    direct = value.get(DIRECT, _of_table1(kept, run, DIRECT, "auroc_mean"))
    return [_seed(kept, run), f"{int(about['malignant'])} / {int(about['n'])}", number(value.get(BASELINE)),
            with_sd(value.get(kept.main), sd), number(value.get("oracle")), number(value.get(FOLLOW_UP)),
            number(direct), "–" if share is None else of_row(share, 2)]


def _of_table1(kept, run, row, column):
    """A number of the cohort's own Table 1; NaN where that is not kept."""
    own = kept.row("table1", row=row) if run == kept.run else kept.row("cohort_rows", run_name=run, row=row)
    return float("nan") if own is None else own[column]


def _seed(kept, run):
    """What drew the patients of a run; its name where that is not kept."""
    for table in ("cohort_rows", "cohorts", "dial"):
        line = kept.row(table, run_name=run)
        if line is not None and pd.notna(line.get("phantom_seed")):
            return int(line["phantom_seed"])
    return run


def gained(kept):
    """Whether the generated follow-up is read above the real baseline, in one sentence; empty where nothing says it."""
    places = [place_of(line) for _, line in kept.rows("cohorts", quantity=f"{kept.main} - baseline").iterrows()]
    own = kept.difference(BASELINE)
    if own is not None:
        value, low, high = own                              # of the baseline minus NAMD
        places.append(place(-high, -low))
    if not places:
        return ""
    n = {word: places.count(word) for word in ("above", "below", "undecided")}
    if n["above"] == len(places):
        return (f"The generated follow-up is read above the real baseline in {_all(len(places))}, each with a paired"
                " interval that excludes 0.")
    rest = [f"{word} in {n[word]}" for word in ("below", "undecided") if n[word]]
    return (f"The generated follow-up is read above the real baseline in {n['above']} of {count(len(places), 'cohort')}"
            f", {listed(rest)} (paired intervals).")


def _all(n):
    return "the one cohort" if n == 1 else f"all {count(n, 'cohort')}"


def shared(kept):
    """NAMD's mean share of both gaps over the untouched cohorts; empty without cohorts.csv."""
    if "cohorts" not in kept:
        return ""
    oracle, real = (kept.rows("cohorts", quantity=name)["value"] for name in (OF_ORACLE, OF_FOLLOW_UP))
    return (f"Its share of the oracle's gap is {number(oracle.mean(), 2)} on average over the"
            f" {count(len(oracle), 'cohort')} that no setting was chosen on, of the real follow-up's gap"
            f" {number(real.mean(), 2)} (the paper, on patients: {PAPER['gap_closed_auroc']}).")


def beside_controls(kept, rows=tuple(CONTROLS)):
    """One sentence a control without any drawn image: its AUROC and its place beside NAMD."""
    for row in rows:
        line = kept.row("table1", row=row)
        found = kept.difference(row)
        if line is not None and found is not None:
            yield f"{CONTROLS[row]} reaches {number(line['auroc_mean'])}, {distance(*found, 'NAMD')}."


def _judges(kept):
    """What another judge reads of the same images."""
    rows = [(name, kept.row("judges", row=row)) for row, name in ((BASELINE, "the baseline"), (kept.main, "NAMD"))]
    if any(line is None or "judge 2" not in line for _, line in rows):
        return ""
    said = [f"{number(line['judge 2'])} instead of {number(line['judge 1'])} for {name}" for name, line in rows]
    return f"Another judge, trained from another seed, reads other AUROCs: {listed(said)}."


def dial(kept):
    """The table along the phantom's dial, and both nulls in sentences; None without dial.csv."""
    if "dial" not in kept:
        return None
    points = kept.rows("dial", null="none").sort_values("eps", kind="stable")
    quantities = {f"{kept.main} - baseline": "NAMD - real baseline", OF_FOLLOW_UP: "gap to the follow-up closed",
                  OF_ORACLE: "oracle's gap closed", f"{kept.main} - permuted patients": "NAMD - permuted patients"}
    eps = list(points["eps"].unique())
    rows = []
    for quantity, name in quantities.items():
        lines = points[points["quantity"] == quantity]
        rows.append([name, *(of_row(line, 2 if "gap" in quantity else 3) for _, line in lines.iterrows())])
    told = [_along(points, kept.main), grows_by_label(kept), _without_effect(kept), _with_effect(kept)]
    return dict(table=markdown(["`phantom_eps`", *(f"{value:g}" for value in eps)], rows),
                sentences=[sentence for sentence in told if sentence],
                picture=kept.picture("dial", "AUROC and gain along the dial and at both nulls"))


def _along(points, main):
    """From which point of the dial on NAMD gains less with every further one."""
    gain = points[points["quantity"] == f"{main} - baseline"]
    value = list(gain["value"])
    eps = list(gain["eps"])
    first = len(value) - 1
    while first > 0 and value[first - 1] > value[first]:
        first -= 1
    if first > len(value) - 3:
        return "Along the dial NAMD's gain does not fall from point to point."
    return (f"From {eps[first]:g} on, the less can be told in advance, the less NAMD gains: {number(value[first])}"
            f" there, {number(value[-1])} at {eps[-1]:g}.")


def grows_by_label(kept):
    """The null in which growth follows from the label alone, in one sentence; empty where it is not kept."""
    line = kept.row("dial", null=NULL_GROWTH, quantity=OF_FOLLOW_UP)
    if line is None:
        return ""
    ends = {"undecided": "which cannot be told from 0, as it must be",
            "above": "which lies above 0 and should not: something gives the label away",
            "below": "which lies below 0"}
    return ("Where growth follows from the label alone, so that nobody can draw it in advance (the first null), NAMD"
            f" closes {of_row(line, 2)} of the gap to the real follow-up, {ends.get(place_of(line), '')}.")


def _without_effect(kept):
    """The null in which the patient's own fields are without effect."""
    exchanged = kept.row("dial", null=NULL_RECORD, quantity=f"{kept.main} - permuted patients")
    gap = kept.row("dial", null=NULL_RECORD, quantity=OF_FOLLOW_UP)
    if exchanged is None or gap is None:
        return ""
    ends = {"undecided": "which cannot be told from 0, as it must be", "above": "which lies above 0 and should not",
            "below": "which lies below 0"}
    inside = ["lies" if gap["low"] <= limit <= gap["high"] else "does not lie" for limit in (0, 1)]
    return ("In the second null age, sex, emphysema and family are without effect. Exchanging these fields between"
            f" patients must change nothing there; NAMD loses {of_row(exchanged)} by it,"
            f" {ends.get(place_of(exchanged), '')}. Its share of the gap to the real follow-up is {of_row(gap, 2)}"
            f" there: 0 {inside[0]} inside the interval, 1 {inside[1]} inside.")


def _with_effect(kept):
    """What exchanging the patient's fields costs where they count."""
    quantity = f"{kept.main} - permuted patients"
    own = kept.row("dial", run_name=kept.run, quantity=quantity)
    others = [of_row(line) for _, line in kept.rows("cohorts", quantity=quantity).iterrows()]
    if own is None:
        return ""
    rest = f", on the untouched cohorts {listed(others)}" if others else ""
    return f"Where these fields count, NAMD loses {of_row(own)} by the exchange{rest}."
