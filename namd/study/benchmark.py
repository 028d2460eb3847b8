"""`python -m namd benchmark`: our way against the common way, side by side in one run.

The clock. On a CPU it is `time.process_time` with one thread: on shared cores wall time measures the neighbours, and
with more threads the clock would add them up. On a GPU it is CUDA events. The two ways take turns, so what slows the
machine down for a while slows both, and only ratios of neighbours are reported.
"""

import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import bootstrap

from namd.ground import cost, precision, seeding
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.paths import REPO, outputs_root
from namd.ground.text import suggest

FOLDER = REPO / "tests" / "benchmarks"
AT_FULL_SIZE = {"paper": ("conditional",)}      # what fits into 24 GB there


@dataclass(frozen=True)
class Pair:
    """Two ways to compute the same thing.

    Args:
        name: row of the table, at most 24 letters.
        common, ours: number of the call -> tensor; the number names every draw, so both ways see the same noise.
    """

    name: str
    common: Callable[[int], torch.Tensor]
    ours: Callable[[int], torch.Tensor]


def run_benchmarks(names=(), repeats: int = 7, size: str = "") -> int:
    """Measure the benchmarks `names` (all when empty), print the table, write <outputs>/benchmarks.csv; returns 0.

    Args:
        names: files of tests/benchmarks without .py that have a function `pairs(device, size)`, an iterator of `Pair`.
        repeats: timed calls of each way, at least 2.
        size: "paper" measures at the paper's widths on a CPU too, the conditional step alone where no name is given.

    Raises:
        UserError: an unknown name, too few repeats for an interval, or no checkout.
    """
    if repeats < 2:
        raise UserError(f"--repeats is {repeats}: an interval needs at least 2, and 7 are a good start.")
    modules = [_load(name) for name in _chosen(names or AT_FULL_SIZE.get(size, ()))]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    precision.set_arithmetic("float32")
    peak = matmul_rate(device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, one thread"
    print(f"{where}, float32; a large matmul reaches {peak / 1e12:.3f} TFLOP/s; {repeats} interleaved repeats")
    rows = []
    for module in modules:
        rows += [measure(pair, repeats, device, peak) for pair in module.pairs(device, size)]
    print(table(rows))
    with replacing(outputs_root() / "benchmarks.csv") as aside:
        pd.DataFrame(rows).to_csv(aside, index=False, float_format="%.6g")
    return 0


def _chosen(names) -> list[str]:
    """The benchmarks to run, all of them when none is named."""
    if not FOLDER.is_dir():
        raise UserError(f"There is no {FOLDER}: the benchmarks are part of the repository's tests, so run this in a"
                        " clone of it.")
    known = [file.stem for file in sorted(FOLDER.glob("*.py")) if "\ndef pairs(" in file.read_text(encoding="utf-8")]
    for name in names:
        if name not in known:
            raise UserError(f"There is no benchmark {name!r};{suggest(name, known)} choose from {', '.join(known)}.")
    return list(names) or known


def _load(name: str):
    """The module tests/benchmarks/<name>.py, which may import its neighbours."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    return importlib.import_module(name)


def measure(pair: Pair, repeats: int, device: torch.device, peak: float) -> dict:
    """One row: seconds, their ratio with interval, FLOPs, memory, agreement and rate.

    Args:
        peak: FLOP/s of `matmul_rate` on the same device.

    Both ways make the same sequence of calls (warm-up, counted, timed), so two trainings stay at the same step.
    """
    pair.common(0)                                      # warm-up
    pair.ours(0)
    common = cost.cost(pair.common, 1)
    ours = cost.cost(pair.ours, 1)

    common_s = np.empty(repeats)
    ours_s = np.empty(repeats)
    gap = 0.0
    for turn in range(repeats):
        common_s[turn], expected = _timed(pair.common, 2 + turn, device)
        ours_s[turn], found = _timed(pair.ours, 2 + turn, device)
        gap = max(gap, float((expected - found).abs().max()))

    low, high = interval(common_s / ours_s)
    rate = ours.flops / np.median(ours_s)
    return {
        "pair": pair.name, "common_s": float(np.median(common_s)), "ours_s": float(np.median(ours_s)),
        "ratio": float(np.median(common_s / ours_s)), "low": low, "high": high,
        "flop_ratio": common.flops / ours.flops if ours.flops else np.nan,
        "common_mb": common.peak / 1e6, "ours_mb": ours.peak / 1e6,
        "largest_gap": gap, "tflop_per_s": rate / 1e12, "share_of_peak": rate / peak, "repeats": repeats,
        "device": device.type,
    }


def _timed(way, i: int, device: torch.device) -> tuple[float, torch.Tensor]:
    """(seconds, result) of call `i`."""
    if device.type == "cuda":
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        result = way(i)
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3, result
    began = time.process_time()
    result = way(i)
    return time.process_time() - began, result


def interval(ratios) -> tuple[float, float]:
    """95 % bootstrap interval of the median of paired ratios."""
    found = bootstrap((np.asarray(ratios),), np.median, method="percentile", rng=seeding.numpy_rng("benchmark"))
    return tuple(float(end) for end in found.confidence_interval)


def matmul_rate(device: torch.device) -> float:
    """FLOP/s of a large float32 matmul, the best of five: what this machine can reach at most."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.randn(n, n, device=device)
    seconds = [_timed(lambda _: a @ a, i, device)[0] for i in range(6)]
    return 2 * n**3 / min(seconds)


def table(rows) -> str:
    """The rows as text, at most 100 columns wide."""
    def line(r):
        return {"": r["pair"], "common s": f"{r['common_s']:.3f}", "ours s": f"{r['ours_s']:.3f}",
                "ratio": f"{r['ratio']:.2f}", "95 %": f"{r['low']:.2f}-{r['high']:.2f}",
                "FLOPs": f"{r['flop_ratio']:.2f}", "MB": f"{r['common_mb']:.0f}/{r['ours_mb']:.0f}",
                "gap": f"{r['largest_gap']:.0e}", "TFLOP/s": f"{r['tflop_per_s']:.3f}",
                "of peak": f"{r['share_of_peak']:.0%}"}
    return pd.DataFrame(map(line, rows)).to_string(index=False)
