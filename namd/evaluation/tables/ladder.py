"""Who reads malignancy how well: record, images and drawings of the same test patients, as rungs of one ladder."""

from pathlib import Path

import pandas as pd

from namd.ground.errors import UserError
from namd.ground.reading import read_table

NAMES = {               # rows of Table 1, as a newcomer would call them
    "true risk": "the phantom's true risk", "record only": "the record alone", "direct": "baseline image + record",
    "Brock": "the Brock model", "real follow-up": "the real follow-up image", "oracle": "the oracle's drawing",
    "namd": "NAMD's drawing", "direct x1": "the baseline image, refitted", "real baseline": "the baseline image",
}
READ_THE_RECORD = ("true risk", "record only", "direct", "Brock")
METRIC = "auroc"
STATISTIC = "mean over runs"


def ladder(folder, main="namd") -> pd.DataFrame:
    """AUROC of each reader, best first: columns row, name, value, low, high, record, n.

    Args:
        folder: holds table1.csv and differences.csv of notebook 05; main: the row that is NAMD.

    Returns:
        `low` and `high` are the 95 % interval of the paired difference to NAMD, laid around `value`, of NAMD itself
        without width; `record`: whether the reader sees it.

    Raises:
        UserError: there is no table1.csv, so nothing was evaluated.

    Source: ours; the means over the runs, as in Table 1.
    """
    folder = Path(folder)
    if not (folder / "table1.csv").is_file():
        raise UserError(f"start_results ({folder}) holds no table1.csv: name the folder of an evaluated run's tables,"
                        " such as outputs/reference/quick.")
    table = read_table(folder / "table1.csv", "05", "row", "n").set_index("row")
    lines = read_table(folder / "differences.csv", "05", "row", "metric", "statistic")
    lines = lines[(lines["metric"] == METRIC) & (lines["statistic"] == STATISTIC)].set_index("row")
    rows = []
    for row, name in NAMES.items():
        line = table.index.isin([main if row == "namd" else row])
        if not line.any():
            continue
        value = table["auroc_mean"][line].iloc[0]
        beside = lines[lines.index == row]
        low, high = (value + (beside[end] - beside["difference"]).sum() for end in ("low", "high"))
        rows.append(dict(row=row, name=name, value=value, low=low, high=high, record=row in READ_THE_RECORD,
                         n=int(table["n"][line].iloc[0])))
    return pd.DataFrame(rows).sort_values("value", ascending=False, ignore_index=True)
