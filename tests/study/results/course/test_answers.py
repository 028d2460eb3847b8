import re

import nbformat
import pytest

from namd.ground import order, paths
from namd.study.results.course.answers import WithoutSolutions, exercises

v4 = nbformat.v4


def test_answers_go_and_questions_stay():
    nb = v4.new_notebook(cells=[
        v4.new_markdown_cell(f"## Exercises\nWhy?\n\n{fold('Solution')}\n\n**2** How?"),
        v4.new_code_cell("# your turn"), v4.new_code_cell("answer = 2", metadata={"tags": ["solution", "hide-cell"]}),
        v4.new_markdown_cell("<details><summary>Solution</summary>\nSo.\n</details>")])
    student, _ = WithoutSolutions().preprocess(nb, {})
    assert [cell.source for cell in student.cells] == ["## Exercises\nWhy?\n\n**2** How?", "# your turn"]


def fold(summary, text="SECRET", kind=""):
    return f"<details{kind}><summary>{summary}</summary>\n\n{text}\n\n</details>"


SERIES = [
    v4.new_markdown_cell(f"# Title\n## 1 · Step\n{fold('Why this is so', 'DERIVED')}\n{fold('Solution of a friend')}"),
    v4.new_markdown_cell(f"## Exercises\n### 1 · Predict\nGuess.\n\n{fold('Hint', 'HINT', ' class=hint')}"),
    v4.new_code_cell("# your turn"),
    v4.new_markdown_cell("#### Solution", metadata={"tags": ["solution"]}),
    v4.new_code_cell("guess = 2", metadata={"tags": ["solution"]}),
    v4.new_markdown_cell(fold("Solution in words", "Two.")),
    v4.new_markdown_cell("### 2 · Break it\nBreak."),
    v4.new_markdown_cell(fold("What to expect", kind=' class="words"')),
    v4.new_markdown_cell(f"## In practice\n{fold('More', 'MORE')}"),
]


def test_hints_and_derivations_stay_whatever_else_is_folded_among_the_exercises_goes():
    student, _ = WithoutSolutions().preprocess(v4.new_notebook(cells=[cell.copy() for cell in SERIES]), {})
    text = "\n".join(cell.source for cell in student.cells)
    assert all(word in text for word in ("DERIVED", "HINT", "MORE", "Guess.", "Break."))
    assert not any(word in text for word in ("SECRET", "Two.", "guess = 2", "Solution"))


def test_the_answers_are_taken_together_exercise_by_exercise():
    first, second = exercises(v4.new_notebook(cells=SERIES))
    assert (first.number, first.kind, first.question) == ("1", "Predict", "Guess.")
    assert first.answers == ["```python\nguess = 2\n```", "Two."] and second.answers == ["SECRET"]


def test_whatever_names_a_notebook_names_one_that_exists():
    there = {order.notebook(number).stem for number in order.AFTER} | set(order.AFTER)
    files = [file for file in paths.REPO.glob("*") if file.name in ("README.md", "Makefile", "Snakefile")]
    files += [file for folder in ("namd", "notebooks", "params", "outputs/reference")
              for file in (paths.REPO / folder).rglob("*.*") if file.suffix in (".py", ".ipynb", ".md", ".yaml")]
    named = {(file.name, name) for file in files for name in re.findall(
        r"\b\d\d_[a-z]+(?:_[a-z0-9]+)*|(?<=\bnotebook )\d\d\b", file.read_text(encoding="utf-8"))}
    assert len(named) > 50 and not [line for line in sorted(named) if line[1] not in there]


@pytest.mark.parametrize("number", sorted(order.AFTER))
def test_no_solution_is_left_in_the_series(number):
    nb = nbformat.read(order.notebook(number), as_version=4)
    before = len(nb.cells)
    student, _ = WithoutSolutions().preprocess(nb, {})
    text = "\n".join(cell.source for cell in student.cells)
    among = text.partition("## Exercises")[2].partition("## In practice")[0]
    assert "details>" not in re.sub("<details[^>]*>\\s*<summary>Hint.*?</details>", "", among, flags=re.S)
    assert "# your turn" in text and "run.finish(" in text
    assert 0 < len(student.cells) < before
