"""What came out of a run, in the five sentences that matter, each with its numbers, and what it cannot say."""

import pandas as pd

from namd.evaluation.tables.wording import by_interval
from namd.ground.paper import PAPER
from namd.ground.reading import read_table

TABLES = {"table1": "05", "gaps": "05", "effects": "07"}       # and the notebook that writes each
DIRECT, RECORD, BASELINE, FOLLOW_UP = ("direct", "record only", "real baseline", "real follow-up")
PERMUTED = "permuted records"
LITTLE = 0.01       # of an AUROC
UNSAID = {
    True: "What the phantom cannot say: whether any of this holds for people. Its law is ours: the record carries the"
          " label by construction, and growth beyond the record is noise that no model can draw.",
    False: "What this run cannot say: whether the ranking holds at another hospital, or for cancers that were found"
           " before a second image was made.",
}


def what_we_found(folder, main, synthetic) -> list[str]:
    """The sentences, the data-processing inequality first and the limit last; one without its table is left out.

    Args:
        folder: holds table1.csv, gaps.csv and effects.csv of notebooks 05 and 07, as far as they have run.
        main: the row that is NAMD; synthetic: whether the data are a phantom's.

    Source: ours, because a result that only a table of 33 lines tells is not read.
    """
    tables = {name: read_table(folder / f"{name}.csv", number, "row").set_index("row", drop=False)
              for name, number in TABLES.items() if (folder / f"{name}.csv").is_file()}
    told = [_inequality(tables, main), _gap(tables, main), _record(tables, main), _growth(tables, main),
            _arms(tables, main)]
    return [sentence for sentence in told if sentence] + [UNSAID[synthetic]]


def _inequality(tables, main):
    """An image drawn from x1 and the record holds no more about the label than they do."""
    of = _auroc(tables)
    if not {DIRECT, RECORD, main} <= of.keys():
        return ""
    ceiling = f", and the true risk {of['true risk']}" if "true risk" in of else ""
    beside = f", the real follow-up image reaches {of[FOLLOW_UP]}" if FOLLOW_UP in of else ""
    adds = float(of[DIRECT]) - float(of[RECORD]) > LITTLE
    opening = "Record and image both tell" if adds else "Beside the record the image adds little"
    return (f"{opening}: the record alone reaches an AUROC of {of[RECORD]}, record and baseline image together (direct)"
            f" {of[DIRECT]}{ceiling}; NAMD's drawn follow-ups reach {of[main]}{beside}. What is drawn from the baseline"
            " and the record cannot hold more about the label than they do.")


def _gap(tables, main):
    """How much of the way from the baseline to the follow-up, and to a perfect sampler, NAMD goes."""
    gaps = tables.get("gaps", pd.DataFrame(columns=["row", "ceiling"])).reset_index(drop=True)
    found = gaps[gaps["row"] == main].set_index("ceiling")
    gain = _effect(tables, BASELINE)
    if gain is None or FOLLOW_UP not in found.index or found["value"].isna().any():
        return ""
    says = by_interval(gain["low"], gain["high"], "is read better than", "is read worse than", "cannot be told from")
    oracle = f", and {_measured(found.loc['oracle'])} of a perfect sampler's" if "oracle" in found.index else ""
    return (f"A drawn follow-up {says} the baseline image alone (AUROC {_signed(gain)}): NAMD closes"
            f" {_measured(found.loc[FOLLOW_UP])} of the real follow-up's gain{oracle}; the paper reports"
            f" {PAPER['gap_closed_auroc']:.2f} of the real follow-up's.")


def _record(tables, main):
    """What is lost when each nodule gets another patient's record."""
    lost = _effect(tables, PERMUTED)
    of = _auroc(tables)
    if lost is None or not {PERMUTED, main} <= of.keys():
        return ""
    opening = by_interval(lost["low"], lost["high"], "The drawing depends on whose record it is",
                          "Another patient's record does better",
                          "Whether the drawing depends on the record is undecided")
    return (f"{opening}: with the records of other patients the AUROC is {of[PERMUTED]} instead of {of[main]}"
            f" (difference {_signed(lost)}).")


def _growth(tables, main):
    """The error of the drawn diameter beside a copy of the baseline and a perfect sampler."""
    table = tables.get("table1", pd.DataFrame())
    error = table["diameter_error_mean"].dropna() if "diameter_error_mean" in table else {}
    if not {main, "copy-baseline"} <= set(error.keys()):
        return ""
    sampler = f" and a perfect sampler by {error['oracle']:.2f}" if "oracle" in error else ""
    return (f"The drawn nodule misses the true diameter by {error[main]:.2f} mm, a copy of the baseline by"
            f" {error['copy-baseline']:.2f}{sampler}.")


def _arms(tables, main):
    """What leaving out the alignment and prediction losses costs."""
    line = _effect(tables, "no_align_no_pred")
    if line is None:
        return ""
    said = by_interval(line["low"], line["high"], "raises the AUROC by", "lowers the AUROC by",
                       "is undecided in its effect on the AUROC:")
    return (f"Training with the alignment and prediction losses {said} {_signed(line)} over"
            f" {'patients' if line['training_seeds'] == 1 else 'training seeds'}.")


def _effect(tables, row):
    """The line of NAMD minus `row` in AUROC; None where there is no number."""
    if "effects" not in tables:
        return None
    effects = tables["effects"]
    found = effects[(effects["row"] == row) & (effects["quantity"] == "AUROC")].dropna(subset="value")
    return None if found.empty else found.iloc[0]


def _auroc(tables):
    """{row: its AUROC as printed}, the mean over the runs as in Table 1."""
    table = tables.get("table1")
    if table is None or "auroc_mean" not in table:
        return {}
    return {row: f"{value:.3f}" for row, value in table["auroc_mean"].dropna().items()}


def _measured(line):
    """0.88 [0.60, 1.19]."""
    return f"{line['value']:.2f} [{line['low']:.2f}, {line['high']:.2f}]"


def _signed(line):
    """+0.041 [+0.022, +0.061]."""
    return f"{line['value']:+.3f} [{line['low']:+.3f}, {line['high']:+.3f}]"
