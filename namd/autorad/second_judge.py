"""The second judge: AutoRad-Lung with two classes, trained on real follow-ups, reads whatever the first judge read."""

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch

from namd.autorad import crops, radiomics
from namd.autorad.folds import Arm
from namd.autorad.held_out import HeldOut, read_others
from namd.ground.precision import prepare
from namd.ground.workers import side_by_side

CLASSES = ("benign", "malignant")
NAME = "second judge"
DOUBT = "doubt"
CHUNK = 512                     # images cut at a time; changes memory only


class Sight(NamedTuple):
    """What AutoRad-Lung takes from N images.

    Args:
        z: (N, P) image embeddings; features: (N, F) radiomics; masks: (N, S, S) bool, the outlines both rest on.
    """

    z: torch.Tensor
    features: np.ndarray
    masks: np.ndarray


def see(x, masks, encoder, p, path) -> Sight:
    """Embeddings and radiomics of windowed images, real or generated.

    Args:
        x: (N, 1, S, S) in [-1, 1]; masks: (N, S, S) bool, none empty; encoder: of `encoders.load_encoder`.
        p: window_low, window_high, autorad_images, data_workers; path: where radiomics are kept (`radiomics.table`).

    Source: ours; HU outside the window are lost for generated images, so they are for real ones too.
    """
    parts = [slice(first, first + CHUNK) for first in range(0, len(x), CHUNK)]
    half = (p.window_high - p.window_low) / 2
    hu = np.concatenate([(x[part, 0].numpy() + 1) * half + p.window_low for part in parts])
    features = radiomics.table(hu, masks, p.autorad_images, path, p.data_workers)
    z = [encoder.embed(crops.crops(hu[part], masks[part], encoder.size)).cpu() for part in parts]
    return Sight(torch.cat(z), features, masks)


def see_rows(images, outline, encoder, p, folder, workers: int = 1) -> dict[str, Sight]:
    """`see` of several rows, side by side: {row: Sight}.

    Args:
        images: {row: (N, 1, S, S), or a function that gives (K, N, 1, S, S), of which the first draw is seen}.
        outline: function of (N, 1, S, S) that gives (N, S, S) bool, none empty; encoder, p: as of `see`.
        folder: radiomics of a row are kept there; workers: processes, each with one row's images at a time.

    Source: ours, because all rows at once take several GB.
    """
    own = SimpleNamespace(**vars(p) | dict(data_workers=1)) if workers > 1 else p
    jobs = [(source, outline, encoder, own, kept(folder, row)) for row, source in images.items()]
    return dict(zip(images, side_by_side(_see_one, jobs, workers), strict=True))


def kept(folder, row) -> Path:
    """Where the radiomics of a row are kept."""
    return Path(folder) / f"{row.replace(' ', '_')}.npz"


def _see_one(source, outline, encoder, p, path):
    """One row, in a process of its own where there are several."""
    prepare(p.threads, p.precision)
    x = source()[0] if callable(source) else source
    return see(x, outline(x), encoder, p, path)


def judge(sights, labels, text, p, folder, key, workers: int = 1) -> tuple[dict[str, np.ndarray], HeldOut]:
    """P(malignant) of every image of every row: {row: (1, N) float64}, and the training.

    Args:
        sights: {row: Sight}; "train" and "val" are real follow-ups that train and choose.
        labels: {"train" and "val": (N,) 0 or 1}; text, p, folder, key: as of `folds.cross_validate`.
        workers: as of `held_out.read_others`.

    Source: ours, after Section 4.1.2 of NAMD, whose judge learns from real images alone, too.
    """
    row = np.repeat(list(sights), [len(sight.z) for sight in sights.values()])
    label = np.zeros(len(row), dtype=np.int64)
    for name, values in labels.items():
        label[row == name] = values
    z = torch.cat([sight.z for sight in sights.values()])
    features = np.concatenate([sight.features for sight in sights.values()])
    found = read_others(_arm(NAME, p), z, features, label, row == "train", row == "val", text, p, folder, key, CLASSES,
                        workers)
    return {name: found.prob[row == name, 1][None] for name in sights if name not in labels}, found


def unsure(then, today, label3, val, text, p, folder, key, workers: int = 1) -> np.ndarray:
    """P(unsure) of M images by a model of three classes that learnt from N others: (M,) float64.

    Args:
        then: Sight of the N; today: Sight of the M, seen in the same way.
        label3: (N,) 0, 1, 2; val: (N,) bool, which of them choose the rate, the others train.
        text, p, folder, key: as of `folds.cross_validate`; workers: as of `held_out.read_others`.

    Source: ours, because LIDC's readers doubted nodules whose follow-up nobody has.
    """
    z = torch.cat([then.z, today.z])
    features = np.vstack([then.features, today.features])
    label, train, chooses = (np.pad(each, (0, len(today.z))) for each in (label3, ~val, val))
    found = read_others(_arm(DOUBT, p), z, features, label, train, chooses, text, p, folder, key, workers=workers)
    return found.prob[len(then.z):, 1]


def _arm(name, p) -> Arm:
    """Guided prompts under this name."""
    return Arm(name, "features", tuple(p.autorad_rates))
