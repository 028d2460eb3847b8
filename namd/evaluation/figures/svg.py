"""Parts of an SVG in the house style: texts that stay texts, arrows, and arrays as pictures inside it."""

import base64
import io
from html import escape

import matplotlib
import numpy as np
from PIL import Image

INK = "#1b1b1b"
MUTED = "#505a64"
LINE = "#8a939c"
FONT = "font-family='Helvetica, Arial, sans-serif'"


def text(x, y, words, size=13, colour=INK, anchor="middle", weight="normal") -> str:
    """Words at (x, y), px."""
    return (f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{colour}' text-anchor='{anchor}' "
            f"font-weight='{weight}'>{escape(words)}</text>")


def line(x1, y1, x2, y2) -> str:
    """An arrow; `frame` draws its tip."""
    return (f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{LINE}' stroke-width='2' "
            "marker-end='url(#tip)'/>")


def image(x, y, w, h, pixels) -> str:
    """An array of (H, W) or (H, W, 3) bytes as a picture of w x h px."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    code = base64.b64encode(file.getvalue()).decode()
    return (f"<image x='{x:g}' y='{y:g}' width='{w:g}' height='{h:g}' preserveAspectRatio='none' "
            f"style='image-rendering:pixelated' href='data:image/png;base64,{code}'/>")


def grey(values, low=-1.0, high=1.0) -> np.ndarray:
    """Numbers as bytes, low is black and high is white."""
    return np.uint8(255 * np.clip((np.asarray(values, dtype=float) - low) / (high - low), 0, 1))


def coloured(values, reach=2.5) -> np.ndarray:
    """Numbers around 0 as bytes (..., 3) of viridis, from -reach to reach."""
    share = np.clip(np.asarray(values, dtype=float) / (2 * reach) + .5, 0, 1)
    return np.uint8(255 * matplotlib.colormaps["viridis"](share)[..., :3])


def tiles(latent) -> np.ndarray:
    """The four channels of a latent (4, 8, 8) as two rows of two, white lines between them: (17, 17)."""
    grid = np.full((17, 17, 3), 255, np.uint8)
    for i, channel in enumerate(coloured(latent)):
        row = 9 * (i // 2)
        column = 9 * (i % 2)
        grid[row:row + 8, column:column + 8] = channel
    return grid


def frame(width, height, body, alt) -> str:
    """The whole SVG: a white card that shrinks with its page, its alternative text, the tips of its arrows."""
    words = escape(alt, quote=True)
    tip = (f"<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
           f"<path d='M0 0 L8 4 L0 8 z' fill='{LINE}'/></marker></defs>")
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='100%' role='img' "
            f"aria-label='{words}' style='max-width:100%;height:auto' {FONT}><title>{words}</title>"
            f"<rect width='{width}' height='{height}' rx='8' fill='#ffffff'/>{tip}{''.join(body)}</svg>")
