"""Does a conclusion depend on the judge? Rows of Table 1 as two judges read the same images of the same patients."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from namd.evaluation.stats import bootstrap, metrics
from namd.evaluation.stats.intervals import verdict
from namd.evaluation.stats.three_class import interval
from namd.ground.reading import read_table

WORDS = {"holds": "above 0", "fails": "below 0", "undecided": "undecided"}
JUDGES = ("first", "second")
SHOWN = ("row", "beside", "first_verdict", "second_verdict", "survives")


def draw_judges(label, prob, counts):
    """AUROC of every row by each judge, on the nodules themselves and in the same resamples of their patients.

    Args:
        label: (N,) in {0, 1}; prob: {"first" and "second": {row: (K, N)}}, of which the rows that both have count;
            counts: (n_boot, N) of bootstrap.resample_counts.

    Returns:
        {"first" and "second": {row: (1 + n_boot,)}}, averaged over runs, rows in the order of the first judge.
    """
    counts = bootstrap.with_itself(counts)
    rows = [row for row in prob["first"] if row in prob["second"]]
    return {judge: {row: bootstrap.auroc_draws(label, prob[judge][row], counts) for row in rows} for judge in JUDGES}


def rows_by_judge(drawn):
    """Each row of Table 1 as both judges read it.

    Args:
        drawn: `draw_judges`.

    Returns:
        DataFrame row, first, first_low, first_high, second, second_low, second_high: AUROC averaged over runs with its
        95 % interval over patients (for cells.interval_cells).

    Source: ours, because Section 4.1.2 rests every AUROC on one judge.
    """
    table = []
    for row in drawn["first"]:
        line = {"row": row}
        for judge in JUDGES:
            line[judge], line[f"{judge}_low"], line[f"{judge}_high"] = interval(drawn[judge][row])
        table.append(line)
    return pd.DataFrame(table)


def rank_agreement(drawn, rows=None):
    """Spearman's rank correlation of the rows' AUROC by the two judges: (value, low, high), 95 % over patients.

    Args:
        drawn: `draw_judges`; rows: those to be ranked, at least two; all by default. Leave out rows that equal another
            by construction, such as the copied baseline: they agree whatever the judges think. Their order does not
            matter, for sums of ranks are exact.

    Returns:
        In [-1, 1]; equal AUROCs share their mean rank; NaN where a judge reads all rows alike.

    Source: ours. A resample adds its noise to that of the sample, and noise lowers a rank correlation, so the interval
    lies low.
    """
    rows = list(drawn["first"]) if rows is None else list(rows)
    ranks = [rankdata([drawn[judge][row] for row in rows], axis=0) for judge in JUDGES]     # (R, 1 + n_boot) each
    first, second = (rank - rank.mean(0) for rank in ranks)
    scale = np.sqrt((first**2).sum(0) * (second**2).sum(0))
    return interval(np.divide((first * second).sum(0), scale, out=np.full(len(scale), np.nan), where=scale > 0))


def asked(rows, main):
    """The pairs of rows on whose difference both judges are asked: real images first, then NAMD beside every row.

    Args:
        rows: names of rows; main: the one that is NAMD. The copied baseline is left out: it equals the baseline.
    """
    real = ("real baseline", "real follow-up")
    others = [row for row in rows if row not in (main, *real, "copy-baseline")]
    return [real[::-1], *((main, row) for row in (*real, *others))]


def survival(drawn, pairs):
    """Whether the verdict on each difference between two rows survives the change of judge.

    Args:
        drawn: `draw_judges`; pairs: (row, beside) each; a pair with a row that is missing is left out.

    Returns:
        DataFrame row, beside, then for each judge its difference row - beside in AUROC with _low and _high (95 % over
        patients) and its _verdict (the interval lies "above 0", "below 0", or the difference is "undecided"), and
        survives: "yes", "no: turned round", "no: undecided by the second", "no: undecided by the first", or "undecided
        by both".

    Source: ours.
    """
    table = []
    for row, beside in pairs:
        if not {row, beside} <= drawn["first"].keys():
            continue
        line = dict(row=row, beside=beside)
        for judge in JUDGES:
            value, low, high = interval(drawn[judge][row] - drawn[judge][beside])
            line |= {judge: value, f"{judge}_low": low, f"{judge}_high": high,
                     f"{judge}_verdict": WORDS[verdict(low, high)]}
        table.append(line | dict(survives=_survives(*(line[f"{judge}_verdict"] for judge in JUDGES))))
    return pd.DataFrame(table)


def _survives(first, second):
    """The word on two verdicts."""
    undecided = WORDS["undecided"]
    if first == second:
        return "undecided by both" if first == undecided else "yes"
    if undecided not in (first, second):
        return "no: turned round"
    return f"no: undecided by the {'first' if first == undecided else 'second'}"


def as_kept(folder, label, prob):
    """What notebook 09 asked a second judge about the rows at hand: as of `survival`, without lines where it has not.

    Args:
        folder: metrics/ of the run; label: (N,) in {0, 1}; prob: {row: (K, N)} by the first judge. Readings that are
            not those that 09 compared have not been asked.

    Source: ours. 09 reads what 05 and 08 make, so they show its answer where it is there and do not wait for it.
    """
    rows, claims = (folder / f"{name}.csv" for name in ("two_judges", "two_judges_claims"))
    if not (rows.is_file() and claims.is_file()):
        return pd.DataFrame(columns=SHOWN)
    first = read_table(rows, "09", "row", "first").set_index("row")["first"]
    same = {row for row in first.index if row in prob and np.isclose(metrics.auroc(label, prob[row][0]), first[row])}
    kept = read_table(claims, "09", *SHOWN)
    return kept.loc[kept["row"].isin(same) & kept["beside"].isin(same), list(SHOWN)]


def in_words(asked):
    """One sentence on `as_kept`: how many verdicts both judges give, or how to have a second judge."""
    if asked.empty:
        return "No second judge has read these rows; notebook 09 trains one: make autorad."
    given = asked[asked["first_verdict"] != WORDS["undecided"]]
    return (f"Of {len(asked)} differences the first judge decides {len(given)}; the second one gives the same verdict"
            f" on {(given['survives'] == 'yes').sum()} of these.")


def by_variance(unsure, variance, counts, parts=6):
    """How unsure AutoRad-Lung calls nodules on which the forecasts agree, and those on which they do not.

    Args:
        unsure: (N,) its P(unsure); variance: (N,) Var(p) over NAMD's K runs, by the first judge; counts: (n_boot, N)
            of bootstrap.resample_counts; parts: equal parts of the nodules by variance, 6: sextiles.

    Returns:
        DataFrame part (1 is the least variance), n, variance (the mean of the part), value (mean P(unsure)), low, high
        (95 % over patients; the parts stay as they are in the test set). Equal variances keep their order.

    Source: ours: both claim to measure doubt about a nodule, one by its looks, one by its forecasts.
    """
    place = rankdata(variance, method="ordinal") - 1
    part = place * parts // len(place)                                     # (N,) of 0 .. parts - 1
    table = []
    for number in range(parts):
        inside = part == number
        value, low, high = interval(bootstrap.mean_draws(unsure, inside, bootstrap.with_itself(counts)))
        table.append(dict(part=number + 1, n=int(inside.sum()), variance=float(np.mean(np.asarray(variance)[inside])),
                          value=value, low=low, high=high))
    return pd.DataFrame(table)
