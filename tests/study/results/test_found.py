"""What we found: titles follow the intervals, numbers come from the tables, no table leaves its result out."""

import pandas as pd
import pytest

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.study.results.reference import found
from namd.study.results.reference.tables import Kept

FOLDER = REPO / "outputs/reference/quick"


def kept(difference=.05, low=.03, high=.07, **more):
    """Two tables of a run in which the record alone stands `difference` above NAMD."""
    aurocs = {"record only": .75 + difference, "direct": .8, "namd": .75, "real baseline": .7}
    table1 = pd.DataFrame([dict(row=row, auroc_mean=value, n=100) for row, value in aurocs.items()])
    rows = [dict(row="record only", difference=difference, low=low, high=high),
            dict(row="real baseline", difference=-.05, low=-.07, high=-.03)]
    differences = pd.DataFrame([dict(row, metric="auroc", statistic="mean over runs") for row in rows])
    return Kept("toy", "namd", dict(table1=table1, differences=differences, **more), frozenset())


@pytest.mark.parametrize(("bounds", "title"), [
    ((.05, .03, .07), "The record alone says more than the drawing"),
    ((-.05, -.07, -.03), "The drawing says more than the record"),
    ((.01, -.01, .03), "The record alone and the drawing cannot be told apart"),
])
def test_the_first_title_follows_the_interval(bounds, title):
    first = found.found(kept(*bounds))[0]
    assert first.title == title and f"{bounds[0]:.3f}" in first.sentence


def test_a_result_without_its_table_is_left_out():
    titles = [finding.title for finding in found.found(kept())]
    assert len(titles) == 2 and titles[1] == "A judge that sees images alone gains from the drawing"


def test_the_ladder_lays_each_difference_around_its_value():
    rows = found.ladder(kept()).set_index("row")
    assert list(rows.index) == ["record only", "direct", "namd", "real baseline"]
    assert rows.loc["record only", ["low", "value", "high"]].tolist() == pytest.approx([.78, .8, .82])
    assert rows.loc["real baseline", ["low", "high"]].tolist() == pytest.approx([.68, .72])
    assert rows["record"].tolist() == [True, True, False, False]


def test_the_reference_run_has_all_five_results_in_its_own_numbers():
    results = found.results(FOLDER)
    told = found.found(results)
    assert len(told) == 5
    table = pd.read_csv(FOLDER / "table1.csv").set_index("row")["auroc_mean"]
    for row in ("record only", "direct", "namd"):
        assert f"{table[row]:.3f}" in told[0].sentence


def test_a_folder_without_tables_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="holds no table1.csv: name the folder"):
        found.results(tmp_path)
