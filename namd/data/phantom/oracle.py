"""What only the phantom can tell: the truth behind a delivery, and follow-ups drawn from p(x2 | x1, record)."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from namd.data.dicom.pixels import resample_crop
from namd.data.images import MM_PER_PX, window
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import first_scan, nodule_at
from namd.data.phantom.growth import VISIT_DRAWS, follow_up
from namd.data.phantom.law import POSTERIOR_DRAWS, SUBJECT_DRAWS, Law, draw_patient, draw_posterior, uniforms
from namd.data.phantom.registry import CDAS_ONLY
from namd.data.phantom.scanner import acquire, next_protocol
from namd.ground.errors import UserError
from namd.ground.reading import read_json, read_table
from namd.ground.seeding import numpy_rng

MARGIN_MM = 5.                      # around the picture: the nodule's place in the matrix, half a pixel of its box


def read_truth(truth_dir) -> pd.DataFrame:
    """Truth of all participants, index `patient_id` (six digits).

    `risk` = P(malignant | x1 attributes, record); `u`, `eta` log odds; `longest_mm`, `t1_longest_mm`, ... true
    diameters in mm; `growth` log diameter ratio; `label`; `flaw` is "" for the usable participants.

    Raises:
        UserError: the folder holds no truth (real data have none).

    Source: ours; only the evaluation may open it.
    """
    path = Path(truth_dir) / "truth.parquet"
    if not path.exists():
        raise UserError(f"{path} does not exist; the truth is known for phantom data only (data_source: phantom).")
    return read_table(path, "01")


def draw_attributes(rows, law: Law, seed: int) -> pd.DataFrame:
    """A fresh T1 for each row of truth: u and label given the T0 attributes and the known record, then a year.

    Where the record lacks emphysema and family history, these are drawn anew too: the oracle knows what a model may.

    Source: ours, the law itself with new draws keyed by (seed, patient).
    """
    names = SUBJECT_DRAWS + POSTERIOR_DRAWS + VISIT_DRAWS
    u = uniforms(names, seed, "oracle", ids=rows.index)
    anew = draw_patient(u).set_axis(rows.index)
    record = rows.assign(**{name: rows[name].where(rows["record_known"], anew[name]) for name in CDAS_ONLY})
    rows = rows.assign(**draw_posterior(record, law, u))
    return rows.assign(**follow_up(rows, law, u))


def oracle_follow_up(truth_dir, patient_ids, seed: int, image_size: int, low: float, high: float) -> torch.Tensor:
    """One draw of p(x2 | x1, record) per patient: the ceiling of any generator; (N, 1, S, S) float32 in [-1, 1].

    Anatomy and nodule are the patient's own; aggressiveness, growth, attributes, body position, scan and noise are
    new. The picture goes through the reader's resampling and window.

    Args:
        truth_dir: `truth/` of a synthetic delivery.
        patient_ids: (N,) six-digit strings.
        seed: another seed is another draw; a patient's draw does not depend on the others asked for.
        image_size, low, high: pixels of 0.6 mm and the HU window.

    Raises:
        UserError: no truth, or a patient that is not in it.

    Source: ours; the perfect posterior sampler of the feasibility study.
    """
    truth = read_truth(truth_dir)
    settings = read_json(Path(truth_dir) / "law.json", "01", "seed", "eps", "gmax", "null")
    unknown = [i for i in patient_ids if i not in truth.index]
    if unknown:
        raise UserError(f"{unknown[0]} is not in {truth_dir}; ask for patients of the same delivery.")
    law = Law(settings["eps"], settings["gmax"], settings["null"])
    rows = draw_attributes(truth.loc[list(patient_ids)], law, seed)
    crops = np.stack([_crop(row, settings["seed"], seed, image_size) for row in rows.reset_index().to_dict("records")])
    return torch.as_tensor(window(crops, low, high), dtype=torch.float32)[:, None]


def _crop(row, phantom_seed: int, seed: int, pixels: int) -> np.ndarray:
    """The nodule's slice at T1, scanned anew and resampled as the reader does, (pixels, pixels) int16 HU."""
    anatomy = draw_anatomy(row, phantom_seed, row["subject"])
    protocol, place = first_scan(row, phantom_seed)
    rng = numpy_rng(seed, "oracle scan", row["patient_id"])
    protocol = next_protocol(rng, protocol)
    scan = acquire(anatomy, nodule_at(row, 1), 1, protocol, place, np.zeros(1), rng, pixels * MM_PER_PX + MARGIN_MM)
    return resample_crop(np.rint(scan.hu[0]), protocol.spacing, scan.box_centre, pixels=pixels)
