"""A delivery (NLST tables and DICOM series) to the prepared cohort."""

from pathlib import Path

import pandas as pd

from namd.data.cohort import SCHEMA_VERSION
from namd.data.images import HU_HIGH, HU_LOW
from namd.data.nlst.crops import CropFile
from namd.data.nlst.csv_file import csv_files
from namd.data.nlst.fingerprint import fingerprint, record, unchanged
from namd.data.nlst.labels import rule_name
from namd.data.nlst.links import link_nodules
from namd.data.nlst.outcome import (
    DOUBTS,
    LICENCES,
    NoCohortError,
    counts_of,
    decide,
    lost,
    phantom_seed,
    source_of_delivery,
)
from namd.data.nlst.pieces import Pieces
from namd.data.nlst.reading import pairs_read, read_linked
from namd.data.nlst.tables import read_delivery
from namd.data.report import EHR
from namd.data.writing import CROP, availability, stopwatch, write_cohort
from namd.ground import marks
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.reading import read_json

PARAMETERS = ("data_label_days", "data_second_year", "data_val_share", "data_test_share", "data_split_seed")


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
    marks.only_ours(out)                    # said before an hour of reading
    found = fingerprint(delivery)           # before anything is read: what changes meanwhile is noticed
    tables, linked, refused = _linked(delivery, p, say)
    pieces = Pieces(out, str(delivery.absolute()), found, [repr((link.pid, link.start, link.end)) for link in linked])
    index = read_linked(delivery, linked, pieces, p.data_workers, say)
    try:
        with replacing(out) as partial:
            partial.mkdir()
            record(partial, found)
            pairs = _build(delivery, partial, tables, pairs_read(linked, pieces, index), refused, p)
    except NoCohortError:
        pieces.discard()
        raise
    pieces.discard()
    say(f"cohort: {len(pairs)} pairs ({(pairs.label == 1).sum()} malignant), {len(refused)} nodules refused")
    return out


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


def _build(delivery, partial, tables, read, refused, p) -> pd.DataFrame:
    """Write the files of a cohort, all of whose scans are `read`, to the folder `partial`; its pairs."""
    with CropFile(partial / "crops.npy") as crops:
        pairs = decide(delivery.name, tables, read, refused, crops.append, p)
    write_cohort(partial, pairs, tables.refused + refused, _manifest(delivery, tables, pairs, refused, p))
    return pairs


def is_current(out, delivery, p) -> bool:
    """Whether `out` was built from the same tables and images with the same parameters."""
    manifest = Path(out) / "manifest.json"
    if not manifest.exists() or not unchanged(out, delivery):
        return False
    manifest = read_json(manifest, "01", "parameters", "inputs")
    return manifest["parameters"] == _parameters(p) and manifest["inputs"] == _inputs(Path(delivery))


def _manifest(delivery, tables, pairs, refused, p) -> dict:
    """What a cohort says of itself, without the sums of its files."""
    source = source_of_delivery(tables)
    return dict(
        schema_version=SCHEMA_VERSION, name=delivery.name, source=source,
        synthetic=source == "synthetic", phantom_seed=phantom_seed(tables), seed=p.data_split_seed,
        parameters=_parameters(p), inputs=_inputs(delivery), crop=CROP, hu_clip=[HU_LOW, HU_HIGH],
        counts=counts_of(tables, pairs, refused),
        label_rule=rule_name(p.data_label_days), split_rule="by patient, stratified by label",
        feature_availability={name: availability(pairs[name]) for name in EHR},
        licence=LICENCES[source])


def check_refused_share(cohort, largest: float) -> None:
    """Refuse a cohort for which too many nodules were lost to their images; those never fetched do not count.

    Args:
        cohort: opened; largest: share of the linked nodules with both series in the delivery (data_refused_share).

    Raises:
        UserError: more were refused; the cohort stays, and refused.csv in it names each.

    Source: ours, because a copy that broke off on the way should end a run with an exit status, not with a smaller n.
    """
    too_many = lost(cohort.manifest["counts"], largest)
    if too_many:
        raise UserError(f"{too_many}: see {cohort.path / 'refused.csv'}, mend the series, or allow a larger share.")


def doubtful(cohort) -> pd.DataFrame:
    """How many pairs of a cohort a header makes doubtful: index flag, columns pairs and meaning."""
    return pd.DataFrame(dict(pairs=cohort.manifest["counts"]["doubtful"], meaning=DOUBTS)).rename_axis("flag")


def _parameters(p) -> dict:
    """The parameters a cohort depends on."""
    return {name: getattr(p, name) for name in PARAMETERS}


def _inputs(delivery: Path) -> dict:
    """Checksums of the tables of a delivery; empty for a file that cannot be read, which is no table of the cohort."""
    return {file.name: marks.sha256(file) for file in csv_files(delivery)}
