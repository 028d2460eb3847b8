"""The prepared cohort: the one contract between the data and everything downstream."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from namd.data.broken import broken, broken_otherwise, made_by, read_manifest
from namd.data.images import MM_PER_PX, PIXELS, augment, centre_crop, window
from namd.data.report import CDAS_ONLY, EHR, NODULE
from namd.ground.errors import UserError
from namd.ground.marks import sha256

SCHEMA_VERSION = 1
_SCAN = {"series_uid": "string", "sop_uid": "string", "instance": "Int32", "center_x_mm": "float32",
         "center_y_mm": "float32", "center_z_mm": "float32", "spacing_mm": "float32", "thickness_mm": "float32",
         "gap_mm": "float32", "kernel": "string", "manufacturer": "string", "body_part": "string", "lossy": "boolean",
         "padding": "float32"}
_NODULE = {name: "float32" if name.endswith("_dia") else "Int8" for name in NODULE}


def _both_scans() -> dict[str, str]:
    """The columns of a scan, each at T0 and T1: t0_series_uid, t1_series_uid, t0_sop_uid, ..."""
    columns = {}
    for name, dtype in _SCAN.items():
        columns[f"t0_{name}"] = dtype
        columns[f"t1_{name}"] = dtype
    return columns


SCHEMA = {
    "pair_id": "string", "dataset": "string", "patient_id": "string", "nodule_id": "string", "split": "string",
    "t0_index": "int32", "t1_index": "Int32", "t0_year": "Int8", "t1_year": "Int8", "interval_days": "Int32",
    **_both_scans(),
    "center_source": "string", "link_tier": "string", "label": "Int8", "label3": "Int8", "label_source": "string",
    "label_rule": "string", **_NODULE,
    **{f"t1_{name}": dtype for name, dtype in _NODULE.items() if name != "sct_epi_loc"},
    "age": "Int16", "age_at_scan": "float32", "gender": "Int8", **{name: "Int8" for name in EHR[6:7] + EHR[8:]},
    "missing_reason": "string",
}
READERS = {"nodule_id": "string", "reader": "Int8", "subtlety": "Int8", "internalStructure": "Int8",
           "calcification": "Int8", "sphericity": "Int8", "margin": "Int8", "lobulation": "Int8", "spiculation": "Int8",
           "texture": "Int8", "malignancy": "Int8", "area_mm2": "float32", "diameter_mm": "float32"}


ONLY_LIDC = "only a cohort of LIDC's readings holds what readers outlined and rated; build one with notebook 09"


def source_of(manifest: dict) -> str:
    """phantom, NLST, or e.g. `open NLST, 7 of 13 features` or `own data, 8 of 13`: what of the record any pair has.

    Source: ours, because the paper's cohort has all of them, and the public tables lack what only CDAS gives.
    """
    if manifest["synthetic"]:
        return "phantom"
    absent = {name for name, known in manifest.get("feature_availability", {}).items() if known == "absent"}
    if manifest.get("source") == "own":
        return f"own data, {len(EHR) - len(absent)} of {len(EHR)} features"
    name = "open NLST" if absent >= set(CDAS_ONLY) else "NLST"
    return f"{name}, {len(EHR) - len(absent)} of {len(EHR)} features" if absent else name


class Pairs:
    """Nodule pairs of one or more splits: images, labels and records in the order of `table`.

    Source: paper Sec. 3.1 (X1, X2, e, L).
    """

    def __init__(self, table: pd.DataFrame, crops: np.ndarray, masks: np.ndarray | None = None):
        self.table = table
        self._crops = crops
        self._masks = masks

    def __len__(self) -> int:
        return len(self.table)

    def with_table(self, table: pd.DataFrame) -> "Pairs":
        """The pairs that `table` names, with its columns: rows of this one's table, or rows changed like them."""
        return Pairs(table, self._crops, self._masks)

    @cached_property
    def x1_hu(self) -> np.ndarray:
        """(N, 128, 128) int16 HU, baseline."""
        return self._crops[self.table.t0_index.to_numpy(dtype=int)]

    @cached_property
    def x2_hu(self) -> np.ndarray:
        """(N, 128, 128) int16 HU, follow-up."""
        if self.table.t1_index.isna().any():
            raise UserError("no follow-up image: LIDC scanned its nodules once; take a cohort of pairs (notebook 01)")
        return self._crops[self.table.t1_index.to_numpy(dtype=int)]

    @cached_property
    def masks(self) -> np.ndarray:
        """(N, 128, 128) bool, the nodule in `x1_hu`: what at least half of its readers outlined.

        Raises:
            UserError: the cohort has no masks.
        """
        if self._masks is None:
            raise UserError(f"no masks: {ONLY_LIDC}")
        return self._masks[self.table.t0_index.to_numpy(dtype=int)]

    @property
    def d_eq(self) -> np.ndarray:
        """(N,) float64 mm, the equivalent diameter 2 sqrt(A / pi) of `masks`."""
        return 2 * MM_PER_PX * np.sqrt(self.masks.sum(axis=(1, 2)) / np.pi)

    @property
    def label(self) -> np.ndarray:
        """(N,) int64, 1 for malignant."""
        return self._known("label")

    @property
    def label3(self) -> np.ndarray:
        """(N,) int64, 0 benign, 1 unsure, 2 malignant, by the readers."""
        return self._known("label3")

    def _known(self, column) -> np.ndarray:
        """(N,) int64 of a column that may be null, but not here."""
        missing = int(self.table[column].isna().sum())
        if missing:
            raise UserError(f"{missing} of {len(self)} nodules have no {column}: `label` is known for NLST and for what"
                            " LIDC's readers are sure of, `label3` for LIDC only; leave the others out")
        return self.table[column].to_numpy(dtype=np.int64)

    @property
    def patient(self) -> np.ndarray:
        """(N,) patient_id; a patient may have several pairs, so intervals draw patients."""
        return self.table.patient_id.to_numpy(dtype=object)

    @property
    def ehr(self) -> pd.DataFrame:
        """(N, 13) the record e at T0 in the order of Table 2, indexed by pair_id, missing values kept."""
        return self.table[EHR]

    def attributes(self, time: int) -> pd.DataFrame:
        """(N, 5) nodule attributes f at T0 (time 1) or T1 (time 2); the lobe is that of T0 in both."""
        at_t1 = [name if name == "sct_epi_loc" else "t1_" + name for name in NODULE]
        names = {1: NODULE, 2: at_t1}
        return self.table[names[time]].set_axis(NODULE, axis=1)

    def images(self, image_size: int, low: float, high: float) -> tuple[torch.Tensor, torch.Tensor]:
        """x1 and x2, (N, 1, S, S) float32 in [-1, 1]: the windowed centre of each crop."""
        return self.augmented(0, "square", image_size, low, high)

    def augmented(self, k: int, kind: str, image_size: int, low: float, high: float):
        """x1 and x2 after augmentation k, the same one on both images of a pair."""
        def seen(hu):
            turned = augment(hu, kind, k)
            return torch.from_numpy(window(centre_crop(turned, image_size), low, high)).unsqueeze(1)

        return seen(self.x1_hu), seen(self.x2_hu)


class Cohort:
    """A prepared cohort on disk, verified when opened."""

    def __init__(self, path: Path, manifest: dict, pairs: pd.DataFrame, crops: np.ndarray, masks=None, readers=None):
        self.path = path
        self.manifest = manifest
        self.pairs = pairs
        self._crops = crops
        self._masks = masks
        self._readers = readers

    @classmethod
    def open(cls, path) -> "Cohort":
        """Verify and open; crops stay on disk until asked for.

        Raises:
            UserError: E25 with what is broken (version, checksum, shape, index, a patient in two splits).
        """
        path = Path(path)
        if not (path / "manifest.json").exists():
            raise UserError(f"{path} holds no prepared cohort; run notebook {made_by(path)} first")
        manifest = read_manifest(path, SCHEMA_VERSION)
        for name, digest in manifest["sha256"].items():
            if sha256(path / name) != digest:
                raise broken(path, f"{name} is absent or differs from its checksum")
        masks = readers = None
        with broken_otherwise(path):
            crops = np.load(path / "crops.npy", mmap_mode="r", allow_pickle=False)
            pairs = pd.read_parquet(path / "pairs.parquet").set_index("pair_id")
            if "crops_mask.npy" in manifest["sha256"]:
                masks = np.load(path / "crops_mask.npy", mmap_mode="r", allow_pickle=False)
            if "readers.parquet" in manifest["sha256"]:
                readers = pd.read_parquet(path / "readers.parquet")
            _verify(path, pairs, crops)
            _verify_optional(path, pairs, crops, masks, readers)
        return cls(path, manifest, pairs, crops, masks, readers)

    @property
    def readers(self) -> pd.DataFrame:
        """One row a nodule and reader, the columns of `READERS`: ratings, and what he outlined in the middle slice.

        Raises:
            UserError: the cohort has no readers.
        """
        if self._readers is None:
            raise UserError(f"{self.path} has no readers: {ONLY_LIDC}")
        return self._readers

    def split(self, *names: str) -> Pairs:
        """Pairs of the named splits (train, val, test).

        Raises:
            UserError: another name, or nobody is in them.
        """
        unknown = set(names) - {"train", "val", "test"}
        if unknown or not names:
            raise UserError(f"split: {', '.join(sorted(unknown)) or 'nothing'} asked for; use train, val or test")
        rows = self.pairs[self.pairs.split.isin(names)]
        if rows.empty:
            raise UserError(f"{self.path}: no patient is in the split {' or '.join(names)}, for the cohort has only"
                            f" {self.pairs.patient_id.nunique()}: take more, or other data_test_share and"
                            f" data_val_share, and run notebook {made_by(self.path)} again.")
        return Pairs(rows, self._crops, self._masks)


def _verify(path, pairs, crops) -> None:
    """The promises of the contract that a checksum cannot hold."""
    if crops.dtype != np.int16 or crops.shape[1:] != (PIXELS, PIXELS):
        raise broken(path, f"crops.npy holds {crops.dtype} {crops.shape}")
    if pairs.index.has_duplicates or list(pairs.columns) != list(SCHEMA)[1:]:
        raise broken(path, "pairs.parquet has repeated pairs or other columns than the schema")
    index = pairs[["t0_index", "t1_index"]].stack().dropna()
    if len(index) and (index.min() < 0 or index.max() >= len(crops)):
        raise broken(path, f"an index is outside the {len(crops)} crops")
    if (pairs.groupby("patient_id").split.nunique() > 1).any():
        raise broken(path, "one patient is in two splits")


def _verify_optional(path, pairs, crops, masks, readers) -> None:
    """The same of the files that a cohort may have."""
    if masks is not None and (masks.dtype != bool or masks.shape != crops.shape):
        raise broken(path, f"crops_mask.npy holds {masks.dtype} {masks.shape} beside {len(crops)} crops")
    if readers is None:
        return
    if list(readers.columns) != list(READERS) or readers.duplicated(["nodule_id", "reader"]).any():
        raise broken(path, "readers.parquet has repeated readers or other columns than the schema")
    if set(readers.nodule_id) != set(pairs.nodule_id):
        raise broken(path, "readers.parquet names other nodules than pairs.parquet")
