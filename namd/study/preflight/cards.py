"""GPUs by name, and how long a stage takes on one: the slowest of arithmetic, memory and launches."""

from dataclasses import dataclass

from namd.ground.errors import UserError
from namd.ground.text import suggest


@dataclass(frozen=True)
class Card:
    """Peak rates without sparsity, in TFLOP/s and GB/s; memory as torch reports it, in GiB."""

    title: str
    gib: float
    float32: float
    tf32: float
    bfloat16: float
    gb_s: float


# Source: NVIDIA's data sheets; bfloat16 with float32 accumulation.
CARDS = {
    "a40": Card("A40", 44.4, 37.4, 74.8, 149.7, 696),
    "a100": Card("A100 80 GB", 79.2, 19.5, 156, 312, 2039),
    "h100": Card("H100 SXM", 79.1, 66.9, 494.7, 989.4, 3350),
    "h200": Card("H200", 139.8, 66.9, 494.7, 989.4, 4800),
    "l4": Card("L4", 22.0, 30.3, 60, 121, 300),
    "l40s": Card("L40S", 44.4, 91.6, 183, 366, 864),
    "rtx3090": Card("RTX 3090", 23.6, 35.6, 35.6, 71.2, 936),
    "rtx4090": Card("RTX 4090", 23.5, 82.6, 82.6, 165.2, 1008),
}
# Fast and slow guess of what a step reaches. Ours, because networks of this size in eager mode reach 40 to 60 % of the
# peak in float32 and 30 to 45 % of the far higher one of tensor cores, and Python launches a kernel in 5 to 10 us.
SHARE = {"float32": (0.60, 0.40), "tf32": (0.45, 0.30), "bfloat16": (0.45, 0.30)}
BANDWIDTH = (0.80, 0.60)
LAUNCH_S = (5e-6, 10e-6)


def find(name: str) -> Card:
    """The card called `name`, in any case and with or without spaces.

    Raises:
        UserError: none of that name.
    """
    key = name.lower().replace(" ", "").replace("-", "").replace("_", "")
    if key not in CARDS:
        raise UserError(f"--card {name} is not known;{suggest(key, CARDS)} use one of {', '.join(CARDS)}.")
    return CARDS[key]


def limits(part, card: Card, guess: int) -> dict:
    """Seconds that each limit alone would take for a `stages.Part`; guess 0 is fast, 1 is slow."""
    flops_a_second = getattr(card, part.arithmetic) * 1e12 * SHARE[part.arithmetic][guess]
    bytes_a_second = card.gb_s * 1e9 * BANDWIDTH[guess]
    return {"arithmetic": part.times * part.cost.flops / flops_a_second,
            "memory": part.times * part.cost.traffic / bytes_a_second,
            "launches": part.times * part.cost.kernels * LAUNCH_S[guess]}


def hours(stage, card: Card) -> tuple[float, float]:
    """Fast and slow estimate for one run of a `stages.Stage`."""
    return _hours(stage, card, 0), _hours(stage, card, 1)


def _hours(stage, card, guess) -> float:
    """Hours when the slowest limit of each part holds it up."""
    seconds = sum(max(limits(part, card, guess).values()) for part in stage.parts)
    return seconds / 3600


def bound(stage, card: Card) -> str:
    """The limit of the stage's longest part."""
    found = [limits(part, card, 0) for part in stage.parts]
    longest = max(found, key=lambda seconds: max(seconds.values()))
    return max(longest, key=longest.get)
