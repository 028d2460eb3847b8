"""What came out of the second system: AutoRad-Lung's arms, what guidance is worth, what it judges of Table 1."""

import numpy as np
from scipy.stats import spearmanr

from namd.evaluation.stats.three_class import TITLES
from namd.evaluation.tables.three_class import GUIDED, STATIC, over_seeds
from namd.study.results.reference.words import count, markdown, measured, of_row, place, place_of

STATISTICS = ("accuracy", "macro_f1", "recall_unsure", "f1_unsure", "macro_auc")
SHOWN = {name: TITLES[name] for name in STATISTICS}
BESIDE = (STATIC, "logistic", "guided without image", "diameter")
FIRST = BESIDE[:2]                      # what README.md repeats
PICTURES = {
    "autorad_forest": "Guided prompts minus every other arm", "autorad_confusion": "Who is called what",
    "autorad_tokens": "Numbers of context vectors", "autorad_moves": "Which radiomics move the prompt",
    "unsure_by_variance": "P(unsure) by the variance of NAMD's forecasts",
}
COPY = "copy-baseline"                  # equals the baseline whatever a judge thinks


def part(kept):
    """The table of autorad.csv, the guided arm's differences and the second judge; None without autorad.csv."""
    if "autorad" not in kept:
        return None
    rows = [[line["arm"], int(line["n"]), *_statistics(line)] for _, line in kept["autorad"].iterrows()]
    told = [guided(kept), seeds(kept), agreement(kept), _survives(kept), _doubt(kept)]
    return dict(table=markdown(["arm", "n", *SHOWN.values()], rows), differences=_differences(kept),
                seeds=_by_seed(kept), rates=_rates(kept), real=_real(kept), judges=_judges(kept),
                verdicts=_verdicts(kept), sentences=[sentence for sentence in told if sentence],
                pictures=[kept.picture(name, title) for name, title in PICTURES.items()])


def _statistics(line):
    return [_measured(line, name) for name in SHOWN]


def _measured(line, name):
    """Column `name` of a line with its bounds; a dash where the line has no such column."""
    return measured(line[name], line[f"{name}_low"], line[f"{name}_high"]) if name in line else "–"


def _differences(kept):
    """Guided minus what it is to be better than; empty where none was run."""
    rows = []
    for beside in BESIDE:
        lines = kept.rows("autorad_differences", row=GUIDED, beside=beside)
        of = {line["statistic"]: line for _, line in lines.iterrows()}
        if of:
            rows.append([f"guided - {beside}", *(f"{of_row(of[name])}: {place_of(of[name])}" for name in SHOWN)])
    return markdown(["difference", *SHOWN.values()], rows) if rows else ""


def _by_seed(kept):
    """Guided, static and their difference at every seed; empty where no other seed was trained."""
    if "autorad_seeds" not in kept:
        return ""
    rows = []
    for _, line in kept["autorad_seeds"].iterrows():
        where = place(line["difference_low"], line["difference_high"])
        rows.append([TITLES[line["statistic"]], line["seed"], _measured(line, GUIDED), _measured(line, STATIC),
                     f"{_measured(line, 'difference')}: {where}"])
    return markdown(["statistic", "seed", "guided", "static", "guided - static"], rows)


def _rates(kept):
    """The learning rate that each arm's folds chose, and on how many of them; empty without autorad_rates.csv."""
    if "autorad_rates" not in kept:
        return ""
    rows = []
    for arm, lines in kept["autorad_rates"].groupby("arm", sort=False):
        folds = lines["chosen"].value_counts().sort_index()
        rows.append([arm, ", ".join(f"{rate:g} ({n})" for rate, n in folds.items())])
    return markdown(["arm", "learning rate (folds that chose it)"], rows)


def _judges(kept):
    """AUROC of every row by both judges; empty without two_judges.csv."""
    if "two_judges" not in kept:
        return ""
    rows = [[line["row"], _measured(line, "first"), _measured(line, "second")]
            for _, line in kept["two_judges"].iterrows()]
    return markdown(["row", "AUROC, first judge", "AUROC, second judge"], rows)


def _verdicts(kept):
    """Differences between rows by both judges, and whether the verdict survives; empty where nothing was asked."""
    if "two_judges_claims" not in kept:
        return ""
    rows = [[f"{line['row']} - {line['beside']}", _measured(line, "first"), _measured(line, "second"), line["survives"]]
            for _, line in kept["two_judges_claims"].iterrows()]
    return markdown(["difference in AUROC", "first judge", "second judge", "does the verdict survive?"], rows)


def _real(kept):
    """The rows of LIDC's own outlines; empty where they were not read."""
    if "autorad_lidc" not in kept:
        return ""
    rows = [[line["arm"], int(line["n"]), *_statistics(line)] for _, line in kept["autorad_lidc"].iterrows()]
    return markdown(["arm", "n", *SHOWN.values()], rows)


def guided(kept, others=BESIDE):
    """What radiomics in the prompt are worth beside `others`, in one sentence; empty where the arms were not run."""
    said = []
    for beside in others:
        line = kept.row("autorad_differences", row=GUIDED, beside=beside, statistic="macro_f1")
        if line is not None:
            said.append(f"guided - {beside} {of_row(line)}, {place_of(line)}")
    return f"AutoRad-Lung, macro F1 of three classes: {'; '.join(said)}." if said else ""


def seeds(kept):
    """On how many seeds of folds and training guidance gains, in one sentence; empty where no other one was trained."""
    return over_seeds(kept["autorad_seeds"]) if "autorad_seeds" in kept else ""


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
