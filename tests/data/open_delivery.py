"""A delivery that only a list with its own identities links over the years."""

import pandas as pd
from small_delivery import tables, write_delivery, write_series
from two_participants import POINT


def open_delivery(folder):
    """Five participants in three years, by GM-AE's coordinates: on the left, at x = 20 mm, slice 20 of each series."""
    made = tables()
    made["people"]["scr_days2"] = 740
    made["people"]["loclup"] = made["people"].locrup
    rows = made["abnormalities"].assign(sct_epi_loc=4)
    rows.loc[rows.pid == 100003, "sct_slice_num"] = 30                       # nobody's row lies where the list points
    made["abnormalities"] = pd.concat([rows, rows[rows.study_yr == 1].assign(study_yr=2, sct_ab_num=4)])
    made["centres"] = pd.DataFrame([dict(
        pId=pid, seriesId=f"1.2.{pid}.{year}", study_year=year, nodId=f"{pid}_0", id=f"{pid}_0_t{year}",
        cx_world=20.0, cy_world=POINT[1], cz_world=0.2) for pid in made["people"].pid for year in (0, 1, 2)])
    write_delivery(folder, made)
    for pid in made["people"].pid:
        write_series(folder / "images" / f"{pid}_2", pid, 2, 7)
    return folder
