"""What becomes of every nodule of a delivery: a row of pairs.parquet or a refusal; and their counts."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from namd.data.codes import MISSING
from namd.data.cohort import SCHEMA
from namd.data.dicom.series import CHEST
from namd.data.nlst.crops import PairRead
from namd.data.nlst.labels import is_further_test_pair, rule_name, split_patients
from namd.data.nlst.links import Link, rows_left
from namd.data.nlst.lists import listed
from namd.data.nlst.participants import row_id
from namd.data.nlst.reading import AbsentSeriesError
from namd.data.nlst.settle import settle
from namd.data.nlst.tables import Tables
from namd.data.refused import REASONS, Refused, causes
from namd.data.report import EHR, NODULE
from namd.ground.errors import UserError

SEED = re.compile(r"phantom.*\bseed (\d{1,10})$")       # in a dataset_version
DOUBTS = {"lossy": "a scan was once compressed with loss, so its HU may be tens off",
          "other_body_part": "a header names another body part than the chest",
          "padding": "a header declares a value for pixels outside the scan, which are read as air"}
NLST_ROOTS = ("1.2.840.113654.2.55.", "1.3.6.1.4.1.14519.5.2.1.7009.")       # of a SeriesInstanceUID
LICENCES = {"synthetic": "none: synthetic", "nlst": "NLST images: CC BY 4.0; CDAS tables: as agreed with NCI",
            "own": "as the owner of the data grants it"}
NO_ROW = "no row of the tables at the listed place"


class NoCohortError(UserError):
    """The delivery gives nothing to train on."""


def decide(name: str, tables: Tables, read: Iterable[tuple[Link, PairRead]], refused: list[Refused],
           keep: Callable[[np.ndarray | None], int], p) -> pd.DataFrame:
    """The pairs of a delivery; what does not become one is added to `refused`.

    Args:
        name: of the delivery; tables: of it; read: all its links, each with what its scans gave.
        refused: the nodules without a link; keep: takes the crops of a pair, says the row of the first.
        p: parameters data_label_days, data_val_share, data_test_share, data_split_seed.

    Returns:
        The table of the contract, one row a pair, with splits.

    Raises:
        NoCohortError: no pair is left, or nobody to train on; `refused` is complete then too.

    Source: paper 4.1.1 (pairs of one nodule, one year apart, split by patient).
    """
    linked = []
    rows = []
    found = set()                               # rows of the tables that links have, tier C's by their images
    whose = source_of_delivery(tables)
    for link, pair in settle(read, p.data_label_days):
        linked.append(link)
        found.add(row_id(link.pid, link.year, link.number))
        if pair.refusal:
            refused.append(Refused(link.source_id, _stage(pair), pair.refusal.code, pair.refusal.message,
                                   link.start.source, link.start.row))
        else:
            rows.append(_row(link, pair.scans, keep(pair.crops), whose, p))
    refused += rows_left(linked, found)
    if not rows:
        raise NoCohortError(f"{name} gives no pair: its {len(refused)} nodules are refused: {causes(refused)}"
                            if refused else f"{name} names no nodule at T0 (code 51, study_yr 0)")
    pairs, more = _pairs(rows, p)
    refused += more
    return pairs


def _stage(pair: PairRead) -> str:
    """Where on the way a linked nodule was refused: its series were never fetched, cannot be read, or tell against it.
    """
    if pair.scans:
        return "link"
    return "fetch" if isinstance(pair.refusal, AbsentSeriesError) else "series"


def source_of_delivery(tables: Tables) -> str:
    """Whose a delivery is: synthetic, nlst or own.

    Synthetic is one whose participant table says so in its dataset_version; NLST's is one with a list of NLSTx or
    GM-AE, or with series that all bear UIDs of NLST's; all else is somebody's own.

    Source: ours, because own data come in NLST's columns too; roots of the UIDs as in the two public lists.
    """
    if any(word in version.lower() for version in tables.versions for word in ("synthetic", "phantom")):
        return "synthetic"
    uids = [centre.uid for centre in listed(tables) if centre.uid]
    is_nlst = {"nlstx", "gmae"} & set(tables.kept) or (uids and all(uid.startswith(NLST_ROOTS) for uid in uids))
    return "nlst" if is_nlst else "own"


def phantom_seed(tables) -> int | None:
    """Of which phantom a synthetic delivery is, by the dataset_version of its participants; None where none says so."""
    found = [SEED.search(version) for version in sorted(tables.versions)]
    return next((int(one[1]) for one in found if one), None)


def _row(link: Link, scans, first_crop: int, whose: str, p) -> dict:
    """One row of pairs.parquet."""
    person = link.person
    values, reasons = _record(link)
    year = link.year
    is_synthetic = whose == "synthetic"
    row = dict(pair_id=f"{link.nodule_id}-T{year}T{year + 1}", dataset=whose,
               patient_id=f"{link.pid:06d}", nodule_id=link.nodule_id, t0_index=first_crop, t1_index=first_crop + 1,
               t0_year=year, t1_year=year + 1, interval_days=link.interval_days, link_tier=link.tier, label=link.label,
               center_source="synthetic" if is_synthetic else link.start.source,
               label_source="synthetic" if is_synthetic else "registry", label_rule=rule_name(p.data_label_days),
               missing_reason=json.dumps(reasons), **values)
    for time, scan in enumerate(scans):
        row |= {f"t{time}_{name}": value for name, value in scan.items()}
    screened = person.get(f"scr_days{year}")
    if person["age"] is not None and screened is not None:
        row["age_at_scan"] = person["age"] + screened // 365
    return row


def _record(link: Link) -> tuple[dict, dict]:
    """The record at T0 and the nodule at T1 by column (None where missing), and by column why a value is missing."""
    values = {}
    reasons = {}

    def take(column, row, name):
        values[column] = None if row is None else row.get(name)
        if values[column] is None:
            why = NO_ROW if row is None else row.get(name + "__why", "absent from the table")
            reasons[column] = MISSING.get(why, why)

    for name in EHR:
        take(name, link.before if name in NODULE else link.person, name)
    for name in NODULE:
        if name != "sct_epi_loc":
            take("t1_" + name, link.after, name)
    return values, reasons


def _pairs(rows, p) -> tuple[pd.DataFrame, list[Refused]]:
    """Rows with their split, in the columns and types of the contract, and what one pair a test patient leaves out."""
    table = pd.DataFrame(rows).reindex(columns=list(SCHEMA))
    split = split_patients(table.patient_id, table.label, p.data_test_share, p.data_val_share, p.data_split_seed)
    if "train" not in split.values():
        raise NoCohortError(f"none of {len(split)} patients is left to train on; lower data_test_share or "
                            "data_val_share")
    table = table.assign(split=table.patient_id.map(split)).astype(SCHEMA)
    is_more = is_further_test_pair(table)
    refused = [Refused(pair.pair_id, "split", "E28", f"patient {pair.patient_id} is tested on another pair",
                       pair.center_source)
               for pair in table[is_more].itertuples()]
    return table[~is_more].reset_index(drop=True), refused


def counts_of(tables, pairs, refused) -> dict:
    """How many nodules went where, and how many pairs a header makes doubtful."""
    by_code = Counter(row.code for row in refused)
    splits = {name: dict(pairs=len(part), patients=int(part.patient_id.nunique()),
                         malignant=int((part.label == 1).sum())) for name, part in pairs.groupby("split")}
    return dict(tables=tables.counts, nodules_at_t0=len(pairs) + len(refused), pairs=len(pairs),
                nodules_refused=len(refused),
                refused_by_code={code: by_code[code] for code in REASONS if by_code[code]},
                refused_for_images=sum(row.stage == "series" for row in refused),
                doubtful=_doubtful(pairs), patients=int(pairs.patient_id.nunique()), splits=splits)


def lost(counts: dict, largest: float) -> str:
    """That too many nodules were lost to their images, in words; empty where not.

    Args:
        counts: of `counts_of`; largest: share of those with both series in the delivery (data_refused_share).
    """
    n = counts["refused_for_images"]
    of = n + counts["pairs"]
    if n <= largest * of:
        return ""
    return f"{n} of {of} nodules ({n / of:.0%}) were refused for their images, over data_refused_share ({largest:.0%})"


def _doubtful(pairs) -> dict:
    """Pairs of which one scan was compressed with loss, names another body part than the chest, or declares padding."""
    other_part = [~pairs[name].str.contains("|".join(CHEST)) & (pairs[name] != "") for name in
                  ("t0_body_part", "t1_body_part")]
    return dict(lossy=int((pairs.t0_lossy | pairs.t1_lossy).sum()), other_body_part=int(sum(other_part).gt(0).sum()),
                padding=int((pairs.t0_padding.notna() | pairs.t1_padding.notna()).sum()))
