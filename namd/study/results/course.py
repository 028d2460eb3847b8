"""The student's copy of a notebook: the exercises without their solutions."""

import re

import nbformat
from nbconvert.preprocessors import Preprocessor

from namd.ground.files import replacing
from namd.ground.marks import only_ours
from namd.ground.order import NOTEBOOKS
from namd.ground.paths import outputs_root, short


class WithoutSolutions(Preprocessor):
    """nbconvert preprocessor: drops cells tagged `solution` and every folded answer.

    Source: ours, because a class should meet the question before the answer.
    """

    def preprocess(self, nb, resources):
        """(notebook, resources) with what a student may see."""
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source = re.sub(r"<details>.*?</details>\n*", "", cell.source, flags=re.S).strip()
        nb.cells = [cell for cell in nb.cells if cell.source and "solution" not in cell.metadata.get("tags", [])]
        return nb, resources


def write_course() -> int:
    """Write outputs/course/: every notebook without its solutions; returns 0.

    Raises:
        UserError: one of them was edited there, or is somebody's own; then none is written.
    """
    folder = outputs_root() / "course"
    sources = sorted(NOTEBOOKS.glob("*.ipynb"))
    for source in sources:
        only_ours(folder / source.name)
    for source in sources:
        notebook, _ = WithoutSolutions().preprocess(nbformat.read(source, as_version=4), {})
        with replacing(folder / source.name) as aside:
            nbformat.write(notebook, aside)
    print(f"The notebooks without solutions are in {short(folder)}")
    return 0
