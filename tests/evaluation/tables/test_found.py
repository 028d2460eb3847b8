"""The sentences say what the tables say, and turn when the tables do."""

import pandas as pd
import pytest

from namd.evaluation.tables.found import what_we_found
from namd.ground.errors import DamagedError

AUROC = {"namd": 0.748, "real baseline": 0.707, "real follow-up": 0.764, "direct": 0.801, "record only": 0.802,
         "permuted records": 0.708, "true risk": 0.807}


GAIN = (0.041, 0.022, 0.061)
LOST = (0.040, 0.018, 0.063)


def write(folder, auroc=AUROC, effect=(0.002, -0.006, 0.009), seeds=1, gain=GAIN, lost=LOST):
    table = pd.DataFrame([dict(row=row, auroc_mean=value) for row, value in auroc.items()])
    table["diameter_error_mean"] = table["row"].map({"namd": 1.86})
    copy = pd.DataFrame({"row": ["copy-baseline", "oracle"], "diameter_error_mean": [2.06, 1.77]})
    pd.concat([table, copy]).to_csv(folder / "table1.csv", index=False)
    gaps = [("namd", "real follow-up", 0.72, 0.4, 1.1), ("namd", "oracle", 0.88, 0.6, 1.19),
            ("direct", "oracle", 2, 1, 3)]
    pd.DataFrame(gaps, columns=["row", "ceiling", "value", "low", "high"]).to_csv(folder / "gaps.csv", index=False)
    effects = {"no_align_no_pred": effect, "real baseline": gain, "permuted records": lost}
    pd.DataFrame([dict(row=row, quantity="AUROC", value=value, low=low, high=high, training_seeds=seeds)
                  for row, (value, low, high) in effects.items()]).to_csv(folder / "effects.csv", index=False)
    return what_we_found(folder, "namd", True)


def test_the_inequality_comes_first_with_the_numbers_of_table_1_and_the_limit_last(tmp_path):
    told = write(tmp_path)
    assert len(told) == 6
    assert told[0].startswith("Beside the record the image adds little")
    assert all(f"{AUROC[row]:.3f}" in told[0]
               for row in ("namd", "direct", "record only", "true risk", "real follow-up"))
    assert "0.72 [0.40, 1.10] of the real follow-up's gain, and 0.88 [0.60, 1.19]" in told[1] and "0.82" in told[1]
    assert "by 1.86 mm, a copy of the baseline by 2.06 and a perfect sampler by 1.77" in told[3]
    assert told[-1].startswith("What the phantom cannot say")


def test_an_image_that_adds_to_the_record_is_told(tmp_path):
    assert write(tmp_path, AUROC | {"record only": 0.75})[0].startswith("Record and image both tell")


@pytest.mark.parametrize(("changed", "at", "said"), [
    (dict(), 1, "is read better than the baseline image alone (AUROC +0.041 [+0.022, +0.061])"),
    (dict(gain=(0.041, -0.01, 0.09)), 1, "cannot be told from the baseline image alone"),
    (dict(gain=(-0.04, -0.06, -0.02)), 1, "is read worse than the baseline image alone"),
    (dict(), 2, "depends on whose record it is: with the records of other patients the AUROC is 0.708 instead of"),
    (dict(lost=(0.01, -0.01, 0.03)), 2, "is undecided"),
    (dict(lost=(-0.03, -0.05, -0.01)), 2, "Another patient's record does better")])
def test_a_gain_is_worded_by_its_interval(tmp_path, changed, at, said):
    assert said in write(tmp_path, **changed)[at]


@pytest.mark.parametrize(("effect", "seeds", "said"), [
    ((0.02, 0.01, 0.03), 1, "raises the AUROC by +0.020 [+0.010, +0.030] over patients"),
    ((-0.02, -0.03, -0.01), 3, "lowers the AUROC by -0.020 [-0.030, -0.010] over training seeds"),
    ((0.0, -0.01, 0.01), 1, "undecided in its effect on the AUROC: +0.000")])
def test_an_effect_is_worded_by_its_interval(tmp_path, effect, seeds, said):
    assert said in write(tmp_path, effect=effect, seeds=seeds)[4]


def test_a_number_that_does_not_exist_is_not_told(tmp_path):
    told = write(tmp_path, effect=(None, None, None))
    assert len(told) == 5 and "nan" not in " ".join(told)


@pytest.mark.parametrize(("name", "number"), [("table1", "05"), ("gaps", "05"), ("effects", "07")])
def test_a_damaged_table_names_the_notebook_that_writes_it(tmp_path, name, number):
    write(tmp_path)
    (tmp_path / f"{name}.csv").write_text("no table")
    with pytest.raises(DamagedError, match=f"run {number}"):
        what_we_found(tmp_path, "namd", True)


def test_a_run_with_table_1_alone_says_what_it_can(tmp_path):
    pd.DataFrame([dict(row="namd", auroc_mean=0.7)]).to_csv(tmp_path / "table1.csv", index=False)
    told = what_we_found(tmp_path, "namd", False)
    assert len(told) == 1 and told[0].startswith("What this run cannot say")
