import pandas as pd
import pytest
import torch

from namd.__main__ import main
from namd.study import benchmark

FILES = {
    "matrix": '''
import torch
from namd.study import benchmark
from namd.study.benchmark import Pair

def product(n):
    a = torch.ones(256, 256)
    def way(i):
        benchmark.time.pass_by(n)
        for _ in range(n):
            out = a @ a
        return out
    return way

def pairs(device, size):
    yield Pair("four to one", product(40), product(10))
''',
    "off": '''
import torch
from namd.study.benchmark import Pair

def pairs(device, size):
    yield Pair("off by i", lambda i: torch.ones(3) @ torch.ones(3, 2) + i, lambda i: torch.ones(3) @ torch.ones(3, 2))
''',
    "helper": "raise AssertionError('not a benchmark: it has no pairs')",
}


class Clock:
    """Stands still except when it is read (1 ms) and when a benchmark says that seconds pass."""

    def __init__(self):
        self.now, self.passed = 0.0, []

    def process_time(self):
        self.now += 1e-3
        return self.now

    def pass_by(self, seconds):
        self.now += seconds
        self.passed.append(seconds)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(benchmark, "time", Clock())
    return benchmark.time


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of benchmarks; what they write goes to tmp_path/outputs."""
    for name, source in FILES.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setattr(benchmark, "FOLDER", tmp_path)
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_known_ratio_is_counted_measured_and_written(folder, clock, capsys):
    assert main(["benchmark", "matrix", "--repeats", "3"]) == 0
    row = pd.read_csv(folder / "outputs" / "benchmarks.csv").iloc[0]
    assert row["pair"] == "four to one" and row["flop_ratio"] == pytest.approx(4)
    assert [row[end] for end in ("low", "ratio", "high")] == pytest.approx([4, 4, 4], rel=1e-3)
    assert clock.passed == [40, 10] * 5, "warm-up, counting and three repeats take turns"
    assert row["ours_s"] == pytest.approx(10, rel=1e-3)
    assert row["tflop_per_s"] == pytest.approx(2 * 256**3 / 1e12, rel=1e-3)
    assert row["share_of_peak"] == pytest.approx(256**3 / 2048**3 * 1e-3, rel=1e-2)
    assert row["largest_gap"] == 0 and row["common_mb"] > 0 and row["repeats"] == 3
    lines = capsys.readouterr().out.splitlines()
    assert "TFLOP/s" in lines[0] and "four to one" in lines[-1] and max(map(len, lines)) <= 100


def test_without_names_all_files_with_pairs_run_and_a_disagreement_shows(folder, clock):
    assert main(["benchmark", "--repeats", "2"]) == 0
    rows = pd.read_csv(folder / "outputs" / "benchmarks.csv").set_index("pair")
    assert list(rows.index) == ["four to one", "off by i"]
    assert rows.loc["off by i", "largest_gap"] == 3


@pytest.mark.parametrize(("words", "said"), [
    (["matrx"], "There is no benchmark 'matrx'; did you mean matrix? choose from matrix, off."),
    (["matrix", "--repeats", "1"], "--repeats is 1"),
])
def test_a_wrong_call_gets_one_sentence(folder, capsys, words, said):
    assert main(["benchmark", *words]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_without_the_tests_of_a_checkout_it_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "FOLDER", tmp_path / "absent")
    assert main(["benchmark"]) == 1
    error = capsys.readouterr().err
    assert "in a clone of it" in error and error.count("\n") == 1


def test_the_interval_holds_the_median_and_narrows():
    ratios = 2 + torch.randn(200, generator=torch.Generator().manual_seed(0)).numpy() / 10
    low, high = benchmark.interval(ratios)
    assert low < 2 < high and high - low < 0.1
    few = benchmark.interval(ratios[:7])
    assert few[1] - few[0] > high - low and benchmark.interval([3.0, 3.0]) == (3.0, 3.0)


def test_the_committed_benchmarks_are_found():
    assert benchmark._chosen([]) == ["conditional", "headers", "prompts", "sampling"]
