"""Parts of a network as cards with a feature map inside: as high as its side, as wide as its channels."""

from dataclasses import dataclass

from namd.evaluation.figures.svg import INK, MUTED, text

CARD = "#f4f6f8"
EDGE = "#cfd6dc"
MAP = "#0173b2"
WIDE = 98
HIGH = 112


@dataclass(frozen=True)
class Layer:
    """A card.

    Attributes:
        x, y: px of its upper left corner; title: its name; shape: (channels, rows, columns) or fewer numbers.
        chips: letters of what comes in from the side, each with its colour.
    """

    x: float
    y: float
    title: str
    shape: tuple[int, ...]
    chips: tuple[tuple[str, str], ...] = ()


def by(shape) -> str:
    """4 × 8 × 8."""
    return " × ".join(map(str, shape))


def card(layer, largest) -> str:
    """The card of a layer.

    Args:
        largest: (channels, side) of the largest feature maps beside it.
    """
    middle = layer.x + WIDE / 2
    drawn = [f"<rect x='{layer.x:g}' y='{layer.y:g}' width='{WIDE}' height='{HIGH}' rx='6' fill='{CARD}' "
             f"stroke='{EDGE}'/>", text(middle, layer.y + 17, layer.title, 12.5, INK, weight="bold")]
    if len(layer.shape) == 3:
        wide = 8 + 36 * layer.shape[0] / largest[0]
        high = 10 + 44 * layer.shape[1] / largest[1]
        left = middle - wide / 2 - (8 if layer.chips else 0)
        drawn.append(f"<rect x='{left:.1f}' y='{layer.y + 52 - high / 2:.1f}' width='{wide:.1f}' "
                     f"height='{high:.1f}' fill='{MAP}' fill-opacity='.7'/>")
    drawn.append(text(middle, layer.y + HIGH - 12, by(layer.shape), 12, MUTED))
    return "".join(drawn) + "".join(chip(layer.x + WIDE - 14, layer.y + 36 + 22 * i, *what)
                                    for i, what in enumerate(layer.chips))


def chip(x, y, letter, colour) -> str:
    """A letter on a disc."""
    return f"<circle cx='{x:g}' cy='{y:g}' r='9' fill='{colour}'/>" + text(x, y + 4.5, letter, 12, "#ffffff",
                                                                          weight="bold")
