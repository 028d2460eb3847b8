"""A reader's working copy of the notebooks, below the outputs of a run: what he runs and edits there is his."""

import json
import os
import re
from pathlib import Path

import nbformat

from namd.ground import keys, marks, order
from namd.ground.errors import DamagedError
from namd.ground.files import replacing, write_json
from namd.ground.paths import REPO, outputs_root
from namd.ground.surroundings import python
from namd.ground.text import read_text
from namd.study.lab.parameters import with_values
from namd.study.site.write import Chapter, template

FOLDER = "lab"
PAGE = "README.md"
LARGEST = 1 << 30       # bytes of a notebook with all the pictures that it has drawn


def write_copy(plan) -> tuple[Path, list[str]]:
    """Write or renew outputs/<run>/lab/: every notebook with the parameters of the run, and a page to start from.

    Returns:
        The folder, and the files in it that the reader has edited: they stay as they are.

    Raises:
        UserError: outputs/<run>/ is somebody else's folder; DamagedError: the list of what was written is damaged.

    Source: ours, because Run All and autosave would change the notebooks of the checkout, which decide what is current.
    """
    folder = marks.begin(outputs_root() / plan.values["run_name"]) / FOLDER
    record = folder / order.COPY
    before = _recorded(record)
    texts = {}
    for number in order.AFTER:
        file = order.original(number)
        texts[file.name] = _with_parameters(file, plan.parameters(plan.asked(number)), folder)
    texts[PAGE] = _page(plan, folder)
    edited = []
    for name, text in texts.items():
        file = folder / name
        there = _sources(name, read_text(file, name, LARGEST)) if file.is_file() else None
        if there not in (None, before.get(name), _sources(name, text)):
            edited.append(name)
        elif there != _sources(name, text):
            _renew(file, text)
    write_json(record, before | {name: _sources(name, text) for name, text in texts.items() if name not in edited})
    return folder, edited


def _recorded(record) -> dict:
    """{file: what its sources were when it was written}."""
    if not record.is_file():
        return {}
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        raise DamagedError(f"{record} is damaged: move the folder {record.parent} away, and start again.") from None


def _sources(name, text) -> str:
    """Names what a reader may edit in a file: of a notebook its cells, not what they printed."""
    if not name.endswith(".ipynb"):
        return keys.sha(text)
    try:
        cells = json.loads(text)["cells"]
        return keys.sha([[cell["cell_type"], "".join(cell["source"])] for cell in cells])
    except (ValueError, KeyError, TypeError):
        return keys.sha(text)           # no notebook any more, so it is the reader's


def _renew(file, text):
    """Write `file`; what Jupyter added to the one before are outputs, so it is as good as ours."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_file():
        marks.sign_file(file, file)
    with replacing(file) as aside:
        aside.write_text(text, encoding="utf-8")


def _with_parameters(file, values, folder) -> str:
    """A notebook of the checkout with the values of a run, and links that lead to the checkout from `folder`."""
    nb = nbformat.read(file, as_version=4)
    home = Path(os.path.relpath(REPO, folder)).as_posix()
    for cell in nb.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = with_values(cell.source, values)
        elif cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(\.\./", f"]({home}/", cell.source)
    nb.metadata["jupytext"] = {"formats": "ipynb"}      # no .py beside it
    return nbformat.writes(nb) + "\n"


def _page(plan, folder) -> str:
    """The page that a reader sees first."""
    chapters = [Chapter.open(order.original(number)) for number in order.AFTER]
    home = Path(os.path.relpath(REPO, folder)).as_posix()
    files = [Path(os.path.relpath(file, REPO)).as_posix() for file in plan.given]
    return template("start.md.j2", __package__).render(
        run=folder.parent.name, chapters=chapters, later=order.LATER, home=home, python=python(),
        files=" ".join(f"--params {file}" for file in files), arm=plan.values["arm"], main=plan.main,
        others=[arm for arm in plan.values["compare_arms"] if arm != plan.values["arm"]],
        within=folder.is_relative_to(REPO), finished=(folder.parent / "index.html").is_file())
