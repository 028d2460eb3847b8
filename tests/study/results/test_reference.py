"""outputs/reference/: the page is what its tables say, and README.md says the same."""

import shutil

import numpy as np
import pandas as pd
import pytest

from namd.ground import marks, paths
from namd.ground.errors import UserError
from namd.study.results.reference.page import PAGE, absent, front, render

REFERENCE = paths.REPO / "outputs" / "reference"
PARTS = {           # heading of a part: tables without which it is not there
    "## What it costs": ("costs",), "## Against the common way": ("benchmarks",),
    "## Four cohorts": ("cohorts", "table1"), "## When a virtual": ("dial",), "## One part": ("effects",),
    "## Doses": ("doses",), "## Every row": ("comparators",), "## How good": ("image_quality",),
    "## AutoRad-Lung": ("autorad",), "## The claims": ("claims",),
}
STATISTICS = ("accuracy", "macro_f1", "recall_unsure", "f1_unsure", "macro_auc")


def bounded(**values):
    """Columns with their bounds, .05 to either side."""
    return {f"{name}{end}": value + by for name, value in values.items()
            for end, by in (("", 0), ("_low", -0.05), ("_high", 0.05))}


# as small as the page can be asked with: tables that are not kept, and numbers that a test knows
EXAMPLES = {
    "costs": [dict(run_name="quick", arm=arm, notebook=notebook, seconds=100, memory_gib=1.5, commit="abc1234",
                   digest="1", device="cpu", threads=1)
              for notebook, arm in (("01_data", ""), ("02_vae", "namd"), ("02_vae", "no_align"), ("08_rows", ""))],
    "image_quality": [dict(quantity=name, value=value, low=value - 0.004, high=value + 0.004, n=9) for name, value in (
        ("share of real follow-ups whose nodule has a hole", 0.005), ("holes, generated - real", 0.006),
        ("share of generated follow-ups whose nodule has a hole", 0.011))],
    "autorad": [dict(arm=arm, n=9) | bounded(**dict.fromkeys(STATISTICS, 0.6))
                for arm in ("static", "guided", "diameter")],
    "autorad_differences": [dict(row="guided", beside=beside, statistic=name, value=value, low=value - 0.05,
                                 high=value + 0.05)
                            for beside, value in (("static", 0.1), ("diameter", -0.1)) for name in STATISTICS],
    "autorad_seeds": [dict(seed=seed, statistic=name) | bounded(guided=0.7, static=0.7 - gain, difference=gain)
                      for name in ("accuracy", "macro_f1")
                      for seed, gain in (("23", 0.08), ("24", 0.02), ("mean", 0.05))],
    "autorad_rates": [dict(arm="guided", fold=fold, chosen=rate) for fold, rate in enumerate((0.1, 0.01, 0.1))],
    "two_judges": [dict(row=row) | bounded(first=first, second=second) for row, first, second in (
        ("a", 0.7, 0.6), ("b", 0.75, 0.7), ("c", 0.8, 0.9), ("copy-baseline", 0.9, 0.1))],
    "two_judges_claims": [dict(row="c", beside="a", survives="no: undecided by the second")
                          | bounded(first=0.1, second=0.02)],
}


def write(folder, name, rows):
    pd.DataFrame(rows).to_csv(folder / "quick" / f"{name}.csv", index=False)


@pytest.fixture
def folder(tmp_path):
    """The committed tables, with examples of those that are not committed; pictures are names alone."""
    shutil.copytree(REFERENCE, tmp_path / "kept", ignore=shutil.ignore_patterns("models", "full", ".namd", "*.png"))
    for picture in REFERENCE.glob("quick/*.png"):
        (tmp_path / "kept" / "quick" / picture.name).touch()
    for name, rows in EXAMPLES.items():
        if not (tmp_path / "kept" / "quick" / f"{name}.csv").is_file():
            write(tmp_path / "kept", name, rows)
    return tmp_path / "kept"


def find(folder, name):
    """The file of a table, of the run or beside it."""
    return next(file for file in (folder / "quick" / f"{name}.csv", folder / f"{name}.csv") if file.is_file())


def change(folder, name, where, **values):
    """Set columns of the rows of a table in which every column of `where` has that value."""
    file = find(folder, name)
    table = pd.read_csv(file)
    rows = (table[list(where)] == pd.Series(where)).all(axis=1)
    assert rows.any()
    for column, value in values.items():
        table.loc[rows, column] = value
    table.to_csv(file, index=False)


def sentences(folder):
    return [sentence for part in front(folder, "quick", "namd").values() for sentence in part]


def test_the_committed_page_is_what_the_committed_tables_say():
    assert (REFERENCE / PAGE).read_bytes() == render(REFERENCE, "quick", "namd").encode()


def test_readme_says_what_the_tables_say():
    told = sentences(REFERENCE)
    assert len(told) >= 5
    assert absent(paths.REPO / "README.md", told) == []


def test_a_sentence_with_another_number_is_missed(folder):
    change(folder, "claims", dict(id="gain"), verdict="fails")
    assert len(absent(paths.REPO / "README.md", [s for s in sentences(folder) if "claims ledger" in s])) == 1


def test_what_is_committed_may_be_replaced_by_the_command():
    assert marks.foreign(REFERENCE / "quick") is None and marks.changed(REFERENCE / "quick") is None
    assert marks.foreign(REFERENCE / PAGE) is None and marks.changed(REFERENCE / PAGE) is None


@pytest.mark.parametrize(("name", "where", "column"), [
    ("cohorts", dict(phantom_seed=31, quantity="oracle"), "value"), ("table1", dict(row="namd"), "auroc_mean"),
    ("gaps", dict(row="namd", ceiling="oracle"), "high"), ("differences", dict(row="direct"), "difference"),
    ("dial", dict(eps=2.0, quantity="gap closed"), "low"), ("claims", dict(id="gain"), "effect"),
    ("costs", dict(notebook="01_data_preparation"), "seconds"), ("benchmarks", dict(pair="conditional quick"), "ratio"),
    ("effects", dict(row="direct", quantity="AUROC"), "value"), ("doses", dict(dose=1.0), "value"),
    ("comparators", dict(row="flux"), "auroc_mean"), ("comparator_differences", dict(row="flux"), "difference"),
    ("image_quality", dict(quantity="holes, generated - real"), "value"), ("autorad", dict(arm="guided"), "accuracy"),
    ("autorad_differences", dict(beside="static"), "value"), ("autorad_seeds", dict(seed="24"), "difference"),
    ("autorad_rates", dict(fold=1), "chosen"), ("two_judges", dict(row="namd"), "second"),
    ("two_judges_claims", dict(row="namd"), "first"), ("comparator_validation", dict(row="flux"), "delta_rmae")])
def test_a_changed_number_changes_the_page(folder, name, where, column):
    before = render(folder, "quick", "namd")
    if name == "costs" and "01_data_preparation" not in find(folder, name).read_text():
        where = dict(notebook="01_data")
    change(folder, name, where, **{column: 77})
    assert render(folder, "quick", "namd") != before


@pytest.mark.parametrize("heading", PARTS)
def test_a_part_without_its_table_is_left_out_with_its_heading(folder, heading):
    before = render(folder, "quick", "namd")
    assert all(before.count(f"\n{each}") == 1 for each in PARTS)
    for name in PARTS[heading]:
        find(folder, name).unlink()
    after = render(folder, "quick", "namd")
    assert [each for each in PARTS if f"\n{each}" not in after] == [heading]


def test_an_empty_folder_is_a_page_without_parts(tmp_path):
    assert "## " not in render(tmp_path, "quick", "namd")


def test_the_word_on_a_gain_follows_its_interval(folder):
    gain = dict(quantity="namd - baseline")
    change(folder, "sources", dict(file="cohorts.csv"), kept=None)
    change(folder, "cohorts", gain, low=0.01, high=0.07)
    change(folder, "differences", dict(row="real baseline", metric="auroc"), difference=-0.05, low=-0.08, high=-0.01)
    assert any("in all four cohorts" in sentence for sentence in sentences(folder))
    change(folder, "cohorts", gain | dict(phantom_seed=31), low=-0.01)
    change(folder, "cohorts", gain | dict(phantom_seed=32), low=-0.07, high=-0.01)
    assert any("in 2 of four cohorts, below in 1 and undecided in 1" in sentence for sentence in sentences(folder))
    change(folder, "differences", dict(row="real baseline", metric="auroc"), difference=0.05, low=0.01, high=0.08)
    assert any("in 1 of four cohorts, below in 2" in sentence for sentence in sentences(folder))


@pytest.mark.parametrize(("low", "high", "said"), [(0.02, 0.08, "0.050 [0.020, 0.080] above NAMD"),
                                                   (-0.08, -0.02, "0.050 [0.020, 0.080] below NAMD"),
                                                   (-0.02, 0.08, "is undecided (difference 0.050 [-0.020, 0.080])")])
def test_a_control_stands_where_its_interval_says(folder, low, high, said):
    value = np.copysign(0.05, low + high)
    change(folder, "differences", dict(row="direct", metric="auroc"), difference=value, low=low, high=high)
    assert any(sentence.endswith(f"{said}.") for sentence in sentences(folder) if "(*direct*)" in sentence)


def test_a_null_that_gains_is_called_what_it_is(folder):
    where = dict(null="growth_given_label", quantity="gap closed")
    change(folder, "dial", where, value=0.03, low=-0.08, high=0.14)
    assert "which cannot be told from 0, as it must be." in render(folder, "quick", "namd")
    change(folder, "dial", where, value=0.3, low=0.1, high=0.5)
    assert "0.30 [0.10, 0.50] of the gap to the real follow-up, which lies above 0 and should not" in render(
        folder, "quick", "namd")


def test_compared_rows_are_sorted_by_where_they_lie(folder):
    rows = ["mcwgan", "corrflownet_ode", "corrflownet_sde"]
    write(folder, "comparators", [dict(row=row, auroc_mean=0.7 + i / 100, auroc_sd=0, table1_digest="x", paper_row=row)
                                  for i, row in enumerate(rows)])
    bounds = ((-0.05, -0.01), (0.01, 0.05), (-0.01, 0.05))
    write(folder, "comparator_differences", [
        dict(row=row, metric="auroc", statistic="mean over runs", difference=0.01, low=low, high=high)
        for row, (low, high) in zip(rows, bounds, strict=True)])
    page = render(folder, "quick", "namd")
    assert ("One row is below NAMD (McWGAN-style), one row is above NAMD (CorrFlowNet-style (ODE)) and one row is"
            " undecided (CorrFlowNet-style (SDE)).") in page
    assert "an earlier Table 1" in page and "**NAMD** |" not in page
    assert page.index("| CorrFlowNet-style (SDE)") < page.index("| McWGAN-style")


def test_costs_are_summed_over_arms_and_later_notebooks_told_apart(folder):
    write(folder, "costs", EXAMPLES["costs"])
    page = render(folder, "quick", "namd")
    assert "| `02_vae` | two arms | 3 min 20 s | 1 min 40 s | 1.5 GiB | abc1234 |" in page
    assert "the notebooks 01 to 02 of `quick` with two arms took 5 min 0 s one after another" in page
    assert "1.5 GiB. 08 adds 1 min 40 s." in page


def test_the_second_system_says_what_its_tables_say(folder):
    for name in ("autorad", "autorad_differences", "autorad_seeds", "autorad_rates", "two_judges", "two_judges_claims"):
        write(folder, name, EXAMPLES[name])
    page = render(folder, "quick", "namd")
    section = page[page.index("## AutoRad-Lung and the second judge"):page.index("## The claims")]
    assert "| arm | n | accuracy | macro F1 | unsure recall | unsure F1 | macro AUC |" in section
    assert f"| guided | 9 |{' 0.600 [0.550, 0.650] |' * 5}" in section
    assert "| guided - static | 0.100 [0.050, 0.150]: above |" in section and "guided - logistic" not in section
    assert "| macro F1 | 24 | 0.700 [0.650, 0.750] | 0.680 [0.630, 0.730] | 0.020 [-0.030, 0.070]: undecided |" in page
    assert "above 0 on 1 of 2 seeds of folds and training; the mean difference is 0.050, from 0.020 to 0.080." in page
    assert "| guided | 0.01 (1), 0.1 (2) |" in section
    assert "| a | 0.700 [0.650, 0.750] | 0.600 [0.550, 0.650] |" in section
    assert "| c - a | 0.100 [0.050, 0.150] | 0.020 [-0.030, 0.070] | no: undecided by the second |" in section
    alone = folder / "quick"
    for name in ("autorad_differences", "autorad_seeds", "autorad_rates", "two_judges", "two_judges_claims"):
        (alone / f"{name}.csv").unlink()
    page = render(folder, "quick", "namd")
    assert "| guided | 9 |" in page and "second judge |" not in page and "guided - static" not in page


def test_the_second_judge_is_asked_without_the_copied_baseline(folder):
    write(folder, "two_judges", EXAMPLES["two_judges"])
    assert "Two judges order three rows of Table 1 with a rank correlation of 1.00." in render(folder, "quick", "namd")


def test_what_is_of_an_earlier_commit_says_so_and_is_no_news(folder):
    own = dict(file="table1.csv", notebook="05_evaluation", commit="fedcba9", digest="2", kept="")
    write(folder, "sources", [own])
    assert any("first null" in sentence for sentence in sentences(folder))
    sources = [dict(file="dial.csv", notebook="dial", commit="0123abc", digest="1", kept="from before"),
               dict(file="dial.png", notebook="dial", commit="0123abc", digest="1", kept="from before"),
               own]
    write(folder, "sources", sources)
    page = render(folder, "quick", "namd")
    assert page.count("**Of an earlier commit (0123abc)") == 1 and "(quick/dial.png) *(of an earlier commit)*" in page
    assert "commit 0123abc (`dial.csv`, `dial.png`)" in page and "1 files, of commit fedcba9" in page
    assert not any("first null" in sentence for sentence in sentences(folder))


def test_a_table_that_is_none_is_one_sentence(folder):
    find(folder, "dial").write_text("")
    with pytest.raises(UserError, match="dial.csv cannot be read as a table"):
        render(folder, "quick", "namd")
