"""The notebooks of the series: which follows which, what each declares, what each does."""

import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from namd.ground.errors import UserError
from namd.ground.paths import NOTEBOOKS

AFTER = {"00": (), "01": (), "02": ("01",), "03": ("02",), "04": ("03",), "05": ("04",), "06": ("05",), "07": ("05",),
         "08": ("05",), "09": ("05",)}
ALONE = ("00",)             # reads nothing of the run, and nothing of the run reads it
LATER = ("08", "09")        # have commands of their own and are no part of `make study`
PER_ARM = ("02", "03", "04")
COPY = ".copy.json"         # lies in a folder with a reader's copy of the notebooks (namd.study.lab)
# what the training of a notebook may read, below the run or below {arm}
TRAINS_ON = {"02": ("cohort",), "03": ("cohort", "llm", "{arm}/latents", "{arm}/vae"),
             "04": ("cohort", "llm", "{arm}/latents", "{arm}/unet_uncond")}


@dataclass(frozen=True)
class Job:
    """One notebook of one run; `arm` is None for the notebooks that all arms share."""

    number: str
    arm: str | None

    @property
    def label(self):
        return f"{notebook(self.number).stem}{f' · {self.arm}' if self.arm else ''}"

    @property
    def folder(self):
        """Where the job writes, below the run's root."""
        return Path("arms", self.arm) if self.arm else Path()

    @property
    def mark(self):
        """The file that says that the job has finished, below the run's root."""
        return self.folder / "done" / f"{self.number}.json"


def before(number):
    """The notebooks that must have run before `number`, in their order."""
    found = set()
    for parent in AFTER.get(number, ()):
        found |= {parent, *before(parent)}
    return sorted(found)


def system_mark(name):
    """The file, below the run's root, that a scheduler's job leaves until 08 has found the system `name` trained."""
    return f"done/08/{name}"


@cache
def notebook(number):
    """The .ipynb of `number`, e.g. "04": a reader's copy where we stand in one; UserError names the ones there are."""
    copy = Path.cwd() / original(number).name
    return copy if copy.with_name(COPY).is_file() and copy.is_file() else original(number)


def original(number):
    """The .ipynb of `number` in the checkout; UserError names the ones there are."""
    found = sorted(NOTEBOOKS.glob(f"{number}_*.ipynb"))
    if not found:
        there = sorted(f.stem for f in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        raise UserError(f"There is no notebook {number}; choose one of {', '.join(there)}.")
    return found[0]


def cells(number):
    """Cells of a notebook as (type, tags, source)."""
    return _cells(notebook(number))


def _cells(file):
    raw = json.loads(file.read_text(encoding="utf-8"))["cells"]
    return [(c["cell_type"], c["metadata"].get("tags", []), "".join(c["source"])) for c in raw]


@cache
def declared(number):
    """{name: default} of the parameters cell, read with ast; nothing is executed."""
    for _, tags, source in cells(number):
        if "parameters" in tags:
            nodes = ast.parse(source).body
            return {(n.target if isinstance(n, ast.AnnAssign) else n.targets[0]).id: ast.literal_eval(n.value)
                    for n in nodes if isinstance(n, (ast.AnnAssign, ast.Assign))}
    raise UserError(f"{notebook(number).name} has no cell tagged `parameters`.")


def code_cells(number):
    """Code cells up to the exercises, which decide the result, as (tags, source without IPython's own lines)."""
    return _code(cells(number))


def edited(number):
    """Whether what runs is a reader's copy whose code, parameters aside, is no longer that of the checkout."""
    def code(file):
        return [source for tags, source in _code(_cells(file)) if "parameters" not in tags]

    return code(notebook(number)) != code(original(number))


def _code(found):
    kept = []
    for kind, tags, source in found:
        if kind == "markdown" and re.search("^## Exercises", source, re.M):
            break
        if kind == "code":
            kept.append((tags, re.sub("^[%!].*$", "", source, flags=re.M)))
    return kept


def first_line(source):
    """The first line of a cell that is code, or its first line."""
    lines = [line.strip() for line in source.splitlines() if line.strip()] or [""]
    return next((line for line in lines if not line.startswith("#")), lines[0])[:60]
