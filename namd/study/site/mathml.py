"""LaTeX as MathML that a browser draws right by itself: no script, no attribute that it ignores."""

import unicodedata
from xml.etree.ElementTree import Element, fromstring, tostring

from latex2mathml.converter import convert

BARS = "|‖/"            # LaTeX sets no space around them, MathML does


def mathml(latex, display="inline"):
    """One formula as the text of a <math> element.

    Args:
        latex: without its dollars.
        display: "inline" or "block".

    Source: MathML Core, which keeps only "normal" of `mathvariant` and stretches an operator where the font can;
        so that nothing hangs on either, letters are Unicode's own and sizes of \\big are sizes of the font.
    """
    math = fromstring(convert(latex, xmlns="", display=display))
    for row in [*math.iter("mrow")]:
        _upright(row)
    for element in math.iter():
        if (style := element.get("mathvariant", "normal")) != "normal":
            del element.attrib["mathvariant"]
            element.text = "".join(letter(char, style) for char in element.text)
        if element.tag == "mo":
            _operator(element)
    for element in [*math.iter()]:
        _thin_space(element)
    return tostring(math, encoding="unicode", short_empty_elements=False)


def letter(char, style):
    """`char` in a mathematical style, e.g. z in "bold" is 𝐳; a character that Unicode lacks there stays.

    Args:
        style: value of `mathvariant`, e.g. "script", "double-struck", "bold-italic".
    """
    words = [word for word in unicodedata.name(char).split() if word not in ("LATIN", "GREEK", "LETTER", "LUNATE")]
    styled = " ".join([style.upper().replace("BOLD-", "BOLD "), *words])
    for name in (f"MATHEMATICAL {styled}", styled):
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    return char


def _upright(row):
    """The letters of \\mathrm as one word, so that they are read and spaced as one."""
    if len(row) > 1 and all(child.get("mathvariant") == "normal" for child in row):
        word = Element("mi")
        word.text = "".join(child.text for child in row)
        row[:] = [word]


def _operator(mo):
    """Sizes of \\big by the font; only \\left and \\right stretch; bars without space."""
    if size := float(mo.attrib.pop("minsize", "0em").removesuffix("em")):
        del mo.attrib["maxsize"]
        lower = (1 - 1 / size) / 4                   # back to the line's middle, a quarter em above its foot
        mo.attrib |= {"stretchy": "false", "style": f"font-size:{size}em;position:relative;top:{lower:.2f}em"}
    elif mo.text in BARS and "form" not in mo.attrib:
        mo.attrib |= {"stretchy": "false", "lspace": "0", "rspace": "0"}


def _thin_space(row):
    """LaTeX's space between a function's name and a bare argument: log p."""
    for at in reversed(range(len(row) - 1)):
        first = row[at]
        then = row[at + 1]
        if row.tag in ("mrow", "math") and first.tag == "mi" and len(first.text) > 1 and then.tag != "mo":
            row.insert(at + 1, Element("mspace", width="0.17em"))
