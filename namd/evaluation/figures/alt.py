"""What a figure says to a reader who cannot see it."""

from PIL import Image

from namd.ground.errors import DamagedError

LONGEST = 300       # characters


def describe(fig, name):
    """Alternative text of a matplotlib figure: its name, its titles, and what its axes measure.

    Source: ours, because the words are drawn into the image already and nothing else reads them out.
    """
    said = [fig.get_suptitle()]
    for ax in fig.axes:
        said += [ax.get_title(), " against ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))]
    told = "; ".join(dict.fromkeys(" ".join(words.split()) for words in said if words.strip()))
    text = f"{name.replace('_', ' ')}: {told}" if told else name.replace("_", " ")
    return text if len(text) <= LONGEST else text[:LONGEST - 2] + " …"


def of_file(path):
    """Alternative text of a PNG: what Run.figure wrote into it, or its name.

    Raises:
        DamagedError: it is no whole picture.
    """
    try:
        with Image.open(path) as image:
            return image.text.get("Description", path.stem.replace("_", " "))
    except (OSError, SyntaxError, ValueError, AttributeError) as error:     # PIL's, of a cut, an odd and another file
        raise DamagedError(f"{path} is no whole picture ({error}): delete it and run the notebook that draws it"
                           " again.") from None
