"""Lung-RADS: what a radiologist calls a nodule that is seen for the first time in screening, and what follows."""

from namd.data.report import ATTENUATION

SOLID_MM = ((6, "2"), (8, "3"), (15, "4A"))             # mean diameter below which a solid nodule has the category
CORE_MM = ((6, "3"), (8, "4A"))                         # the same of the solid part of a part-solid one
HIGHEST = "4B"
SMALL_MM = 6                                            # a part-solid nodule below it is of category 2
GLASS_MM = 30                                           # ground glass below it too
FOLLOWS = {"2": "CT in 12 months", "3": "CT in 6 months", "4A": "CT in 3 months",
           "4B": "further tests now"}


def category(attenuation, mean_mm, core_mm=None) -> str:
    """Category of a nodule at a baseline screen: 2, 3, 4A or 4B.

    Args:
        attenuation: code of sct_pre_att; what is neither ground glass nor part solid counts as solid.
        mean_mm: mean of the longest and the perpendicular diameter.
        core_mm: mean diameter of the solid part of a part-solid nodule; the record of NLST does not hold it.

    Raises:
        ValueError: a part-solid nodule of 6 mm or more without `core_mm`.

    Source: American College of Radiology, Lung-RADS v2022 (Christensen et al. 2024, Chest 165:738). Calcified, fatty,
    perifissural and airway nodules and the suspicious signs of 4X are left out.
    """
    mean_mm = round(mean_mm, 1)                         # as it is to be reported
    kind = ATTENUATION.get(attenuation)
    if kind == "ground glass":
        return "2" if mean_mm < GLASS_MM else "3"
    if kind == "part solid":
        if mean_mm < SMALL_MM:
            return "2"
        if core_mm is None:
            raise ValueError("a part-solid nodule of 6 mm or more is graded by its solid part: give core_mm")
        return _below(CORE_MM, round(core_mm, 1))
    return _below(SOLID_MM, mean_mm)


def _below(limits, mm):
    return next((name for limit, name in limits if mm < limit), HIGHEST)
