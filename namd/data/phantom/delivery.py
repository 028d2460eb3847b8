"""Write a synthetic NLST delivery: tables, DICOM series, and the truth that only the evaluation may open."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd

from namd.data.phantom import registry
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.dicom_writer import screen, write_series
from namd.data.phantom.growth import draw_follow_up
from namd.data.phantom.law import Law, draw_subjects, risk_without_record
from namd.data.phantom.scanner import acquire, draw_place, draw_protocol, next_place, next_protocol, slice_offsets
from namd.data.phantom.visit import TrueNodule
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.seeding import numpy_rng
from namd.ground.workers import in_order

SHARE_UNUSABLE = .03
WRONG_PATIENT = "299999"            # in the files of the flaw of this name
README = """SYNTHETIC DATA. No person stands behind any file of this folder.

It has the form of a National Lung Screening Trial (NLST) delivery: tables with the columns and codes of the trial,
a list of nodule centres in the format of the public NLSTx list, and two CT series of each participant (three slices
around one nodule). Participants, images and outcomes are drawn from a declared law (truth/law.json).
About 3 % of the participants cannot be used, on purpose. truth/ is for the evaluation only: never train on it.
"""


def draw_cohort(n_subjects: int, seed: int, eps: float, gmax: float, null: str) -> pd.DataFrame:
    """All participants of a delivery, index `subject`: `n_subjects` usable ones, then the ones with a flaw.

    Every flaw occurs at least once; beyond that they are 3 % of `n_subjects`.

    Source: ours, because a reader that never refuses has not been tested.
    """
    flaws = list(registry.FLAWS)
    n_flawed = max(len(flaws), round(SHARE_UNUSABLE * n_subjects))
    rows = draw_subjects(n_subjects + n_flawed, seed, eps, gmax, null)
    rows = rows.join(draw_follow_up(rows, seed, eps, gmax, null))
    rows = rows.assign(flaw=[""] * n_subjects + [flaws[i % len(flaws)] for i in range(n_flawed)])
    rows = registry.enrol(rows, seed)
    rows["risk"] = rows["risk"].where(rows["record_known"], risk_without_record(rows, Law(eps, gmax, null)))
    return rows


def nodule_at(row, year: int) -> TrueNodule:
    """The true nodule of a row of truth at T0 or T1."""
    prefix = "" if year == 0 else "t1_"
    return TrueNodule(longest=row[prefix + "longest_mm"], perpendicular=row[prefix + "perpendicular_mm"],
                  attenuation=row[prefix + "sct_pre_att"], margin=row[prefix + "sct_margins"])


def first_scan(row, seed: int):
    """Protocol and nodule's place at T0, `(Protocol, Place)`."""
    rng = numpy_rng(seed, "first scan", row["subject"])
    return draw_protocol(rng), draw_place(rng, row["sct_epi_loc"])


def scan_subject(row: dict, seed: int, root: Path) -> dict[int, registry.Scanned]:
    """Scan both visits of one participant into `root`/<patient_id>/<year>; what the tables need, by year."""
    subject = row["subject"]
    anatomy = draw_anatomy(row, seed, subject)
    protocol, place = first_scan(row, seed)
    scans = {}
    for year in (0, 1):
        rng = numpy_rng(seed, "scan", subject, year)
        flaw = row["flaw"] if year == 1 else ""         # every flaw of a series is one of T1
        if year == 1:
            protocol = next_protocol(rng, protocol)
            place = next_place(rng, place)
        z = slice_offsets(protocol, uneven=flaw == "uneven_gap")
        scan = acquire(anatomy, nodule_at(row, year), year, protocol, place, z, rng)
        named = WRONG_PATIENT if flaw == "wrong_patient" else row["patient_id"]
        folder = root / row["patient_id"] / str(year)
        uid = write_series(folder, scan, protocol, named, screen(protocol, year),
                           keys=(seed, row["patient_id"], year))
        if flaw == "missing_series":
            shutil.rmtree(folder)
        scans[year] = registry.Scanned(uid=uid, number=place.number, box=scan.box, protocol=protocol,
                                       shows_emphysema=anatomy.emphysema > .25)
    return scans


def _scan_batch(rows: list[dict], seed: int, root: Path) -> dict:
    """Scans of several participants by subject."""
    return {row["subject"]: scan_subject(row, seed, root) for row in rows}


def scan_all(scan_batch, cohort, seed: int, root: Path, workers: int, progress) -> dict:
    """What `scan_batch`(rows, seed, root) -> {subject: ...} gives of all participants, in `workers` processes."""
    rows = cohort.reset_index().to_dict("records")
    size = max(1, min(50, len(rows) // (4 * workers) + 1))
    batches = [rows[i:i + size] for i in range(0, len(rows), size)]
    jobs = [(batch, seed, root) for batch in batches]
    scans = {}
    quarters_said = 0
    for done in in_order(scan_batch, jobs, workers):
        scans |= done
        quarters = 4 * len(scans) // len(rows)
        if quarters > quarters_said:
            quarters_said = quarters
            progress(f"phantom: {len(scans)} of {len(rows)} participants scanned")
    return scans


def write_delivery(path, n_subjects: int, seed: int, eps: float, gmax: float, null: str, workers: int = 1,
                   progress=print) -> Path:
    """Write a synthetic NLST delivery to `path`, replacing an older one only at the end.

    Args:
        n_subjects: usable participants; about 3 % that cannot be used come on top.
        seed: the delivery is the same, byte for byte, for the same seed and law, whatever `workers` is.
        eps, gmax, null: the law (`law.Law`).
        workers: processes; 0 is one per core.

    Returns:
        `path`: five tables and nodule_centres.csv, dicom/<patient_id>/<study_yr>/*.dcm, truth/, README.txt.

    Raises:
        UserError: an unknown null, n_subjects < 1, or `path` holds something that this program did not write.

    Source: ours, because the one reader of NLST should read the phantom too.
    """
    path = Path(path)
    if n_subjects < 1:
        raise UserError(f"phantom_subjects is {n_subjects}; write at least 1.")
    cohort = draw_cohort(n_subjects, seed, eps, gmax, null)
    with replacing(path) as part:
        scans = scan_all(_scan_batch, cohort, seed, part / "dicom", workers or os.cpu_count(), progress)
        _write_tables(part, cohort, scans, seed)
        write_truth(part / "truth", cohort, dict(n_subjects=n_subjects, seed=seed, eps=eps, gmax=gmax, null=null))
    progress(f"phantom: {n_subjects} usable participants and {len(cohort) - n_subjects} others in {path.name}/")
    return path


def _write_tables(folder: Path, cohort, scans, seed: int) -> None:
    """The CSV tables and README.txt."""
    rows = cohort.reset_index().sort_values("patient_id", ignore_index=True)
    abnormalities, comparison = registry.abnormality_tables(rows, scans)
    tables = {"participant": registry.participant_table(rows, seed), "sct_abnormalities": abnormalities,
              "sct_comparison_abnorm": comparison, "screening": registry.screening_table(rows, scans),
              "lung_cancer": registry.cancer_table(rows), "nodule_centres": registry.centre_table(rows, scans)}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    (folder / "README.txt").write_text(README)


def write_truth(folder: Path, cohort, law: dict) -> None:
    """truth.parquet (one row a participant) and law.json (how to draw it again)."""
    folder.mkdir()
    cohort.reset_index().set_index("patient_id").sort_index().to_parquet(folder / "truth.parquet")
    (folder / "law.json").write_text(json.dumps({"synthetic": True, **law}, indent=1) + "\n")
