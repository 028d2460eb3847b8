"""A delivery (NLST tables and DICOM series) to the prepared cohort."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd

from namd.data.codes import MISSING
from namd.data.cohort import SCHEMA, SCHEMA_VERSION
from namd.data.dicom.series import CHEST
from namd.data.images import HU_HIGH, HU_LOW
from namd.data.nlst.crops import FETCH, CropFile
from namd.data.nlst.csv_file import csv_files
from namd.data.nlst.fingerprint import fingerprint, record, unchanged
from namd.data.nlst.labels import is_further_test_pair, rule_name, split_patients
from namd.data.nlst.links import Link, link_nodules, row_id, rows_left
from namd.data.nlst.pieces import Pieces
from namd.data.nlst.reading import pairs_read, read_linked
from namd.data.nlst.settle import settle
from namd.data.nlst.tables import read_delivery
from namd.data.refused import REASONS, Refused, causes
from namd.data.report import EHR, NODULE
from namd.data.writing import CROP, availability, stopwatch, write_cohort
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.marks import sha256
from namd.ground.reading import read_json

PARAMETERS = ("data_label_days", "data_second_year", "data_val_share", "data_test_share", "data_split_seed")
NO_ROW = "no row of the tables at the listed place"


def build_cohort(delivery, out, p, progress=print) -> Path:
    """Read a delivery and write the prepared cohort to `out`, replacing what was there only at the end.

    Args:
        delivery: folder with CSV tables and, anywhere below it, DICOM series.
        out: folder of the cohort (the contract of the data sheet, schema 1).
        p: parameters data_workers, data_label_days, data_second_year, data_val_share, data_test_share, data_split_seed.
        progress: called with one line at each stage.

    Returns:
        `out`. Every nodule at T0 is in pairs.parquet or in refused.csv; the manifest holds the sums.

    Raises:
        UserError: tables that cannot be used at all, no pair left, or `out` holds what this program did not write.

    Source: paper 4.1.1 (pairs of one nodule, one year apart, split by patient).
    """
    out = Path(out)
    delivery = Path(delivery)
    say = stopwatch(progress)
    found = fingerprint(delivery)           # before anything is read: what changes meanwhile is noticed
    tables, linked, refused = _linked(delivery, p, say)
    pieces = Pieces(out, str(delivery.absolute()), found, [repr((link.pid, link.start, link.end)) for link in linked])
    read_linked(delivery, linked, pieces, p.data_workers, say)
    try:
        with replacing(out) as partial:
            partial.mkdir()
            record(partial, found)
            pairs = _build(delivery, partial, tables, linked, refused, pieces, p)
    except NoCohortError:
        pieces.discard()
        raise
    pieces.discard()
    say(f"cohort: {len(pairs)} pairs ({(pairs.label == 1).sum()} malignant), {len(refused)} nodules refused")
    return out


class NoCohortError(UserError):
    """The delivery gives nothing to train on."""


def _linked(delivery, p, say):
    """Checked tables of a delivery, the nodules they link, and those they do not."""
    tables = read_delivery(delivery)
    for kind, count in tables.counts.items():
        say(f"{kind}: {count['kept']} rows kept, {count['refused']} refused")
    for row in tables.unread:
        say(f"{row.source_id}: passed over, {row.code}: {row.message}")
    linked, refused = link_nodules(tables, p.data_label_days, p.data_second_year)
    say(f"links: {len(linked) + len(refused)} nodules, {len(linked)} linked a year on, {len(refused)} refused")
    return tables, linked, refused


def _build(delivery, partial, tables, linked, refused, pieces, p) -> pd.DataFrame:
    """Write the files of a cohort, all of whose pieces are read, to the folder `partial`; its pairs."""
    rows = []
    found = set()                               # rows of the tables that links have, tier C's by their images
    with CropFile(partial / "crops.npy") as crops:
        for link, pair in settle(pairs_read(linked, pieces), p.data_label_days):
            found.add(row_id(link.pid, link.year, link.number))
            if pair.refusal:
                stage = "link" if pair.scans else "series"
                refused.append(Refused(link.source_id, stage, pair.refusal.code, pair.refusal.message))
            else:
                rows.append(_row(link, pair.scans, crops.append(pair.crops), is_synthetic(tables), p))
    refused += rows_left(linked, found)
    if not rows:
        raise NoCohortError(f"{delivery.name} gives no pair: its {len(refused)} nodules are refused: {causes(refused)}"
                            if refused else f"{delivery.name} names no nodule at T0 (code 51, study_yr 0)")
    pairs, more = _pairs(rows, p)
    refused += more
    write_cohort(partial, pairs, tables.refused + refused, _manifest(delivery, tables, pairs, refused, p))
    return pairs


def is_current(out, delivery, p) -> bool:
    """Whether `out` was built from the same tables and images with the same parameters."""
    manifest = Path(out) / "manifest.json"
    if not manifest.exists() or not unchanged(out, delivery):
        return False
    manifest = read_json(manifest, "01", "parameters", "inputs")
    return manifest["parameters"] == _parameters(p) and manifest["inputs"] == _inputs(Path(delivery))


def is_synthetic(tables) -> bool:
    """A synthetic delivery says so in the dataset_version of its tables."""
    return any("synthetic" in version.lower() or "phantom" in version.lower() for version in tables.versions)


def _row(link: Link, scans, first_crop: int, synthetic: bool, p) -> dict:
    """One row of pairs.parquet."""
    person = link.person
    values, reasons = _record(link)
    year = link.year
    row = dict(pair_id=f"{link.nodule_id}-T{year}T{year + 1}", dataset="synthetic" if synthetic else "nlst",
               patient_id=f"{link.pid:06d}", nodule_id=link.nodule_id, t0_index=first_crop, t1_index=first_crop + 1,
               t0_year=year, t1_year=year + 1, interval_days=link.interval_days, link_tier=link.tier, label=link.label,
               center_source="synthetic" if synthetic else link.start.source,
               label_source="synthetic" if synthetic else "registry", label_rule=rule_name(p.data_label_days),
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
    refused = [Refused(pair.pair_id, "split", "E28", f"patient {pair.patient_id} is tested on another pair")
               for pair in table[is_more].itertuples()]
    return table[~is_more].reset_index(drop=True), refused


def _manifest(delivery, tables, pairs, refused, p) -> dict:
    """What a cohort says of itself, without the sums of its files."""
    synthetic = is_synthetic(tables)
    return dict(
        schema_version=SCHEMA_VERSION, name=delivery.name, source="synthetic" if synthetic else "nlst",
        synthetic=synthetic, seed=p.data_split_seed, parameters=_parameters(p), inputs=_inputs(delivery),
        crop=CROP, hu_clip=[HU_LOW, HU_HIGH], counts=_counts(tables, pairs, refused),
        label_rule=rule_name(p.data_label_days), split_rule="by patient, stratified by label",
        feature_availability={name: availability(pairs[name]) for name in EHR},
        licence="none: synthetic" if synthetic else "NLST images: CC BY 4.0; CDAS tables: as agreed with NCI")


def _counts(tables, pairs, refused) -> dict:
    """How many nodules went where, and how many pairs a header makes doubtful."""
    by_code = Counter(row.code for row in refused)
    splits = {name: dict(pairs=len(part), patients=int(part.patient_id.nunique()),
                         malignant=int((part.label == 1).sum())) for name, part in pairs.groupby("split")}
    return dict(tables=tables.counts, nodules_at_t0=len(pairs) + len(refused), pairs=len(pairs),
                nodules_refused=len(refused),
                refused_by_code={code: by_code[code] for code in REASONS if by_code[code]},
                refused_for_images=sum(row.stage == "series" and not row.message.endswith(FETCH) for row in refused),
                doubtful=_doubtful(pairs), patients=int(pairs.patient_id.nunique()), splits=splits)


def _doubtful(pairs) -> dict:
    """Pairs of which one scan was compressed with loss, names another body part than the chest, or declares padding."""
    other_part = [~pairs[name].str.contains("|".join(CHEST)) & (pairs[name] != "") for name in
                  ("t0_body_part", "t1_body_part")]
    return dict(lossy=int((pairs.t0_lossy | pairs.t1_lossy).sum()), other_body_part=int(sum(other_part).gt(0).sum()),
                padding=int((pairs.t0_padding.notna() | pairs.t1_padding.notna()).sum()))


def check_refused_share(cohort, largest: float) -> None:
    """Refuse a cohort for which too many nodules were lost to their images; those never fetched do not count.

    Args:
        cohort: opened; largest: share of the linked nodules with both series in the delivery (data_refused_share).

    Raises:
        UserError: more were refused; the cohort stays, and refused.csv in it names each.

    Source: ours, because a copy that broke off on the way should end a run with an exit status, not with a smaller n.
    """
    counts = cohort.manifest["counts"]
    refused = counts["refused_for_images"]
    share = refused / (refused + counts["pairs"])
    if share > largest:
        raise UserError(f"{refused} of {refused + counts['pairs']} nodules ({share:.0%}) were refused for their images,"
                        f" over data_refused_share ({largest:.0%}): see {cohort.path / 'refused.csv'}, mend the"
                        " series, or allow a larger share.")


def _parameters(p) -> dict:
    """The parameters a cohort depends on."""
    return {name: getattr(p, name) for name in PARAMETERS}


def _inputs(delivery: Path) -> dict:
    """Checksums of the tables of a delivery; empty for a file that cannot be read, which is no table of the cohort."""
    return {file.name: sha256(file) for file in csv_files(delivery)}
