"""Rows have plain names and a place; one that nobody named stands with the arms."""

import re

from namd.evaluation.stats import rows
from namd.ground.paths import ABLATIONS


def test_a_row_is_called_by_its_plain_name():
    assert rows.plain("no_align_no_pred") == "NAMD without both losses"
    assert rows.plain("lambda_align1") == "lambda_align1"


def test_every_arm_that_changes_a_part_has_a_plain_name():
    parts = [file.stem for file in ABLATIONS.glob("*.yaml") if not re.match("lambda|sigma|seed", file.stem)]
    assert len(parts) > 10 and [part for part in parts if rows.plain(part) == part] == []


def test_rows_stand_in_their_groups_each_once():
    found = rows.grouped(["oracle", "namd", "lambda_align1", "real baseline", "namd"])
    assert found == {"real images": ["real baseline"], rows.ARMS: ["namd", "lambda_align1"],
                     "known to the phantom alone": ["oracle"]}
    assert rows.ordered(["oracle", "namd", "real baseline"]) == ["real baseline", "namd", "oracle"]
