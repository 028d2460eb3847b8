"""The ladder of readers: best first, each difference to NAMD laid around its value."""

import pandas as pd
import pytest

from namd.evaluation.tables.ladder import ladder
from namd.ground.errors import UserError
from namd.ground.paths import REPO

AUROC = {"record only": .8, "direct": .79, "my arm": .75, "real baseline": .7, "permuted records": .7}


def write(folder):
    rows = [dict(row=row, auroc_mean=value, n=100) for row, value in AUROC.items()]
    pd.DataFrame(rows).to_csv(folder / "table1.csv", index=False)
    lines = [("record only", "mean over runs", .05, .03, .08), ("record only", "K-mean", .04, .01, .06),
             ("real baseline", "mean over runs", -.05, -.07, -.03), ("direct", "mean over runs", .04, .03, .05)]
    table = pd.DataFrame(lines, columns=["row", "statistic", "difference", "low", "high"])
    table.assign(metric="auroc").to_csv(folder / "differences.csv", index=False)
    return folder


def test_the_best_reader_comes_first_and_differences_lie_around_the_values(tmp_path):
    rows = ladder(write(tmp_path), "my arm").set_index("row")
    assert list(rows.index) == ["record only", "direct", "namd", "real baseline"]
    assert rows.loc["record only", ["low", "value", "high"]].tolist() == pytest.approx([.78, .8, .83])
    assert rows.loc["real baseline", ["low", "high"]].tolist() == pytest.approx([.68, .72])
    assert rows.loc["namd", ["low", "value", "high"]].tolist() == [.75] * 3
    assert rows["record"].tolist() == [True, True, False, False]


def test_the_reference_run_has_every_rung():
    rows = ladder(REPO / "outputs/reference/quick")
    table = pd.read_csv(REPO / "outputs/reference/quick/table1.csv").set_index("row")
    assert len(rows) == 9 and set(rows["n"]) == {int(table["n"].max())}
    assert rows.set_index("row")["value"]["namd"] == table.loc["namd", "auroc_mean"]


def test_a_folder_without_tables_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="holds no table1.csv: name the folder"):
        ladder(tmp_path)
