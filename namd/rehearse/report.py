"""The table of a rehearsal: what each stage took, held and wrote, beside what `check` expects; kept stage by stage."""

import json
from pathlib import Path

import pandas as pd

from namd.ground import marks
from namd.ground.files import discard, write_json

TOLERANCE = 0.25        # between measured and expected
FLOOR = 2**30           # bytes from which a ratio is judged: below it the process around a model is the larger part
GIB = 2**30
GB = 10**9


class Kept:
    """The rows of the stages that are done, in a file, for one key.

    Args:
        file: JSON; what it holds of another key, or damaged, does not count.
    """

    def __init__(self, file: Path, key: str):
        self.file = file
        self.key = key
        sound = file.is_file() and not marks.changed(file)
        found = json.loads(file.read_text(encoding="utf-8")) if sound else {}
        self.rows = found["rows"] if found.get("key") == key else {}

    def add(self, stage: str, row: dict) -> None:
        """One more stage is done."""
        self.rows[stage] = row
        if marks.changed(self.file):
            discard(self.file)
        write_json(self.file, dict(key=self.key, rows=self.rows))


def row(measured, killed="") -> dict:
    """What is kept of a stage.

    Args:
        measured: measure.Measured; killed: what came of a kill in the middle.
    """
    return measured._asdict() | dict(killed=killed)


def table(rows: dict, expected: dict) -> pd.DataFrame:
    """One line a stage: seconds, GiB held, GB written, each beside the expected, their ratios, and what a kill did.

    Args:
        rows: of `Kept`; expected: {"held" or "written": {stage: bytes}}, of `namd.rehearse.expected`.
    """
    lines = []
    for stage, found in rows.items():
        line = dict(stage=stage, seconds=found["seconds"])
        for what, unit, size in (("held", "gib", GIB), ("written", "gb", GB)):
            wanted = expected[what].get(stage)
            line |= {f"{what}_{unit}": found[what] / size,
                     f"expected_{what}_{unit}": wanted / size if wanted else None,
                     f"{what}_ratio": found[what] / wanted if wanted else None}
        lines.append(line | dict(killed=found["killed"]))
    return pd.DataFrame(lines)


def apart(rows: dict, expected: dict) -> list[str]:
    """A sentence for each stage whose memory or bytes lie further from the expected than TOLERANCE."""
    said = []
    for stage, found in rows.items():
        for what, stages in expected.items():
            wanted = stages.get(stage, 0)
            if wanted > FLOOR and abs(found[what] / wanted - 1) > TOLERANCE:
                said.append(f"{stage}: {found[what] / GIB:.1f} GiB {what}, {wanted / GIB:.1f} expected")
    return said


def shown(found: pd.DataFrame) -> str:
    """The table as text."""
    plain = found.copy()
    for name in plain.columns[1:-1]:
        plain[name] = [("" if pd.isna(value) else f"{value:.2f}") for value in plain[name]]
    return plain.to_string(index=False)
