"""Nodules of subjects that no cohort holds, as AutoRad-Lung sees them, with captions; no record, no second visit."""

from typing import NamedTuple

import numpy as np
import torch

from namd.autorad.crops import crop
from namd.autorad.prompts import CLASSES, WORDS
from namd.data.dicom.pixels import resample_crop
from namd.data.images import MM_PER_PX, PIXELS
from namd.data.lidc.labels import class_of
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import nodule_at
from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, POORLY_DEFINED, SMOOTH, SOFT, SPICULATED, draw_subjects
from namd.data.phantom.lidc_delivery import draw_lidc_protocol
from namd.data.phantom.outlines import outlines
from namd.data.phantom.readers import N_READERS, ratings, waviness
from namd.data.phantom.scanner import acquire, draw_place, draw_protocol
from namd.ground.files import replacing
from namd.ground.keys import Keyed
from namd.ground.seeding import numpy_rng
from namd.ground.workers import in_order
from namd.pretrain.images import BATCH, MARGIN_MM, SHARES

SIZE = 128                          # px of a stored image, twice the nodule's diameter
PROBED = 1200                       # the last subjects, at most; what was learnt is read off them
SHARE_TOLD = .5                     # of the captions in which the kind stands, or the margin
KINDS = {SOFT: "solid", GROUND_GLASS: "ground glass", PART_SOLID: "part solid"}
MARGINS = {SPICULATED: "spiculated", SMOOTH: "smooth", POORLY_DEFINED: "ill defined"}
DRAWN = np.dtype([("image", np.uint8, (SIZE, SIZE)), ("waviness", np.float64)])


class Nodules(NamedTuple):
    """Single nodules: images (N, SIZE, SIZE) uint8, captions, classes (N,) 0, 1, 2."""

    images: torch.Tensor
    captions: list[str]
    label3: np.ndarray

    def halves(self) -> tuple["Nodules", "Nodules"]:
        """Those that are learnt, and the last ones, which are probed: a fifth, but no more than PROBED."""
        n = len(self.label3) - min(PROBED, len(self.label3) // 5)
        return self.first(n), Nodules(*(column[n:] for column in self))

    def first(self, n: int) -> "Nodules":
        """The first n of them."""
        return Nodules(*(column[:n] for column in self))


def draw_nodule(row: dict, seed: int) -> tuple[np.ndarray, float]:
    """The nodule of one subject at T0 in twice the diameter on which half of four readers agree, and its waviness.

    Args:
        row: of `law.draw_subjects(..., seed)`.

    Returns:
        (SIZE, SIZE) uint8, 0 and 255 the ends of the window; `readers.waviness`.

    Source: ours; every second subject is scanned as LIDC's patients, the others as those of `images.draw_image`,
    because an encoder reads both cohorts.
    """
    subject = row["subject"]
    anatomy = draw_anatomy(row, seed, subject)
    rng = numpy_rng(seed, "single nodule", subject)
    protocol = draw_lidc_protocol(rng) if subject % 2 else draw_protocol(rng, SHARES)
    place = draw_place(rng, row["sct_epi_loc"])
    pixels = min(2 * int(1.4 * row["longest_mm"] / MM_PER_PX + 4), PIXELS)
    nodule = nodule_at(row, 0)
    scan = acquire(anatomy, nodule, 0, protocol, place, np.zeros(1), rng, MM_PER_PX * pixels + MARGIN_MM)
    hu = resample_crop(np.rint(scan.hu[0]), protocol.spacing, scan.box_centre, pixels)
    away = protocol.spacing * np.subtract(scan.box_centre, scan.centre_px)
    x, y = away[:, None] + MM_PER_PX * (np.arange(pixels) - (pixels - 1) / 2)
    drawn = outlines(anatomy.shape, nodule, seed, subject, x, y, np.zeros(1), protocol.thickness)[:, 0]
    seen = crop(hu, 2 * drawn.sum(0) >= N_READERS, SIZE)
    return np.rint(127.5 * (seen + 1)).astype(np.uint8), waviness(anatomy.shape)


def _draw_batch(rows, seed):
    return np.array([draw_nodule(row, seed) for row in rows], DRAWN)


def captions(rows, label3, seed: int) -> list[str]:
    """What is said of each nodule, the class last, as in a prompt: "a spiculated nodule image of malignant .".

    Args:
        rows: `subject`, `sct_pre_att`, `sct_margins`; label3: (N,) class of the simulated readers' median rating.

    Source: ours; kind and margin stand in half of the captions each, so that a class is often told by the image alone.
    """
    told = []
    for subject, kind, margin, label in zip(rows["subject"], rows["sct_pre_att"], rows["sct_margins"], label3,
                                            strict=True):
        draws = numpy_rng(seed, "caption", subject).random(2)
        seen = [word for word, u in zip((KINDS[kind], MARGINS[margin]), draws, strict=True) if u < SHARE_TOLD]
        article, rest = WORDS.split(" ", 1)
        told.append(" ".join([article, *seen, rest, CLASSES[label], "."]))
    return told


def draw_nodules(path, key: str, p, progress=print) -> Nodules:
    """All nodules, with their images kept at `path` under `key`.

    Args:
        p: pretrain_subjects, pretrain_seed, phantom_eps, phantom_gmax, phantom_null, data_workers.
    """
    rows = draw_subjects(p.pretrain_subjects, p.pretrain_seed, p.phantom_eps, p.phantom_gmax, p.phantom_null)
    rows = rows.reset_index()
    kept = Keyed(path, key)
    if not kept.current():
        kept.set_aside()
        records = rows.to_dict("records")
        jobs = [(records[i:i + BATCH], p.pretrain_seed) for i in range(0, len(records), BATCH)]
        progress(f"pretrain: {len(rows):,} single nodules are drawn", flush=True)
        drawn = np.concatenate(list(in_order(_draw_batch, jobs, p.data_workers)))
        with replacing(kept.path) as aside, open(aside, "wb") as handle:
            np.save(handle, drawn)
        kept.sign()
    drawn = np.load(kept.path, mmap_mode="r", allow_pickle=False)
    malignancy = ratings(rows, p.pretrain_seed, drawn["waviness"])
    label3 = np.array([class_of(rated) for rated in malignancy])
    images = torch.from_numpy(drawn["image"].copy())
    return Nodules(images, captions(rows, label3, p.pretrain_seed), label3)
