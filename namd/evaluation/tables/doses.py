"""Dose curves as rows: the arms that move one parameter alone, and what each is worth."""

import numpy as np
import pandas as pd


def doses(stamps, reference, parameters):
    """Arms that differ from the reference in one parameter alone, along that parameter.

    Args:
        stamps: DataFrame of text, parameters x arms, what each arm was trained with; reference: a column of it.
        parameters: names of the rows to follow.

    Returns:
        DataFrame parameter, dose (float), arm, sorted; the reference is a point of each curve. Empty for a parameter
        that no arm moves alone.

    Source: ours, because an effect at one dose says nothing about the dose.
    """
    moved = {arm: list(stamps.index[stamps[arm] != stamps[reference]]) for arm in stamps}
    rows = []
    for name in parameters:
        for arm in stamps:
            if arm == reference or moved[arm] == [name]:
                rows.append(dict(parameter=name, dose=float(stamps.loc[name, arm]), arm=arm))
    table = pd.DataFrame(rows, columns=["parameter", "dose", "arm"]).sort_values(["parameter", "dose"])
    return table[table.groupby("parameter")["arm"].transform("size") > 1].reset_index(drop=True)


def against(table, differences, reference, quantity):
    """`table` of `doses` with arm - reference and its interval; 0 at the reference's own dose.

    Args:
        differences: DataFrame indexed by arm with value, low, high of reference - arm; quantity: its name.

    Returns:
        DataFrame parameter, dose, arm, quantity, value, low, high, in the unit of the quantity.

    Source: ours; turned round, so that a curve that rises gains.
    """
    found = differences.reindex(table["arm"])
    own = (table["arm"] == reference).to_numpy()

    def turned(name):
        return np.where(own, 0.0, -found[name].to_numpy(dtype=float))

    return table.assign(quantity=quantity, value=turned("value"), low=turned("high"), high=turned("low"))
