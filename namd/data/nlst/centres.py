"""The lists that say where a nodule lies (NLSTx, LUNA25), for NLST itself recorded no x and y."""

from collections import defaultdict
from dataclasses import dataclass

from namd.data.codes import BOX, FIRST_STUDY_YEAR

MALIGNANCY = {"M": True, "B": False}                # of NLSTx; else unknown
LABEL = {1: True, 0: False}                         # of LUNA25


@dataclass(frozen=True)
class Centre:
    """Where one list puts one nodule in one year: a slice number and pixel, or a point in mm."""

    source: str                         # nlstx or luna25
    lesion: int                         # the list's own identity over the years
    number: int | None                  # sct_ab_num
    uid: str                            # SeriesInstanceUID
    malignant: bool | None
    repeated: bool
    instance: int | None = None         # InstanceNumber
    pixel: tuple[float, float] | None = None
    point: tuple[float, float, float] | None = None

    @property
    def is_placed(self) -> bool:
        """Whether the list gives the whole place."""
        return self.point is not None or self.instance is not None


def nlstx_centre(row: dict) -> Centre:
    """Centre of a row of NLSTx, which names one nodule of a participant in every year; its box is in stored pixels."""
    x, y, width, height = (row[name] for name in BOX)
    has_box = None not in (x, y, width, height)
    return Centre(source="nlstx", lesion=0, number=row["abnormality uid"], uid=row["seriesinstanceuids"].strip(),
                  malignant=MALIGNANCY.get(row["malignancy"].strip().upper()), repeated=row["repeated"],
                  instance=row["slice number"] if has_box else None,
                  pixel=(x + (width - 1) / 2, y + (height - 1) / 2) if has_box else None)


def luna25_year(row: dict) -> int:
    """Study year of a row of LUNA25, by its date YYYYMMDD."""
    return row["studydate"] // 10000 - FIRST_STUDY_YEAR


def luna25_centre(row: dict, number: int | None) -> Centre:
    """Centre of a row of LUNA25, a lesion with an identity kept over the years and a point in mm.

    Args:
        number: sct_ab_num, which the list does not hold; None where it cannot be told.
    """
    point = (row["coordx"], row["coordy"], row["coordz"])
    return Centre(source="luna25", lesion=row["lesionid"], number=number, uid=row["seriesinstanceuid"].strip(),
                  malignant=LABEL.get(row["label"]), repeated=row["repeated"],
                  point=None if None in point else point)


def luna25_lesions(rows: list[dict]) -> dict[tuple[int, int], set[int]]:
    """The lesions that LUNA25 names by (participant, study year)."""
    lesions = defaultdict(set)
    for row in rows:
        lesions[row["patientid"], luna25_year(row)].add(row["lesionid"])
    return lesions
