"""One bundle: a small checkout of its own, with notebooks, offline pages, syllabus, rubric and trained models."""

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nbformat

from namd.ground import marks, order
from namd.ground.files import replacing
from namd.ground.paths import REPO
from namd.study.results.course.answers import WithoutSolutions
from namd.study.results.course.lessons import EXERCISE_MINUTES, lessons, plain
from namd.study.results.reading import KEPT, PHANTOM, TITLE
from namd.study.site.write import template, write_site

FILES = ("Makefile", "Snakefile", "requirements.lock", "pyproject.toml", "environment.yml", "LICENSE", "CITATION.cff")
FOLDERS = ("namd", "params", "outputs/reference")
READING = "outputs/reference/reading"
ENDS = ("*.pyc", "__pycache__", ".ipynb_checkpoints")
GUIDE = "guide"


@dataclass(frozen=True)
class Bundle:
    """What a bundle is called, whom it is for, and whether it holds the answers."""

    name: str
    reader: str
    answers: bool

    @property
    def documents(self) -> list[str]:
        """The pages that stand beside the notebooks."""
        return ["syllabus", "rubric", *([GUIDE] if self.answers else [])]

    def write(self, folder, executed) -> None:
        """Write the bundle as `folder`.

        Args:
            executed: files of the executed notebooks, which become its pages.

        Source: ours, because a class has one hour, thirty laptops and no repository.
        """
        for name in FILES:
            _copied(REPO / name, folder / name)
        for name in FOLDERS:
            shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns(*ENDS, KEPT.name))
        for number in order.AFTER:
            self._notebook(order.original(number), folder / "notebooks")
        for file in executed:
            self._notebook(file, folder / READING)
        if (KEPT / "README.md").is_file():
            _copied(KEPT / "README.md", folder / READING / "README.md")
        self._tell(folder)

    def _notebook(self, file, folder):
        """A notebook as the reader of this bundle may see it."""
        folder.mkdir(parents=True, exist_ok=True)
        nb = nbformat.read(file, as_version=4)
        if not self.answers:
            nb, _ = WithoutSolutions().preprocess(nb, {})
        nbformat.write(nb, folder / file.name)

    def _tell(self, folder):
        """The documents, as Markdown and as pages among those of the notebooks."""
        executed = sorted((folder / READING).glob("*.ipynb"))
        told = dict(bundle=self, lessons=lessons(), each=EXERCISE_MINUTES, plain=plain,
                    executed=[file.stem[:2] for file in executed])
        with tempfile.TemporaryDirectory() as place:
            pages = []
            for name in self.documents:
                text = template(f"{name}.md.j2", __package__).render(told)
                (folder / f"{name}.md").write_text(text, encoding="utf-8")
                page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
                pages.append(Path(place, f"{name}.ipynb"))
                nbformat.write(page, pages[-1])
            write_site([*pages, *executed], folder / "pages", TITLE, PHANTOM, answers=self.answers)
        readme = template("readme.md.j2", __package__).render(told)
        (folder / "README.md").write_text(readme, encoding="utf-8")


BUNDLES = (Bundle("student", "students", False), Bundle("teacher", "their teacher", True))


def pack(folder, target) -> None:
    """Write the zip `target` of all in `folder`, below the name of the zip."""
    with replacing(target) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file != folder / marks.LIST:
                archive.write(file, Path(target.stem, file.relative_to(folder)))


def _copied(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
