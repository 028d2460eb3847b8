"""How time, memory and disk grow with subjects, K and the side of the image: three small sizes of each, and exponents.

python tests/benchmarks/growth.py      runs notebooks of the smoke profile, one at a time and each in a process of its
    own (about 10 minutes on one core), and writes outputs/reference/cost_growth.csv and cost_exponents.csv; not a test.

An exponent e is that of a + b n^e through the three sizes, which double: what a process takes before it does anything
is left out. Seconds are those of all cores, the least of REPEATS calls: whatever else a machine does only adds.
"""

import math
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from namd.data.phantom.delivery import write_delivery
from namd.ground.order import PER_ARM, Job
from namd.ground.paths import REPO
from namd.ground.surroundings import of_a_job
from namd.rehearse import measure

REFERENCE = REPO / "outputs" / "reference"
PATIENTS = 26_410               # of NLST with CT
TERABYTES = 11.14               # of their CT series
REPEATS = 3
GAIN = 1e-2                     # share of what a process holds below which it did not grow


@dataclass(frozen=True)
class Axis:
    """What grows, the notebook that is measured, the parameter, its three sizes, a folder whose bytes count, and the
    one that is taken away before each call."""

    name: str
    notebook: str
    parameter: str
    sizes: tuple[int, int, int]
    folder: str
    cleared: str
    pairs: tuple[str, ...] = ()


AXES = [Axis("subjects", "01", "phantom_subjects", (400, 800, 1600), "cohort", "cohort"),
        Axis("K", "05", "k_runs", (8, 16, 32), "samples", "samples"),
        Axis("side of the image", "02", "image_size", (32, 64, 128), "arms/namd/latents", "arms",
             ("vae_steps=40",))]


class Run:
    """A run of the smoke profile below `outputs`, with one arm.

    Args:
        outputs: folder; pairs: parameters, NAME=VALUE.
    """

    def __init__(self, outputs: Path, *pairs):
        self.root = outputs / "smoke"
        self.environ = of_a_job(os.environ) | {"NAMD_OUTPUTS": str(outputs)}
        self.log = outputs / "log"
        self.words = ["--params", str(REPO / "params" / "smoke.yaml")]
        for pair in ("compare_arms=[namd]", "data_workers=1", "eval_workers=1", *pairs):
            self.words += ["-p", pair]

    def execute(self, number: str) -> measure.Measured:
        """Notebook `number`; anew, unless it is up to date."""
        return measure.run(["run", number, *self.words], self.environ, self.log)

    def measured(self, number: str, cleared: str) -> measure.Measured:
        """The cheapest of REPEATS calls of notebook `number`, each without what it has left in the folder `cleared`."""
        found = []
        for _ in range(REPEATS):
            (self.root / Job(number, "namd" if number in PER_ARM else None).mark).unlink(missing_ok=True)
            shutil.rmtree(self.root / cleared, ignore_errors=True)
            found.append(self.execute(number))
        return min(found, key=lambda one: one.cpu)

    def size(self, folder: str) -> int:
        """Bytes of all files in a folder of the run."""
        return sum(file.stat().st_size for file in (self.root / folder).rglob("*") if file.is_file())


def main() -> None:
    """Measure, print, write."""
    rows = []
    for axis in AXES:
        with tempfile.TemporaryDirectory() as folder:
            for size in axis.sizes:
                rows.append(_measured(axis, size, Path(folder)))
                print(rows[-1], flush=True)
    found = pd.DataFrame(rows)
    grown = exponents(found)
    found.to_csv(REFERENCE / "cost_growth.csv", index=False, float_format="%.6g")
    grown.to_csv(REFERENCE / "cost_exponents.csv", index=False, float_format="%.6g")
    print(grown.to_string(index=False))


def _measured(axis: Axis, size: int, outputs: Path) -> dict:
    """One row: what the notebook takes at this size; `outputs` are those of the sizes before."""
    pairs = [*axis.pairs, f"{axis.parameter}={size}"]
    if axis.name == "subjects":
        write_delivery(outputs / "delivery", size, 23, 0.1, 1.0, "none", workers=0)
        pairs += ["data_source=delivery", f"data_delivery={outputs / 'delivery'}"]
    run = Run(outputs, *pairs)
    for number in ("01", "02", "03", "04"):
        if number < axis.notebook:
            run.execute(number)
    took = run.measured(axis.notebook, axis.cleared)
    bytes_read = sum(file.stat().st_size for file in (outputs / "delivery").rglob("*.dcm"))
    return dict(axis=axis.name, notebook=axis.notebook, size=size, cpu_s=took.cpu, held_gib=took.held / 2**30,
                disk_mb=run.size(axis.folder) / 1e6, read_mb=bytes_read / 1e6)


def exponents(found: pd.DataFrame) -> pd.DataFrame:
    """One row for each axis and quantity: the exponent (None where nothing grows), and what all of NLST would take."""
    rows = []
    for axis, of_axis in found.groupby("axis", sort=False):
        for quantity in ("cpu_s", "held_gib", "disk_mb"):
            power = exponent(of_axis[quantity].tolist())
            beyond = None
            if axis == "subjects" and power is not None:
                straight = max(1.0, power)          # what grows more slowly here need not go on so
                beyond = extrapolated(of_axis["size"].tolist(), of_axis[quantity].tolist(), straight, PATIENTS)
            rows.append(dict(axis=axis, quantity=quantity, exponent=power, all_of_nlst=beyond))
    reading = found[found.axis == "subjects"]
    rate = reading.read_mb.diff().iloc[-1] / reading.cpu_s.diff().iloc[-1]
    rows.append(dict(axis="bytes of CT", quantity="cpu_s", exponent=1, all_of_nlst=TERABYTES * 1e6 / rate))
    return pd.DataFrame(rows)


def exponent(values: list[float]) -> float | None:
    """e of a + b n^e through the values at n, 2 n and 4 n; None where they do not grow."""
    first, second, third = values
    if second - first <= GAIN * first or third - second <= GAIN * first:
        return None
    return math.log2((third - second) / (second - first))


def extrapolated(sizes: list[int], values: list[float], power: float, n: int) -> float:
    """The value at `n` on the curve of `exponent`."""
    b = (values[2] - values[1]) / (sizes[2]**power - sizes[1]**power)
    return values[2] + b * (n**power - sizes[2]**power)


if __name__ == "__main__":
    sys.exit(main())
