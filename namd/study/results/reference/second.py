"""What came out of the second system: AutoRad-Lung's arms, what guidance is worth, what it judges of Table 1."""

import numpy as np
from scipy.stats import spearmanr

from namd.evaluation.tables.three_class import GUIDED, STATIC
from namd.study.results.reference.words import count, markdown, measured, of_row, place_of

SHOWN = {"accuracy": "accuracy", "macro_f1": "macro F1", "recall_unsure": "unsure recall", "f1_unsure": "unsure F1"}
BESIDE = (STATIC, "logistic", "diameter")
COPY = "copy-baseline"                  # equals the baseline whatever a judge thinks


def part(kept):
    """The table of autorad.csv, the guided arm's differences and the second judge; None without autorad.csv."""
    if "autorad" not in kept:
        return None
    rows = [[line["arm"], int(line["n"]), *_statistics(line)] for _, line in kept["autorad"].iterrows()]
    told = [guided(kept), agreement(kept), _survives(kept), _doubt(kept)]
    return dict(table=markdown(["arm", "n", *SHOWN.values()], rows), differences=_differences(kept), real=_real(kept),
                sentences=[sentence for sentence in told if sentence],
                pictures=[kept.picture(name.removesuffix(".png"), _title(name)) for name in sorted(kept.pictures)
                          if name.startswith(("autorad", "two_judges", "unsure_by_variance"))])


def _title(name):
    return name.removesuffix(".png").replace("_", " ")


def _statistics(line):
    return [measured(line[name], line[f"{name}_low"], line[f"{name}_high"]) for name in SHOWN if name in line]


def _differences(kept):
    """Guided minus static, logistic and diameter; empty where none was run."""
    rows = []
    for beside in BESIDE:
        lines = kept.rows("autorad_differences", row=GUIDED, beside=beside)
        of = {line["statistic"]: line for _, line in lines.iterrows()}
        if of:
            rows.append([f"guided - {beside}", *(f"{of_row(of[name])}: {place_of(of[name])}" for name in SHOWN)])
    return markdown(["difference", *SHOWN.values()], rows) if rows else ""


def _real(kept):
    """The rows of LIDC's own outlines; empty where they were not read."""
    if "autorad_lidc" not in kept:
        return ""
    rows = [[line["arm"], int(line["n"]), *_statistics(line)] for _, line in kept["autorad_lidc"].iterrows()]
    return markdown(["arm", "n", *SHOWN.values()], rows)


def guided(kept):
    """What radiomics in the prompt are worth, in one sentence; empty where the arms were not run."""
    said = []
    for beside in BESIDE:
        line = kept.row("autorad_differences", row=GUIDED, beside=beside, statistic="macro_f1")
        if line is not None:
            said.append(f"guided - {beside} {of_row(line)}, {place_of(line)}")
    return f"AutoRad-Lung, macro F1 of three classes: {'; '.join(said)}." if said else ""


def agreement(kept):
    """Whether both judges order the rows of Table 1 alike, in one sentence; empty without two_judges.csv."""
    if "two_judges" not in kept:
        return ""
    table = kept["two_judges"]
    table = table[table["row"] != COPY]
    if len(table) < 3:
        return ""
    rho = spearmanr(table["first"], table["second"]).statistic
    return f"Two judges order {count(len(table), 'row')} of Table 1 with a rank correlation of {np.round(rho, 2):.2f}."


def _survives(kept):
    """How many verdicts between rows both judges give."""
    if "two_judges_claims" not in kept:
        return ""
    words = kept["two_judges_claims"]["survives"].value_counts()
    said = [f"\"{word}\" {n}" for word, n in words.items()]
    return f"Does a verdict of the first judge survive the second? Of {words.sum()}: {', '.join(said)}."


def _doubt(kept):
    """P(unsure) of the baseline where NAMD's forecasts agree most and least."""
    if "unsure_by_variance" not in kept:
        return ""
    table = kept["unsure_by_variance"].sort_values("part")
    first = table.iloc[0]
    last = table.iloc[-1]
    return (f"Nodules in {count(len(table), 'equal part')} by the variance of NAMD's forecasts: P(unsure) of their"
            f" baselines is {of_row(first, 2)} where the forecasts agree most, {of_row(last, 2)} where they agree"
            " least.")
