"""One nodule in one year, as a public list or IDC's boxes put it; for NLST itself recorded no x and y."""

from dataclasses import dataclass

from namd.data.codes import BOX, FIRST_STUDY_YEAR, MALIGNANCY

LABEL = {1: True, 0: False}                         # of LUNA25


@dataclass(frozen=True)
class Listed:
    """Where one source puts one nodule in one year: a slice and a pixel in it, or a point in mm."""

    pid: int
    year: int                           # 0, 1 or 2
    uid: str                            # SeriesInstanceUID
    source: str                         # nlstx, luna25, gmae or sybil
    lesion: str                         # the source's own identity over the years, within the participant
    malignant: bool | None = None
    instance: int | None = None         # InstanceNumber
    sop: str | None = None              # or the SOPInstanceUID of the slice
    pixel: tuple[float, float] | None = None            # (column, row) in that slice
    point: tuple[float, float, float] | None = None     # (x, y, z) mm, DICOM patient axes
    number: int | None = None           # sct_ab_num, where the source names it
    repeated: bool = False              # another row says something else of it
    row: str = ""                       # file and line that say so

    @property
    def said(self) -> tuple[str, str, str]:
        """Its name, source and row in refused.csv."""
        return f"{self.pid} T{self.year} {self.source} lesion {self.lesion}", self.source, self.row

    @property
    def is_placed(self) -> bool:
        """Whether the source gives the whole place."""
        return self.point is not None or self.instance is not None or self.sop is not None


def nlstx(row: dict) -> Listed:
    """A row of NLSTx, which names one nodule of a participant in every year; its box is in stored pixels."""
    x, y, width, height = (row[name] for name in BOX)
    has_box = None not in (x, y, width, height)
    return Listed(pid=row["pid"], year=row["study_yr"], uid=row["seriesinstanceuids"].strip(), source="nlstx",
                  lesion="0", malignant=MALIGNANCY.get(row["malignancy"].strip().upper()),
                  instance=row["slice number"] if has_box else None,
                  pixel=(x + (width - 1) / 2, y + (height - 1) / 2) if has_box else None,
                  number=row["abnormality uid"], repeated=row["repeated"], row=row["_row"])


def luna25(row: dict) -> Listed:
    """A row of LUNA25, a lesion with an identity kept over the years and a point in mm; its date tells the year."""
    return Listed(pid=row["patientid"], year=row["studydate"] // 10000 - FIRST_STUDY_YEAR,
                  uid=row["seriesinstanceuid"].strip(), source="luna25", lesion=str(row["lesionid"]),
                  malignant=LABEL.get(row["label"]), point=_point(row["coordx"], row["coordy"], row["coordz"]),
                  repeated=row["repeated"], row=row["_row"])


def gmae(row: dict) -> Listed:
    """A row of GM-AE's original coordinates: a nodule with an identity kept over the years and a point in mm."""
    return Listed(pid=row["pid"], year=row["study_year"], uid=row["seriesid"].strip(), source="gmae",
                  lesion=row["nodid"], point=_point(row["cx_world"], row["cy_world"], row["cz_world"]),
                  repeated=row["repeated"], row=row["_row"])


def _point(*values) -> tuple[float, float, float] | None:
    """A point, where every coordinate is known."""
    return None if None in values else values


ROWS = {"nlstx": nlstx, "luna25": luna25, "gmae": gmae}     # kind of table -> one row of it
