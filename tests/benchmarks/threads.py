"""One thread or two? Times a convolution step with torch, scikit-learn imported, interleaved on one machine.

python tests/benchmarks/threads.py [repeats]      prints the median ratio of one thread to two; not a test.
"""

import statistics
import sys
import time

import sklearn.linear_model  # noqa: F401  loads its own OpenMP runtime, as the notebooks do
import torch
from torch import nn


def network():
    """A small convolutional network, 64 x 64 in and out."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.SiLU(),
                         nn.Conv2d(64, 64, 3, padding=1), nn.SiLU(), nn.ConvTranspose2d(64, 1, 2, 2))


def step_seconds(net, x, threads, steps=5):
    """Seconds of one forward and backward pass with `threads` threads."""
    torch.set_num_threads(threads)
    began = time.perf_counter()
    for _ in range(steps):
        net.zero_grad()
        (net(x) - x).abs().mean().backward()
    return (time.perf_counter() - began) / steps


def main(repeats=9):
    net, x = network(), torch.randn(64, 1, 64, 64)
    for threads in (1, 2):
        step_seconds(net, x, threads)
    pairs = [(step_seconds(net, x, 1), step_seconds(net, x, 2)) for _ in range(repeats)]
    one, two = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    print(f"one thread {one:.1f} ms, two threads {two:.1f} ms a step; one/two: median {statistics.median(ratios):.2f},"
          f" range {ratios[0]:.2f} .. {ratios[-1]:.2f} over {repeats} interleaved pairs")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
