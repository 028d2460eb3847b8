"""The map of the whole system: every part as a box, every array between two parts as it really is. An SVG, by hand.

Where a part is taught stands beside it as the number of a notebook; `draw("04")` marks those of notebook 04.
"""

import textwrap
from dataclasses import dataclass

import numpy as np

from namd.evaluation.figures.svg import INK, LINE, MUTED, coloured, frame, grey, image, line, text, tiles

WIDTH = 1080
HEIGHT = 520
CARD = "#f4f6f8"
MODULE = "#e3eef7"
MODULE_EDGE = "#0173b2"
HERE = "#fff0d6"
HERE_EDGE = "#c45a00"
REPORT_LETTERS = 33     # of a line of the report: the widest common font, DejaVu Sans, fits too


@dataclass(frozen=True)
class Part:
    """A box of the map.

    Attributes:
        x, y, w, h: px; chapters: numbers of the notebooks that teach it; title: its name; module: whether it computes.
    """

    x: float
    y: float
    w: float
    h: float
    chapters: tuple[str, ...]
    title: str
    module: bool = False


PARTS = {
    "crop": Part(16, 70, 112, 132, ("01",), "CT crop"),
    "x1": Part(150, 70, 112, 132, ("01", "09"), "x1, baseline"),
    "encoder": Part(284, 92, 84, 76, ("02", "07"), "VAE encoder", True),
    "z1": Part(390, 70, 112, 132, ("02", "07"), "z1, its latent"),
    "unet": Part(524, 70, 138, 132, ("03", "04", "08"), "U-Net", True),
    "z2": Part(684, 70, 112, 132, ("04",), "z2_hat, latent"),
    "decoder": Part(818, 92, 84, 76, ("02",), "VAE decoder", True),
    "x2": Part(924, 70, 140, 132, ("04", "05", "06"), "x2_hat, follow-ups"),
    "record": Part(16, 262, 132, 150, ("01",), "e, the record"),
    "report": Part(166, 262, 214, 150, ("01",), "its report"),
    "llm": Part(398, 290, 104, 92, ("04",), "language model", True),
    "context": Part(524, 262, 138, 70, ("04",), "C, the context"),
    "noise": Part(540, 346, 106, 112, ("03",), "noise, z_T"),
    "judge": Part(952, 262, 84, 76, ("05", "09"), "judge", True),
    "prob": Part(684, 262, 236, 110, ("05", "06"), "p(malignant)"),
}
ARROWS = (("crop", "x1"), ("x1", "encoder"), ("encoder", "z1"), ("z1", "unet"), ("unet", "z2"), ("z2", "decoder"),
          ("decoder", "x2"), ("record", "report"), ("report", "llm"), ("llm", "context"), ("context", "unet"),
          ("x2", "judge"), ("judge", "prob"))
BESIDE = {"06": "how far the K drawings differ", "07": "take a part away", "08": "other systems instead",
          "09": "another reader of x1"}
ALT = ("Map of the system. A crop of the CT becomes the baseline image x1, which the VAE encoder turns into a latent "
       "z1. The record e becomes a report, which the language model with its soft prompts turns into a context C. From "
       "noise, z1 and C the U-Net draws a latent, which the VAE decoder turns into a follow-up; K of them are drawn. "
       "The judge reads a probability of malignancy from each.")


def draw(here, arrays) -> str:
    """The map as an SVG with its texts as texts.

    Args:
        here: number of a notebook, whose parts are marked; 00 marks none, for it is about all of them.
        arrays: what passes between the parts, of `namd.evaluation.figures.example.read`.

    Source: ours; the paper's Figure 1 shows the same way without the shapes.
    """
    body = [_heading(here, arrays), *(_arrow(*pair) for pair in ARROWS), _noise_arrow()]
    body += [_box(part, here) for part in PARTS.values()]
    body += _pictures(arrays)
    body += _words(arrays)
    body += [_chip(i, number, here) for i, number in enumerate(BESIDE)]
    return frame(WIDTH, HEIGHT, body, alt(here))


def about(here) -> dict:
    """What `display` is to know of the map: its alternative text."""
    return {"image/svg+xml": {"alt": alt(here)}}


def alt(here) -> str:
    """The map in words, and which parts are marked."""
    marked = [part.title for part in PARTS.values() if here in part.chapters]
    where = f" Marked, as you are in notebook {here}: {', '.join(marked)}." if marked else ""
    return ALT + where


def _heading(here, arrays):
    told = "The whole system" if here == "00" else f"You are here: notebook {here}"
    marked = "" if here == "00" else f"<rect x='16' y='14' width='18' height='18' rx='4' fill='{HERE}' " \
                                     f"stroke='{HERE_EDGE}' stroke-width='3'/>"
    first = 16 if here == "00" else 44
    k = len(arrays["prob"])
    about = (f"One phantom subject; every picture is the real array, its shape below it (K = {k} drawings). Numbers in "
             "boxes: the notebook that teaches the part.")
    return marked + text(first, 29, told, 17, anchor="start", weight="bold") + text(16, 53, about, 12.5, MUTED,
                                                                                     "start")


def _box(part, here):
    marked = here in part.chapters
    fill = HERE if marked else MODULE if part.module else CARD
    edge = HERE_EDGE if marked else MODULE_EDGE if part.module else "#cfd6dc"
    rect = (f"<rect x='{part.x:g}' y='{part.y:g}' width='{part.w:g}' height='{part.h:g}' "
            f"rx='{10 if part.module else 4}' fill='{fill}' stroke='{edge}' stroke-width='{3 if marked else 1.2}'/>")
    chapters = " ".join(part.chapters)
    middle = part.x + part.w / 2
    if part.module:
        words = textwrap.wrap(part.title, 9)
        top = part.y + part.h / 2 - 8 * len(words) + 6
        if part is PARTS["unet"]:
            top = part.y + 30
            rect += _u(part)
        title = "".join(text(middle, top + 17 * i, line, 14.5, weight="bold") for i, line in enumerate(words))
        return rect + title + text(middle, part.y + part.h - 9, chapters, 12, HERE_EDGE if marked else MUTED)
    return rect + text(part.x + 7, part.y + 16, part.title, 12.5, anchor="start", weight="bold") + text(
        part.x + part.w - 6, part.y + part.h - 7, chapters, 12, HERE_EDGE if marked else MUTED, "end")


def _u(part):
    """The U: feature maps that shrink on the way down and grow on the way up, and the bridges between them."""
    middle = part.x + part.w / 2
    found = []
    for i, high in enumerate((40, 30, 20)):
        y = part.y + 44 + 10 * i
        for side in (-1, 1):
            x = middle + side * (44 - 16 * i) - 5
            found.append(f"<rect x='{x}' y='{y}' width='10' height='{high}' fill='{MODULE_EDGE}' fill-opacity='.7'/>")
        reach = 37 - 16 * i
        found.append(f"<line x1='{middle - reach}' y1='{y + 4}' x2='{middle + reach}' y2='{y + 4}' stroke='{LINE}' "
                     "stroke-dasharray='3 3'/>")
    return "".join(found)


def _arrow(start, end):
    a = PARTS[start]
    b = PARTS[end]
    if b.x >= a.x + a.w:
        path = (a.x + a.w, _level(a, b), b.x - 2, _level(a, b))
    elif b.x + b.w <= a.x:
        path = (a.x, _level(a, b), b.x + b.w + 2, _level(a, b))
    else:
        x = max(a.x, b.x) + min(a.w, b.w) / 2
        path = (x, a.y + a.h, x, b.y - 2) if b.y > a.y else (x, a.y, x, b.y + b.h + 2)
    return line(*path)


def _level(a, b):
    """y at which two boxes side by side are joined."""
    return (max(a.y, b.y) + min(a.y + a.h, b.y + b.h)) / 2


def _noise_arrow():
    """From the noise around the context up into the U-Net."""
    noise = PARTS["noise"]
    unet = PARTS["unet"]
    x = unet.x + unet.w + 10
    way = f"M{noise.x + noise.w:g} {noise.y + 40:g} H{x:g} V{unet.y + unet.h - 16:g} H{unet.x + unet.w + 2:g}"
    return (f"<path d='{way}' "
            f"fill='none' stroke='{LINE}' stroke-width='2' marker-end='url(#tip)'/>")


def _shape(part, values, before=""):
    return text(part.x + 7, part.y + part.h - 7, before + " × ".join(map(str, np.shape(values))), 11.5, MUTED, "start")


def _pictures(arrays):
    """Every array inside its box, and its shape below it."""
    found = []
    for name in ("crop", "x1"):
        part = PARTS[name]
        low, high = (-1000, 400) if name == "crop" else (-1, 1)
        found += [image(part.x + 14, part.y + 24, 84, 84, grey(arrays[name], low, high)), _shape(part, arrays[name])]
    for name in ("z1", "z2", "noise"):
        part = PARTS[name]
        side = 84 if name != "noise" else 64
        values = arrays[name]
        found += [image(part.x + (part.w - side) / 2, part.y + 24, side, side, tiles(values)), _shape(part, values)]
    part = PARTS["x2"]
    for i, drawn in reversed(list(enumerate(arrays["x2"][:3]))):
        x = part.x + 9 + 24 * i
        y = part.y + 25 + 5 * i
        found.append(f"<rect x='{x - 2}' y='{y - 2}' width='76' height='76' fill='{CARD}'/>")
        found.append(image(x, y, 72, 72, grey(drawn)))
    k = len(arrays["prob"])
    found.append(text(part.x + 7, part.y + part.h - 7, f"{k} × {arrays['x2'].shape[1]} × {arrays['x2'].shape[2]}", 11.5,
                       MUTED, "start"))
    part = PARTS["context"]
    found += [image(part.x + 7, part.y + 24, part.w - 14, 26, coloured(arrays["context"])),
              _shape(part, arrays["context"])]
    return found


def _words(arrays):
    """The record, its report and the probabilities, as text and marks."""
    record = PARTS["record"]
    report = PARTS["report"]
    found = [text(record.x + 8, record.y + 38 + 18 * i, said, 12, anchor="start")
             for i, said in enumerate(arrays["record"])]
    found += [text(report.x + 8, report.y + 35 + 14 * i, said, 11, anchor="start")
              for i, said in enumerate(textwrap.wrap(arrays["report"], REPORT_LETTERS))]
    return found + _probabilities(arrays["prob"])


def _probabilities(prob):
    """K marks on a line from 0 to 1, and their mean and spread."""
    part = PARTS["prob"]
    left = part.x + 18
    long = part.w - 36
    y = part.y + 58
    found = [f"<line x1='{left}' y1='{y}' x2='{left + long}' y2='{y}' stroke='{INK}' stroke-width='1.2'/>"]
    for value in (0, .5, 1):
        found.append(text(left + long * value, y + 18, f"{value:g}", 11.5, MUTED))
    for value in prob:
        found.append(f"<circle cx='{left + long * value:.1f}' cy='{y}' r='5' fill='{MODULE_EDGE}' fill-opacity='.55'/>")
    said = f"{len(prob)} values: mean {np.mean(prob):.2f}, sd {np.std(prob, ddof=1):.2f}"
    return [*found, text(part.x + 7, part.y + part.h - 7, said, 11.5, MUTED, "start")]


def _chip(i, number, here):
    """What the later notebooks do with all of this."""
    marked = number == here
    x = 16 + 262 * i
    rect = (f"<rect x='{x}' y='478' width='250' height='28' rx='14' fill='{HERE if marked else CARD}' "
            f"stroke='{HERE_EDGE if marked else '#cfd6dc'}' stroke-width='{3 if marked else 1.2}'/>")
    return (rect + text(x + 16, 497, number, 12.5, HERE_EDGE if marked else MUTED, "start")
            + text(x + 42, 497, BESIDE[number], 12.5, anchor="start"))
