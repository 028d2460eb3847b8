"""Single phantom images of subjects that no cohort holds: no label, no record, no pair."""

import numpy as np
import torch

from namd.data.dicom.pixels import resample_crop
from namd.data.images import augment, window
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import nodule_at
from namd.data.phantom.law import draw_subjects
from namd.data.phantom.scanner import SCANNERS, acquire, draw_place, draw_protocol
from namd.ground.files import replacing
from namd.ground.keys import Keyed
from namd.ground.seeding import numpy_rng
from namd.ground.workers import in_order

HELD_OUT = 500                      # the last subjects validate
BATCH = 200                         # subjects a job
MARGIN_MM = 4                       # the nodule lies up to 1.2 mm off the middle
SHARES = [1 / len(SCANNERS)] * len(SCANNERS)


def draw_image(row: dict, seed: int, size: int) -> np.ndarray:
    """The slice through the nodule of one subject at T0, in one of the 8 turns of the square: (size, size) int16 HU.

    Args:
        row: of `law.draw_subjects`; size: pixels of 0.6 mm.

    Source: ours; scanners in equal shares, as the authors' prior came from LUNA25, DLCS and LUNA16, not from NLST.
    """
    subject = row["subject"]
    anatomy = draw_anatomy(row, seed, subject)
    rng = numpy_rng(seed, "single image", subject)
    protocol = draw_protocol(rng, SHARES)
    place = draw_place(rng, row["sct_epi_loc"])
    field = .6 * size + MARGIN_MM
    scan = acquire(anatomy, nodule_at(row, 0), 0, protocol, place, np.zeros(1), rng, field)
    crop = resample_crop(np.rint(scan.hu[0]), protocol.spacing, scan.box_centre, size)
    return augment(crop[None], "square", int(rng.integers(8)))[0]


def _draw_batch(rows, seed, size):
    return np.stack([draw_image(row, seed, size) for row in rows])


def draw_images(path, key: str, p, progress=print) -> np.ndarray:
    """All images, (pretrain_subjects, S, S) int16 HU, kept at `path` under `key`.

    Args:
        p: pretrain_subjects, pretrain_seed, phantom_eps, phantom_gmax, phantom_null, image_size, data_workers.
    """
    kept = Keyed(path, key)
    if not kept.current():
        kept.set_aside()
        rows = draw_subjects(p.pretrain_subjects, p.pretrain_seed, p.phantom_eps, p.phantom_gmax, p.phantom_null)
        rows = rows.reset_index().to_dict("records")
        jobs = [(rows[i:i + BATCH], p.pretrain_seed, p.image_size) for i in range(0, len(rows), BATCH)]
        progress(f"pretrain: {len(rows):,} single images are drawn", flush=True)
        images = np.concatenate(list(in_order(_draw_batch, jobs, p.data_workers)))
        with replacing(kept.path) as aside, open(aside, "wb") as handle:
            np.save(handle, images)
        kept.sign()
    return np.load(kept.path, mmap_mode="r", allow_pickle=False)


class Images:
    """Images as a model sees them, (N, 1, S, S) float32 in [-1, 1]: those that train and those that validate."""

    def __init__(self, hu: np.ndarray, p):
        held_out = min(HELD_OUT, len(hu) // 5)
        self.train = self._seen(hu[:-held_out], p)
        self.val = self._seen(hu[-held_out:], p)

    @staticmethod
    def _seen(hu, p) -> torch.Tensor:
        return torch.from_numpy(window(hu, p.window_low, p.window_high)).unsqueeze(1)
