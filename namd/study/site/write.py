"""A folder of pages from executed notebooks: contents, and each chapter with its neighbours."""

import base64
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import nbformat
from jinja2 import Environment, PackageLoader, StrictUndefined

from namd.evaluation.figures.screen import at_screen_size
from namd.ground.errors import DamagedError
from namd.study.site.exporter import LOOK, PageExporter

OPENING = re.compile(r"# (?P<title>.+)\n(?P<about>(?:[^\n]+\n?)*)")
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
READING = re.compile(r"^\*Reading:\* (\d+) minutes", re.MULTILINE)
FOLDED = re.compile("<details.*?</details>", re.DOTALL)
WORDS_A_MINUTE = 200
SMALL = 480         # pixels of a picture among the contents


@dataclass(frozen=True)
class Chapter:
    """An executed notebook as the contents name it: its page, title, first paragraph in plain words, first picture."""

    notebook: nbformat.NotebookNode
    link: str
    title: str
    about: str

    @classmethod
    def open(cls, file):
        """The chapter of the executed notebook `file`.

        Raises:
            DamagedError: it is no notebook.
        """
        try:
            notebook = nbformat.read(file, as_version=4)
        except (OSError, ValueError, nbformat.ValidationError) as error:
            raise DamagedError(f"{file} is no whole notebook ({error}): run it again.") from None
        opening = OPENING.match(notebook.cells[0].source) if notebook.cells else None
        title = opening["title"] if opening else Path(file).stem
        about = " ".join(opening["about"].split()) if opening else ""
        return cls(notebook, f"{Path(file).stem}.html", title, re.sub("[`*]", "", LINK.sub(r"\1", about)))

    @property
    def minutes(self) -> int:
        """Minutes that it says it reads; where it says nothing, those of its words, folded ones left out."""
        text = "\n".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")
        if said := READING.search(text):
            return int(said[1])
        return max(1, round(len(FOLDED.sub("", text).split()) / WORDS_A_MINUTE))

    @property
    def picture(self) -> str:
        """Its first figure, small, as base64 of a PNG; empty where it draws none."""
        outputs = chain.from_iterable(cell.get("outputs", []) for cell in self.notebook.cells)
        drawn = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        if not drawn:
            return ""
        return base64.b64encode(at_screen_size(base64.b64decode(drawn[0]), SMALL)).decode()


def write_site(files, folder, title, note="", others=(), answers=True) -> list[Chapter]:
    """Write `folder`: index.html with the contents, and a page of each executed notebook in `files`, in their order.

    Args:
        title: of the contents; note: a warning above them, e.g. that the data are a phantom's; others: further pages
            of `folder`, as dicts of link, title and about; answers: whether the notebooks hold them.

    Raises:
        DamagedError: a file is no notebook.

    Source: ours, because a series that must be run before it can be read is read by few.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chapters = [Chapter.open(file) for file in files]
    series = [dict(link=chapter.link, title=chapter.title) for chapter in chapters] + list(others)
    exporter = PageExporter()
    for at, chapter in enumerate(chapters):
        told = dict(metadata=dict(name=chapter.title), home="index.html", here=chapter.link, series=series,
                    before=series[at - 1] if at else None, after=series[at + 1] if at + 1 < len(series) else None)
        html, _ = exporter.from_notebook_node(chapter.notebook, told)
        (folder / chapter.link).write_text(html, encoding="utf-8")
    page = template("contents.html.j2").render(look=LOOK, title=title, note=note, chapters=chapters, others=others,
                                               answers=answers)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return chapters


def template(name, package=__package__):
    """The template `name` of a package's folder; whatever is put into one of HTML is escaped."""
    environment = Environment(loader=PackageLoader(package, "."), autoescape=".html" in name, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined)
    return environment.get_template(name)
