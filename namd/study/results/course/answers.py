"""The exercises of a notebook: its answers taken out, or taken together."""

import re
from dataclasses import dataclass, field

from nbconvert.preprocessors import Preprocessor

EXERCISES = re.compile("^## Exercises", re.M)
SECTION = re.compile("^## ", re.M)
FOLD = re.compile(r"<details[^>]*>\s*<summary>(?P<summary>.*?)</summary>(?P<text>.*?)</details>\n*", re.S)
EXERCISE = re.compile(r"^### (?P<number>\d) · (?P<kind>.+)\n", re.M)


@dataclass
class Exercise:
    """One exercise: its number, its kind ("Predict"), what it asks and its answers, all in Markdown."""

    number: str
    kind: str
    question: str
    answers: list[str] = field(default_factory=list)


class WithoutSolutions(Preprocessor):
    """nbconvert preprocessor: drops every answer and what it printed; hints and derivations stay.

    An answer is a cell tagged `solution`, and what is folded among the exercises and is no hint.

    Source: ours, because a class should meet the question before the answer.
    """

    def preprocess(self, nb, resources):
        """(notebook, resources) with what a student may see."""
        kept = []
        for cell, among in _placed(nb):
            if cell.cell_type == "markdown":
                cell.source = FOLD.sub(lambda fold, among=among: "" if _answers(fold, among) else fold[0], cell.source)
                cell.source = cell.source.strip()
            if cell.source and "solution" not in cell.metadata.get("tags", []):
                kept.append(cell)
        nb.cells = kept
        return nb, resources


def exercises(nb) -> list[Exercise]:
    """The exercises of a notebook with their answers, of which code comes as a block."""
    found = []
    for cell, among in _placed(nb):
        solves = "solution" in cell.metadata.get("tags", [])
        if not among:
            continue
        if cell.cell_type == "code":
            if solves and found:
                found[-1].answers.append(f"```python\n{cell.source}\n```")
            continue
        for fold in FOLD.finditer(cell.source):
            if found and _answers(fold, among):
                found[-1].answers.append(fold["text"].strip())
        asked = FOLD.sub("", cell.source)
        if (opening := EXERCISE.search(asked)) and not solves:
            found.append(Exercise(opening["number"], opening["kind"].strip(), asked[opening.end():].strip()))
    return found


def _placed(nb):
    """(cell, whether it lies among the exercises) of every cell."""
    among = False
    for cell in nb.cells:
        if cell.cell_type == "markdown" and SECTION.search(cell.source):
            among = bool(EXERCISES.search(cell.source))
        yield cell, among


def _answers(fold, among) -> bool:
    """Whether a fold is an answer: among the exercises any but a hint, elsewhere one that says so."""
    summary = fold["summary"].strip().lower()
    return not summary.startswith("hint") if among else summary.startswith("solution")
