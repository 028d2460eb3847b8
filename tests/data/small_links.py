"""The small delivery's tables with one thing changed, and what links they give."""

import pandas as pd
from small_delivery import CENTRE, SPACING

from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import Tables, check_table, recognise


def linked(made, label_days=2555, second_year=False):
    """Links and refusals of tables given as data frames."""
    result = Tables()
    for table in made.values():
        raw = table.astype(object).where(table.notna(), "").astype(str)
        raw.columns = raw.columns.str.lower()
        kind = recognise(raw.columns)
        result.kept[kind] = check_table(kind, raw.assign(_row=range(len(raw))), result)
    return link_nodules(result, label_days, second_year)


def change(made, name, where, **values):
    """Set values in the rows of one table for which `where` holds."""
    table = made[name]
    for column, value in values.items():
        table[column] = table[column].astype(object)
        table.loc[where(table), column] = value
    return made


def first(table):
    return table.iloc[:, 0:2].isin([100001]).any(axis=1)


def second(table):
    return table.iloc[:, 0:2].isin([100002]).any(axis=1)


def at(year, who=first):
    return lambda table: who(table) & (table.study_yr == year)


def luna(made, lesions=(7, 7)):
    """The same centres as a list in the LUNA25 format, mm."""
    x, y = -40 + CENTRE[0] * SPACING, -30 + CENTRE[1] * SPACING
    made["centres"] = pd.DataFrame([dict(
        PatientID=pid, SeriesInstanceUID=f"1.2.{pid}.{year}", StudyDate=19990102 + 10000 * year, CoordX=x, CoordY=y,
        CoordZ=0.4, LesionID=lesions[year], AnnotationID=1, label=i % 2)
        for i, pid in enumerate(made["people"].pid) for year in (0, 1)])
    return made
