"""What a notebook says below a figure, and the drawings that are no matplotlib figure."""

from xml.etree import ElementTree

from IPython.display import SVG, Markdown, display

from namd.training import parallel

TITLE = "{http://www.w3.org/2000/svg}title"


def told(*sentences):
    """Show what came out, each sentence computed from the run; an empty one is left out.

    Source: ours, because a figure that nobody reads out is read in as many ways as there are readers.
    """
    said = " ".join(sentence for sentence in sentences if sentence)
    if said and parallel.world() == 1:
        display(Markdown(f"**What came out.** {said}"))


def drawing(svg):
    """Show an SVG of `namd.evaluation.figures`; its title is its alternative text."""
    if parallel.world() == 1:
        alt = ElementTree.fromstring(svg).findtext(TITLE)
        display(SVG(svg), metadata={"image/svg+xml": {"alt": alt}})
