"""A figure as large as a screen shows it."""

import io

from PIL import Image

WIDTH = 1240        # pixels
COLOURS = 128


def at_screen_size(png, width=WIDTH, colours=COLOURS) -> bytes:
    """A PNG no wider than `width` pixels, in a palette; `png` itself where that is smaller.

    Args:
        png: bytes of a whole PNG; colours: of the palette.

    Source: ours, because 150 dpi is for print, and a page of figures is sent by mail.
    """
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.quantize(colours, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return min(small.getvalue(), png, key=len)
