"""The files of a prepared cohort, written the same way whatever it was made of."""

import json
import time
from dataclasses import fields

import numpy as np
import pandas as pd

from namd.data.images import HU_LOW, MM_PER_PX, PIXELS
from namd.data.refused import Refused
from namd.ground.marks import sha256

CROP = dict(pixels=PIXELS, mm_per_px=MM_PER_PX, plane="axial", interpolation="linear", pad_hu=HU_LOW)


def write_cohort(folder, pairs, refused: list[Refused], manifest: dict, masks=None, readers=None) -> None:
    """All files of the contract but crops.npy, which is there; nothing in them depends on the clock.

    Args:
        folder: of the cohort.
        pairs: the table of the contract.
        refused: what did not enter.
        manifest: what the cohort says of itself, without the sums of its files.
        masks: (M, 128, 128) bool, of the nodule in each crop; readers: the table of `cohort.READERS`. Optional.

    Source: the contract of the data sheet, schema 1.
    """
    pairs.to_parquet(folder / "pairs.parquet", index=False)
    pairs.to_csv(folder / "pairs.csv", index=False)
    columns = [column.name for column in fields(Refused)]
    pd.DataFrame(refused, columns=columns).to_csv(folder / "refused.csv", index=False)
    names = ["crops.npy", "pairs.csv", "pairs.parquet", "refused.csv"]
    if masks is not None:
        np.save(folder / "crops_mask.npy", masks)
        names.append("crops_mask.npy")
    if readers is not None:
        readers.to_parquet(folder / "readers.parquet", index=False)
        names.append("readers.parquet")
    manifest = manifest | dict(sha256={name: sha256(folder / name) for name in names})
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def availability(column) -> str:
    """Of how many pairs a feature is known."""
    if column.notna().all():
        return "full"
    return "partial" if column.notna().any() else "absent"


def stopwatch(progress):
    """`progress`, with the seconds since the start before each line."""
    start = time.perf_counter()
    return lambda line: progress(f"{time.perf_counter() - start:6.1f} s  {line}")
