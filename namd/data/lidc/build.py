"""A delivery in LIDC-IDRI's layout (DICOM series and XML readings) to the prepared cohort."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from namd.data.cohort import READERS, SCHEMA, SCHEMA_VERSION
from namd.data.images import HU_HIGH, HU_LOW
from namd.data.lidc.delivery import Delivery, read_delivery
from namd.data.lidc.labels import BENIGN, MALIGNANT, NAMES, UNSURE, rule_name
from namd.data.lidc.scans import Nodule, ScanRead, read_scans
from namd.data.nlst.crops import CropFile, n_workers
from namd.data.nlst.fingerprint import fingerprint, record, unchanged
from namd.data.refused import REASONS, causes
from namd.data.report import EHR
from namd.data.writing import CROP, availability, stopwatch, write_cohort
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.reading import read_json
from namd.ground.workers import in_order

ABSENT = json.dumps({name: "not recorded in LIDC-IDRI" for name in EHR if not name.endswith("_dia")})
LICENCE = "LIDC-IDRI: CC BY 3.0 (doi 10.7937/K9/TCIA.2015.LO9QL9SX)"
SCANS_AT_ONCE = 8       # one answer of a worker


def build_lidc(delivery, out, min_readers=3, workers=0, progress=print) -> Path:
    """Read a delivery and write the prepared cohort to `out`, replacing what was there only at the end.

    A nodule is one row with a baseline and no follow-up (t1_* null), and all are in the split `train`, for folds are
    made by patient where they are used. `label3` is `labels.class_of` the readers' ratings; `label` is 1 for
    malignant, 0 for benign and null for unsure. The crop shows the middle slice around the centre of the consensus.

    Args:
        delivery: folder with DICOM series and LIDC's XML files anywhere below it, for example in TCIA's layout,
            LIDC-IDRI-0001/<study>/<series>.
        out: folder of the cohort: the contract of the data sheet, schema 1, with crops_mask.npy and readers.parquet.
        min_readers: how many readers must have outlined and rated a nodule.
        workers: processes, 0 for one a core.
        progress: called with one line at each stage.

    Returns:
        `out`. Every nodule is in pairs.parquet, or in refused.csv with its reason.

    Raises:
        UserError: no nodule is left, or `out` holds what this program did not write.

    Source: AutoRad-Lung Sec. 3.1 and 3.2 (consensus of at least 50 %, middle slice); at least three readers is ours,
    the paper is silent.
    """
    delivery = Path(delivery)
    out = Path(out)
    say = stopwatch(progress)
    with replacing(out) as partial:
        partial.mkdir()
        record(partial, fingerprint(delivery))      # before anything is read: what changes meanwhile is noticed
        found = read_delivery(delivery, workers)
        say(f"readings: {len(found.sums)} XML files, {found.n_series} series, {len(found.scans)} of them read")
        pairs, refused = _build(delivery, partial, found, min_readers, workers)
    counts = ", ".join(f"{(pairs.label3 == value).sum()} {name}" for value, name in enumerate(NAMES))
    say(f"cohort: {len(pairs)} nodules ({counts}), {len(refused)} rows refused")
    return out


def is_current(out, delivery, min_readers=3) -> bool:
    """Whether `out` was built from the same files with the same number of readers."""
    manifest = Path(out) / "manifest.json"
    if not manifest.exists() or not unchanged(out, delivery):
        return False
    return read_json(manifest, "09", "parameters")["parameters"] == dict(min_readers=min_readers)


def _build(delivery: Path, partial: Path, found: Delivery, min_readers: int, workers: int):
    """Write the files of a cohort to the folder `partial`; its pairs, and what is refused."""
    refused = list(found.refused)
    rows = []
    masks = []
    readers = []
    n_scans = Counter()
    with CropFile(partial / "crops.npy") as crops:
        for scan in _read(found.scans, min_readers, workers):
            refused += scan.refused
            n_scans[scan.patient_id] += 1
            for nodule in scan.nodules:
                name = f"{scan.patient_id}-{n_scans[scan.patient_id]}-{nodule.number}"
                rows.append(_row(scan, nodule, name, crops.append(nodule.crop[None]), found.synthetic, min_readers))
                masks.append(nodule.mask)
                readers += [dict(nodule_id=name, **row) for row in nodule.readers]
    if not rows:
        raise UserError(f"{delivery.name} gives no nodule: refused are {causes(refused)}" if refused else
                        _nothing_in(delivery))
    pairs = pd.DataFrame(rows).reindex(columns=list(SCHEMA)).astype(SCHEMA)
    write_cohort(partial, pairs, refused, _manifest(delivery, found, pairs, refused, min_readers), np.stack(masks),
                 pd.DataFrame(readers).astype(READERS))
    return pairs, refused


def _nothing_in(delivery: Path) -> str:
    """The sentence about a delivery that is absent or empty."""
    lack = "holds neither a CT series nor an XML file that reads one" if delivery.is_dir() else "is no folder"
    return (f"lidc_delivery: {delivery.absolute()} {lack}; fetch LIDC-IDRI into it (`python -m namd check` says how), "
            "name another folder, or set lidc_source: phantom.")


def _read(scans, min_readers: int, workers: int):
    """Yield what each scan gives, in order."""
    batches = [scans[i:i + SCANS_AT_ONCE] for i in range(0, len(scans), SCANS_AT_ONCE)]
    done = in_order(read_scans, ((batch, min_readers) for batch in batches), n_workers(workers, len(scans)))
    for batch in done:
        yield from batch


def _row(scan: ScanRead, nodule: Nodule, name: str, index: int, synthetic: bool, min_readers: int) -> dict:
    """One row of pairs.parquet."""
    source = "synthetic" if synthetic else "opinion"
    longest, across = nodule.diameters
    row = dict(pair_id=f"{name}-T0", dataset="synthetic" if synthetic else "lidc", patient_id=scan.patient_id,
               nodule_id=name, split="train", t0_index=index, t0_year=0, center_source="consensus", link_tier="none",
               label={BENIGN: 0, UNSURE: None, MALIGNANT: 1}[nodule.label3], label3=nodule.label3,
               label_source=source, label_rule=rule_name(min_readers), sct_long_dia=longest, sct_perp_dia=across,
               missing_reason=ABSENT)
    return row | {f"t0_{column}": value for column, value in nodule.scan.items()}


def _manifest(delivery: Path, found: Delivery, pairs, refused, min_readers: int) -> dict:
    """What a cohort says of itself, without the sums of its files."""
    by_code = Counter(row.code for row in refused)
    classes = {name: int((pairs.label3 == value).sum()) for value, name in enumerate(NAMES)}
    return dict(
        schema_version=SCHEMA_VERSION, name=delivery.name, source="synthetic" if found.synthetic else "lidc",
        synthetic=found.synthetic, seed=None, parameters=dict(min_readers=min_readers), inputs=found.sums, crop=CROP,
        hu_clip=[HU_LOW, HU_HIGH],
        counts=dict(series=found.n_series, scans=len(found.scans), pairs=len(pairs),
                    patients=int(pairs.patient_id.nunique()), classes=classes,
                    refused_by_code={code: by_code[code] for code in REASONS if by_code[code]}),
        label_rule=rule_name(min_readers), split_rule="all train: folds are made by patient where they are used",
        feature_availability={name: availability(pairs[name]) for name in EHR},
        licence="none: synthetic" if found.synthetic else LICENCE)
