"""The optional files of a cohort: read where the manifest names them, refused in a sentence where there are none."""

import json

import numpy as np
import pandas as pd
import pytest
from small_delivery import PARAMS, tables, write_delivery
from small_lidc import nodule, reading, roi, square, write_scan

from namd.data.cohort import Cohort
from namd.data.lidc.build import build_lidc
from namd.data.nlst.build import build_cohort
from namd.ground.errors import UserError
from namd.ground.marks import sha256


def silent(line):
    pass


@pytest.fixture(scope="module")
def lidc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lidc")
    for malignancy, side in ((1, 4), (3, 8), (5, 12)):
        uid = f"1.2.{malignancy}"
        mark = nodule("1", roi(uid, square(90, 80, side)), malignancy=malignancy)
        write_scan(folder / "d", f"P{malignancy}", uid, reading(uid, *[mark] * 3))
    return build_lidc(folder / "d", folder / "c", workers=1, progress=silent)


@pytest.fixture(scope="module")
def nlst(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nlst")
    return build_cohort(write_delivery(folder / "d", tables(n=4)), folder / "c", PARAMS, progress=silent)


def sentence(act):
    """What an act is refused with, in one line."""
    with pytest.raises(UserError) as refused:
        act()
    said = str(refused.value)
    assert "\n" not in said
    return said


def test_a_cohort_without_masks_and_readers_says_so(nlst):
    cohort = Cohort.open(nlst)
    pairs = cohort.split("train", "val", "test")
    assert sentence(lambda: pairs.masks).startswith("no masks: only a cohort of LIDC's readings holds")
    assert sentence(lambda: pairs.d_eq).startswith("no masks: only")
    assert "has no readers: only a cohort of LIDC's readings holds" in sentence(lambda: cohort.readers)
    assert "4 of 4 nodules have no label3" in sentence(lambda: pairs.label3)


def test_a_cohort_without_follow_ups_says_so(lidc):
    pairs = Cohort.open(lidc).split("train")
    assert "no follow-up image" in sentence(lambda: pairs.x2_hu)
    assert "1 of 3 nodules have no label" in sentence(lambda: pairs.label)
    sure = pairs.with_table(pairs.table[pairs.label3 != 1])
    assert sure.label.tolist() == [0, 1] and sure.masks.shape == (2, 128, 128)


def test_masks_follow_the_rows_that_are_asked_for(lidc):
    pairs = Cohort.open(lidc).split("train")
    assert pairs.masks.sum((1, 2)).tolist() == [16, 64, 144]
    turned = pairs.with_table(pairs.table[::-1])
    np.testing.assert_array_equal(turned.masks, pairs.masks[::-1])
    np.testing.assert_array_equal(turned.x1_hu, pairs.x1_hu[::-1])


def sign(folder):
    """Renew the checksums, so that only the rule under test can refuse."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: sha256(folder / name) for name in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def masks(folder, change):
    np.save(folder / "crops_mask.npy", change(np.load(folder / "crops_mask.npy")))
    sign(folder)


def readers(folder, change):
    change(pd.read_parquet(folder / "readers.parquet")).to_parquet(folder / "readers.parquet", index=False)
    sign(folder)


BREAKS = {
    "a mask too few": (lambda c: masks(c, lambda m: m[:-1]), r"crops_mask.npy holds bool .2, 128, 128. beside 3 crops"),
    "masks of numbers": (lambda c: masks(c, lambda m: m.astype(np.uint8)), "crops_mask.npy holds uint8"),
    "a changed mask": (lambda c: np.save(c / "crops_mask.npy", np.ones((3, 128, 128), bool)), "differs from its check"),
    "no masks": (lambda c: (c / "crops_mask.npy").unlink(), "crops_mask.npy is absent"),
    "no readers": (lambda c: (c / "readers.parquet").unlink(), "readers.parquet is absent"),
    "a reader twice": (lambda c: readers(c, lambda r: pd.concat([r, r[:1]])), "repeated readers"),
    "a column too few": (lambda c: readers(c, lambda r: r.drop(columns="texture")), "other columns than the schema"),
    "a nodule too few": (lambda c: readers(c, lambda r: r[3:]), "names other nodules"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_broken_optional_files_are_not_opened(lidc, tmp_path, case):
    for file in lidc.glob("[!.]*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    spoil, words = BREAKS[case]
    spoil(tmp_path)
    with pytest.raises(UserError, match="^E25.*" + words):
        Cohort.open(tmp_path)
