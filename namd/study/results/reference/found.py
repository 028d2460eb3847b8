"""What we found: the five results that matter, a title and a sentence each, from the tables that are kept."""

from typing import NamedTuple

import pandas as pd

from namd.ground.errors import UserError
from namd.ground.paths import located
from namd.study.results.reference import patients
from namd.study.results.reference.tables import Kept, read
from namd.study.results.reference.words import count, measured, number, of_row, place, place_of

RECORD = "record only"
LADDER = {              # rows of Table 1, as a newcomer would call them
    "true risk": "the phantom's true risk", RECORD: "the record alone", patients.DIRECT: "baseline image + record",
    "Brock": "the Brock model", patients.FOLLOW_UP: "the real follow-up image",
    "oracle": "the oracle's drawing", "namd": "NAMD's drawing", "direct x1": "the baseline image, logistic",
    patients.BASELINE: "the baseline image",
}
READ_THE_RECORD = ("true risk", RECORD, patients.DIRECT, "Brock")
FREE = "no_align_no_pred"
ORDER = "no_align_no_pred_order_flat"


class Finding(NamedTuple):
    """One result: what it means in a few words, and the numbers behind it in a sentence."""

    title: str
    sentence: str


def results(folder, main="namd") -> Kept:
    """The tables of a run in `folder`, for `found` and `ladder`.

    Raises:
        UserError: there is no table1.csv, so nothing was evaluated.
    """
    folder = located(folder)
    kept = read(folder.parent, folder.name, main)
    if "table1" not in kept:
        raise UserError(f"start_results ({folder}) holds no table1.csv: name the folder of an evaluated run's tables,"
                        " such as outputs/reference/quick.")
    return kept


def found(kept) -> list[Finding]:
    """The five results of the tables that `kept` has; one without its table is left out.

    Args:
        kept: `namd.study.results.reference.tables.read`.

    Source: ours; the order is that of their weight for whoever would use a virtual follow-up.
    """
    told = [_inequality(kept), _gain(kept), _share(kept), _listens(kept), _alignment(kept)]
    return [finding for finding in told if finding]


def ladder(kept) -> pd.DataFrame:
    """AUROC of each reader of the test patients, best first: columns row, name, value, low, high, record.

    `low` and `high` are the 95 % interval of the paired difference to NAMD, laid around `value`; of NAMD itself none.
    `record`: whether the reader sees it.
    """
    rows = []
    for row, name in LADDER.items():
        line = kept.row("table1", row=kept.main if row == "namd" else row)
        difference = kept.difference(row)
        if line is None:
            continue
        value = line["auroc_mean"]
        shift, low, high = difference or (0.0, 0.0, 0.0)
        rows.append(dict(row=row, name=name, value=value, low=value + low - shift, high=value + high - shift,
                         record=row in READ_THE_RECORD))
    return pd.DataFrame(rows).sort_values("value", ascending=False, ignore_index=True)


def _inequality(kept):
    """The record alone against the drawing: the data-processing inequality at work."""
    value = {row: kept.row("table1", row=row) for row in (RECORD, patients.DIRECT, kept.main)}
    beside = kept.difference(RECORD)
    if beside is None or any(line is None for line in value.values()):
        return None
    record, direct, own = (number(line["auroc_mean"]) for line in value.values())
    titles = {"above": "The record alone says more than the drawing", "below": "The drawing says more than the record",
              "undecided": "The record alone and the drawing cannot be told apart"}
    where = place(*beside[1:])
    end = "; here it holds less" if where == "above" else ""
    return Finding(titles[where], (
        f"The record alone reaches an AUROC of {record}, the baseline image with the record {direct}, and NAMD's"
        f" drawing {own}: {measured(*beside)} between the first and the last. What is drawn from image and record"
        f" cannot hold more about the diagnosis than image and record do (the data-processing inequality){end}."))


def _gain(kept):
    """The drawing against the baseline image, for the same judge."""
    beside = kept.difference(patients.BASELINE)
    if beside is None:
        return None
    value, low, high = (-each for each in beside)
    titles = {"above": "A judge that sees images alone gains from the drawing",
              "below": "A judge that sees images alone loses by the drawing",
              "undecided": "Whether a judge of images gains from the drawing is open"}
    others = patients.gained(kept)
    return Finding(titles[place(high, low)], (
        f"AUROC of the same judge, NAMD's drawing minus the real baseline: {measured(value, high, low)}."
        f" {others}".strip()))


def _share(kept):
    """How much of what a perfect generator would gain."""
    line = kept.row("gaps", row=kept.main, ceiling="oracle")
    if line is None:
        return None
    wide = place_of(line, .5)
    title = "It gains most of what a perfect generator would" if wide == "above" else \
        "How much of a perfect generator's gain it gets is open"
    more = f" {patients.shared(kept)}" if patients.shared(kept) else ""
    return Finding(title, ("The oracle draws from the phantom's own law. Of its gain over the baseline NAMD has a share"
                           f" of {of_row(line, 2)} on this cohort, a wide interval because the gain is small.{more}"))


def _listens(kept):
    """What another patient's record costs."""
    beside = [kept.difference(row) for row in ("permuted records", "permuted patients")]
    if None in beside:
        return None
    (record, *record_bounds), (patient, *patient_bounds) = ([-each for each in found] for found in beside)
    heard = place(*reversed(patient_bounds)) == "above"
    title = "The drawing listens to the record" if heard else "Whether the drawing listens to the patient is open"
    return Finding(title, (
        f"With another subject's whole record NAMD loses {measured(record, *reversed(record_bounds))} of AUROC, with"
        f" another's age, sex, emphysema and family alone {measured(patient, *reversed(patient_bounds))}."))


def _alignment(kept):
    """What the aligned latent space is worth, in order and in diagnosis."""
    beside = kept.difference(FREE)
    order = kept.row("claims", id=ORDER)
    if beside is None or order is None or pd.isna(order["effect"]) or pd.isna(order["training_seeds"]):
        return None
    value, low, high = (-each for each in beside)
    ends = {"above": "and helps the diagnosis", "below": "and costs diagnosis",
            "undecided": "but the diagnosis does not show it"}
    title = f"Alignment orders the latent space, {ends[place(high, low)]}"
    if place_of(order) != "above":
        title = "Alignment does not order the latent space here"
    better = measured(order["effect"], order["low"], order["high"], 2)
    return Finding(title, (
        f"With both losses the diameter is read from neighbours in the latent space better by {better} (R2), and the"
        f" AUROC changes by {measured(value, high, low)} ({count(int(order['training_seeds']), 'training seed')})."))
