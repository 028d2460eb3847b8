import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from namd.data.cohort import Cohort
from namd.evaluation.tables import dial
from namd.evaluation.tables.probabilities import probability_table
from namd.ground import paths
from namd.ground.errors import UserError
from namd.ground.seeding import numpy_rng
from namd.study import params
from namd.study.results import neighbours

PLAN = SimpleNamespace(main="namd", values=dict(run_name="smoke", n_boot=50))
PAIRS = [f"p{i}" for i in range(40)]
LABEL = np.arange(40) % 4 // 3


def finished_run(root, eps, null="none", source="phantom"):
    """What notebooks 01 and 05 leave of a run, as far as the dial reads it."""
    for folder in ("runs", "metrics"):
        (root / folder).mkdir(parents=True)
    made = dict(phantom_seed=23, phantom_eps=eps, phantom_null=null, data_source=source)
    (root / "runs" / "01.json").write_text(json.dumps(dict(parameters=made)))
    (root / "runs" / "05.json").write_text(json.dumps(dict(parameters=dict(k_runs=2), digest="0123abcd")))
    rng = numpy_rng(root.name)
    prob = {row: rng.random((2 if row == "namd" else 1, 40)) + LABEL * i / 4 for i, row in enumerate(dial.rows("namd"))}
    probability_table(prob, PAIRS, PAIRS).to_parquet(root / "metrics" / "probabilities.parquet")


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    monkeypatch.setattr(neighbours, "POINTS", tmp_path / "points")
    monkeypatch.setattr(neighbours, "COHORTS", tmp_path / "cohorts")
    test = SimpleNamespace(label=LABEL, patient=PAIRS, table=pd.DataFrame(index=PAIRS))
    monkeypatch.setattr(Cohort, "open", lambda folder: SimpleNamespace(split=lambda name: test))
    for file in ("points/null_growth.yaml", "cohorts/cohort1.yaml", "cohorts/cohort2.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    finished_run(tmp_path / "smoke", 0.45)
    return tmp_path


def test_the_dial_is_the_run_and_its_neighbours(outputs):
    finished_run(outputs / "smoke_null_growth", 0.45, "growth_given_label")
    neighbours.write_dial(PLAN)
    table = pd.read_csv(outputs / "smoke" / "metrics" / "dial.csv")
    assert table.groupby("run_name")["null"].first().to_dict() == {
        "smoke": "none", "smoke_null_growth": "growth_given_label"}
    assert set(table["quantity"]) > set(dial.aurocs("namd"))
    assert (table[["n", "malignant", "k"]] == [40, 10, 2]).all(axis=None)
    assert (outputs / "smoke" / "figures" / "dial.png").stat().st_size > 10_000


def test_a_point_that_was_not_run_and_real_data_are_refused(outputs):
    with pytest.raises(UserError, match="smoke_null_growth has no metrics/probabilities.parquet yet; `make dial`"):
        neighbours.write_dial(PLAN)
    finished_run(outputs / "smoke_null_growth", 0.45, source="delivery")
    with pytest.raises(UserError, match="smoke_null_growth is no phantom"):
        neighbours.write_dial(PLAN)


def test_the_cohorts_are_the_neighbours_without_the_run_that_was_tuned(outputs, capsys):
    finished_run(outputs / "smoke_cohort1", 0.45)
    with pytest.raises(UserError, match="smoke_cohort2 has no metrics/probabilities.parquet yet; `make cohorts`"):
        neighbours.write_cohorts(PLAN)
    finished_run(outputs / "smoke_cohort2", 0.45)
    neighbours.write_cohorts(PLAN)
    table = pd.read_csv(outputs / "smoke" / "metrics" / "cohorts.csv")
    assert set(table["run_name"]) == {"smoke_cohort1", "smoke_cohort2"}
    share = table.loc[table["quantity"] == "oracle's gap closed", "value"]
    assert f"{share.mean():.2f} of the oracle's gap on average" in capsys.readouterr().out
    assert (outputs / "smoke" / "figures" / "cohorts.png").stat().st_size > 10_000


@pytest.mark.parametrize("file", sorted((paths.REPO / "params" / "cohorts").glob("*.yaml")), ids=lambda f: f.stem)
def test_a_cohort_differs_in_its_patients_alone(file):
    free = {"compare_arms", "data_workers", "eval_workers", "judge_seeds"}
    assert set(params.read_layer(file)) - free == {"phantom_seed"}


@pytest.mark.parametrize("file", sorted((paths.REPO / "params" / "dial").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_point_changes_the_law_and_what_costs_nothing(file):
    free = {"compare_arms", "data_workers", "eval_workers", "judge_seeds"}
    assert len(set(params.read_layer(file)) - free) == 1 and set(params.read_layer(file)) - free <= {
        "phantom_eps", "phantom_null"}
