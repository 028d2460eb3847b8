"""Thousands of series through notebook 01: memory, cores, and what a reading that was killed reads again.

python tests/benchmarks/many_series.py [series]      writes them (3 small slices each), runs `python -m namd run 01`,
    kills it half-way with all its processes, starts it again and prints a table; not a test. 5,000 take 1.4 GB of disk.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "tests" / "data"))
PAIRS_A_PIECE = 32
PID = b"100001"                         # of the participant whose files are the pattern of all
HOOK = """
import os, sys
log = os.open(os.environ["NAMD_OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(lambda event, given: event == "open" and str(given[0]).endswith("1.dcm")
                 and os.write(log, (str(given[0]) + "\\n").encode()))
"""


@dataclass
class Seen:
    """What was seen of one run while it read: the peak of its memory at each share of the pairs, MB, and its work."""

    peak: dict[str, float] = field(default_factory=dict)
    largest: float = 0.0                # MB, of one process
    busy: float = 0.0                   # CPU seconds while series were read
    wall: float = 0.0                   # seconds of the same
    processes: int = 0

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {peak:.0f}" for name, peak in self.peak.items())
        return (f"{self.processes} processes, {self.busy:.0f} CPU s in {self.wall:.0f} s of reading; MB at the peak: "
                f"largest process {self.largest:.0f}, all of them by share of the pairs read: {shares}")


def write(folder: Path, n: int) -> None:
    """A delivery of `n` series: the bytes of two of them under other names, one pixel or two their own."""
    import small_delivery
    made = small_delivery.tables(n // 2)
    folder.mkdir()
    for name, table in made.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    pattern = folder.parent / "pattern"
    for year in (0, 1):
        small_delivery.write_series(pattern / str(year), int(PID), year, 5 + year)
    files = {(year, k): (pattern / str(year) / f"{k}.dcm").read_bytes() for year in (0, 1) for k in range(3)}
    row = 2 * (15 * small_delivery.SIDE + 60)                           # bytes of the pixels before one within the crop
    for i, pid in enumerate(made["people"].pid):
        mark = b"".join((900 + 15 * part).to_bytes(2, "little") for part in (i % 100, i // 100))   # seen in a crop too
        for (year, k), raw in files.items():
            place = folder / "ct" / f"{pid}_{year}"
            place.mkdir(parents=True, exist_ok=True)
            at = len(raw) - 2 * small_delivery.SIDE**2 + row
            raw = raw.replace(PID, str(pid).encode())
            (place / f"{k}.dcm").write_bytes(raw[:at] + mark + raw[at + len(mark):])


def run(folder: Path, outputs: Path, opened: Path, n: int, until: float) -> tuple[int, Seen]:
    """Run notebook 01 and watch it; where `until` is below 1, kill all its processes at that share of the pairs."""
    hook = outputs.parent / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    environ = os.environ | {"NAMD_OUTPUTS": str(outputs), "NAMD_OPENED": str(opened),
                            "PYTHONPATH": os.pathsep.join([str(hook), str(REPO)])}
    words = ["run", "01", "--params", "params/smoke.yaml", "-p", "run_name=series", "-p", "data_source=delivery", "-p",
             f"data_delivery={folder}"]
    process = subprocess.Popen([sys.executable, "-m", "namd", *words], cwd=REPO, env=environ, stdout=subprocess.DEVNULL)
    seen = watch(process, outputs / "series" / "cohort.parts", n // 2, until)
    return process.wait(), seen


def watch(process, parts: Path, pairs: int, until: float) -> Seen:
    """Look at a run and all that it started, twice a second, until it ends or has read a share of the pairs."""
    seen = Seen()
    before = None
    while process.poll() is None:
        family = members(process.pid)
        used = [memory(one) for one in family]
        pieces = len(list(parts.glob("*.npz")))
        share = min(1.0, pieces * PAIRS_A_PIECE / pairs)
        name = f"{int(share * 4)}/4"
        seen.peak[name] = max(seen.peak.get(name, 0), sum(used))
        seen.largest = max(seen.largest, *used)
        now = (time.monotonic(), sum(map(seconds, family)), pieces)
        if before and pieces > before[2]:       # what stands before reads tables, what follows writes the cohort
            seen.wall += now[0] - before[0]
            seen.busy += max(0.0, now[1] - before[1])
            seen.processes = max(seen.processes, len(family))
        before = now
        if share >= until:
            for one in reversed(family):
                one.send_signal(signal.SIGKILL)
        time.sleep(0.5)
    return seen


def members(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(process) -> float:
    """MB that a process holds, what it shares counted by its part."""
    try:
        return process.memory_full_info().pss / 1e6
    except psutil.Error:
        return 0.0


def seconds(process) -> float:
    """CPU seconds of a process so far."""
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return 0.0


def main(n=5000):
    """Write, run, kill, run again, and say it."""
    with tempfile.TemporaryDirectory(prefix="namd-series-") as room:
        room = Path(room)
        began = time.monotonic()
        write(room / "delivery", n)
        print(f"{n} series written in {time.monotonic() - began:.0f} s", flush=True)
        opened = []
        for until in (0.5, 2.0):
            log = room / f"opened-{until}"
            began = time.monotonic()
            status, seen = run(room / "delivery", room / "outputs", log, n, until)
            opened.append(Counter(str(Path(line).parent) for line in log.read_text().splitlines()))
            print(f"exit status {status} after {time.monotonic() - began:.0f} s; {len(opened[-1])} series read; {seen}",
                  flush=True)
        twice = opened[0].keys() & opened[1].keys()
        print(f"series read in both runs: {len(twice)} of {n} (the last second is not kept), in neither: "
              f"{n - len(opened[0].keys() | opened[1].keys())}")
        cohort = room / "outputs" / "series" / "cohort"
        print(f"cohort {'whole' if (cohort / 'manifest.json').is_file() else 'absent'}, pieces left: "
              f"{'yes' if Path(f'{cohort}.parts').exists() else 'no'}")
        shutil.rmtree(room / "delivery")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
