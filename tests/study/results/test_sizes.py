"""What the page says beyond the size of the run is what its tables say."""

import pandas as pd

from namd.study.results.reference import sizes
from namd.study.results.reference.tables import Kept


def kept(**tables):
    return Kept("quick", "namd", {name: pd.DataFrame(rows) for name, rows in tables.items()}, frozenset())


def stage(name, killed="", **ratios):
    return dict(stage=name, seconds=60.0, held_gib=2.0, held_ratio=None, written_gb=1.0, written_ratio=None,
                killed=killed or None) | ratios


def test_a_rehearsal_is_told_by_its_table():
    rows = [stage("01"), stage("02", "same bytes after SIGKILL", held_ratio=1.1, written_ratio=0.9),
            stage("03", "other bytes after SIGKILL", held_ratio=0.8, written_ratio=1.0)]
    told = sizes.rehearsal(kept(rehearsal=rows))
    assert told["sentence"].startswith("Three stages in 3 min") and "1 of 2 trainings" in told["sentence"]
    assert "memory 0.80 to 1.10" in told["sentence"] and "bytes written 0.90 to 1.00" in told["sentence"]
    assert "| 02 | 1 min" in told["table"] and "same bytes after SIGKILL" in told["table"]
    assert "nan" not in told["table"]


def test_growth_lists_what_was_measured_its_exponent_and_what_lies_beyond():
    one = dict(axis="subjects", notebook="01", held_gib=1.0)
    measured = [one | dict(size=n, cpu_s=10.0 * n, disk_mb=n) for n in (1, 2, 4)]
    grown = [dict(axis="subjects", quantity="cpu_s", exponent=1.0, all_of_nlst=7200.0),
             dict(axis="subjects", quantity="held_gib", exponent=None, all_of_nlst=None),
             dict(axis="bytes of CT", quantity="cpu_s", exponent=1.0, all_of_nlst=36e5)]
    told = sizes.growth(kept(cost_growth=measured, cost_exponents=grown))
    assert told["hours"] == "1,000"
    first, second = told["table"].splitlines()[2:]
    assert first == "| subjects: 1, 2, 4 | 01 | core seconds | 10 s, 20 s, 40 s | 1.00 | 2 h 0 min |"
    assert second.endswith("| 1.00 GiB, 1.00 GiB, 1.00 GiB | – | – |")


def test_without_their_tables_nothing_is_said():
    assert sizes.rehearsal(kept()) is sizes.growth(kept()) is None
