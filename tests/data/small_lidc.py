"""A hand-made LIDC delivery: DICOM series in TCIA's folders and XML readings, squares whose pixels can be counted."""

from pathlib import Path

import numpy as np
from small_delivery import write_slice

SPACING = 0.6                               # mm, of a pixel: the crop's own
SIDE = 200                                  # pixels
GAP = 2.0                                   # mm between slices
Z = (-2.0, 0.0, 2.0)                        # of the slices
RATINGS = dict(subtlety=4, internalStructure=1, calcification=6, sphericity=4, margin=4, lobulation=2, spiculation=1,
               texture=5, malignancy=3)


def square(column, row, side):
    """The outline of a square of side x side pixels from (column, row) on: the pixels around it, in order."""
    low_x, low_y, high_x, high_y = column - 1, row - 1, column + side, row + side
    top = [(x, low_y) for x in range(low_x, high_x)]
    right = [(high_x, y) for y in range(low_y, high_y)]
    bottom = [(x, high_y) for x in range(high_x, low_x, -1)]
    left = [(low_x, y) for y in range(high_y, low_y, -1)]
    return [*top, *right, *bottom, *left, (low_x, low_y)]


def roi(uid, points, k=1, inclusion="TRUE", sop=None):
    """One outline in slice k of a series."""
    edges = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
    return (f"<roi><imageZposition>{Z[k]}</imageZposition><imageSOP_UID>{sop or f'{uid}.{k}'}</imageSOP_UID>"
            f"<inclusion>{inclusion}</inclusion>{edges}</roi>")


def nodule(name, *rois, malignancy=3, rated=True, **ratings):
    """A nodule as one reader marked it."""
    values = RATINGS | dict(malignancy=malignancy) | ratings
    rows = "".join(f"<{key}>{value}</{key}>" for key, value in values.items())
    rows = f"<characteristics>{rows}</characteristics>" if rated else ""
    return f"<unblindedReadNodule><noduleID>{name}</noduleID>{rows}{''.join(rois)}</unblindedReadNodule>"


def reading(uid, *sessions, said="Second unblinded read", site="removed"):
    """The text of an XML file; each session is the text of its nodules."""
    other = "<nonNodule><nonNoduleID>n1</nonNoduleID><imageZposition>0</imageZposition></nonNodule>"
    rows = "".join("<readingSession><annotationVersion>3.12</annotationVersion><servicingRadiologistID>anon"
                   f"</servicingRadiologistID>{session}{other}</readingSession>" for session in sessions)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<LidcReadMessage uid="1.3.6.1.4.1.14519.5.2.1.6279.6001.1"'
            ' xmlns="http://www.nih.gov"><ResponseHeader><Version>1.8.1</Version><RequestingSite>'
            f"{site}</RequestingSite><TaskDescription>{said}</TaskDescription><SeriesInstanceUid>{uid}</SeriesInstanceUid><StudyInstanceUID>{uid}.9"
            f"</StudyInstanceUID></ResponseHeader>{rows}</LidcReadMessage>")


def hu(k):
    """(200, 200) HU of slice k: lung, and a square of 20 x 20 pixels from (90, 80) in the middle one."""
    picture = np.full((SIDE, SIDE), -850)
    if k == 1:
        picture[80:100, 90:110] = 40
    return picture


def write_scan(folder, patient, uid, text, name="069.xml", rows=SIDE, **overrides):
    """Three slices of that many rows and a reading in TCIA's folders; returns the folder of the series."""
    series = Path(folder, patient, f"{uid}.9", uid)
    for k, z in enumerate(Z):
        write_slice(series / f"{3 - k:06d}.dcm", (hu(k)[:rows] + 1024).astype(np.uint16), z=z, instance=3 - k, uid=uid,
                    sop=f"{uid}.{k}", **dict(PatientID=patient, PixelSpacing=[SPACING, SPACING], SliceThickness=GAP)
                    | overrides)
    if text is not None:
        (series / name).write_text(text, encoding="utf-8")
    return series


def four(uid, ratings=(3, 3, 4, 5), name="7"):
    """Sessions of four readers who drew the 20 x 20 square in the middle slice."""
    return [nodule(f"{name}{i}", roi(uid, square(90, 80, 20)), malignancy=value) for i, value in enumerate(ratings)]
