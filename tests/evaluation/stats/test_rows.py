"""Rows have plain names and a place; one that nobody named stands with the arms."""

import re

from namd.evaluation.stats import rows
from namd.ground.paths import ABLATIONS


def test_a_row_is_called_by_its_plain_name():
    assert rows.plain("no_align_no_pred") == "NAMD without both losses"
    assert rows.plain("lambda_align1") == "NAMD, λ_align 1"
    assert rows.plain("namd-seed24") == "namd-seed24"


def test_every_arm_has_a_plain_name():
    parts = [file.stem for file in ABLATIONS.glob("*.yaml") if not re.match("seed", file.stem)]
    assert len(parts) > 15 and [part for part in parts if rows.plain(part) == part] == []


def test_rows_stand_in_their_groups_each_once():
    found = rows.grouped(["oracle", "namd", "somebody's", "real baseline", "namd"])
    assert found == {"real images": ["real baseline"], rows.ARMS: ["namd", "somebody's"],
                     "known to the phantom alone": ["oracle"]}
    assert rows.ordered(["oracle", "namd", "real baseline"]) == ["real baseline", "namd", "oracle"]
