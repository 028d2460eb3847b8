"""What is known beyond the size of the run: a rehearsal at the paper's widths, and how costs grow."""

import pandas as pd

from namd.study.results.reference.words import count, duration, listed, markdown, number

QUANTITIES = {"cpu_s": "core seconds", "held_gib": "memory of the largest process", "disk_mb": "disk"}
UNITS = {"cpu_s": "{:,.0f} s", "held_gib": "{:.2f} GiB", "disk_mb": "{:,.1f} MB"}


def rehearsal(kept):
    """The table of rehearsal.csv and what it says, None without it; ratios are measured over expected."""
    if "rehearsal" not in kept:
        return None
    table = kept["rehearsal"]
    rows = [[line["stage"], duration(line["seconds"]), number(line["held_gib"], 1), number(line["held_ratio"], 2),
             number(line["written_gb"], 1), number(line["written_ratio"], 2), _plain(line["killed"])]
            for _, line in table.iterrows()]
    head = ["stage", "time", "GiB held", "of expected", "GB written", "of expected", "after a kill"]
    killed = table["killed"].dropna()
    same = killed.str.startswith("same").sum()
    ratios = [f"{what} {number(table[name].min(), 2)} to {number(table[name].max(), 2)} of what `check` expects"
              for what, name in (("memory", "held_ratio"), ("bytes written", "written_ratio"))]
    said = (f"{count(len(table), 'stage')} in {duration(table['seconds'].sum())}, each training killed once and begun"
            f" again not counted; {listed(ratios)}; {same} of {len(killed)} trainings that were killed ended with the"
            " bytes of one that was not.")
    return dict(table=markdown(head, rows), sentence=said[0].upper() + said[1:])


def growth(kept):
    """The table of cost_growth.csv with cost_exponents.csv, None without them."""
    if "cost_growth" not in kept or "cost_exponents" not in kept:
        return None
    rows = []
    for _, line in kept["cost_exponents"].iterrows():
        of_axis = kept.rows("cost_growth", axis=line["axis"])
        if of_axis.empty:
            continue
        measured = [UNITS[line["quantity"]].format(value) for value in of_axis[line["quantity"]]]
        sizes = ", ".join(map(str, of_axis["size"]))
        notebook = f"{int(of_axis['notebook'].iloc[0]):02d}"
        rows.append([f"{line['axis']}: {sizes}", notebook, QUANTITIES[line["quantity"]],
                     ", ".join(measured), number(line["exponent"], 2), _beyond(line)])
    head = ["what grows", "in", "quantity", "measured", "exponent", "26,410 patients"]
    reading = kept.row("cost_exponents", axis="bytes of CT")
    hours = f"{reading['all_of_nlst'] / 3600:,.0f}" if reading is not None else "–"
    return dict(table=markdown(head, rows), hours=hours)


def _beyond(line):
    """The extrapolated value; a dash where there is none."""
    value = line["all_of_nlst"]
    if pd.isna(value):
        return "–"
    return {"cpu_s": duration(value), "held_gib": f"{value:,.1f} GiB",
            "disk_mb": f"{value / 1000:,.1f} GB"}[line["quantity"]]


def _plain(value):
    return "" if pd.isna(value) else value
