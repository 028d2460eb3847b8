import re

import nbformat
import pytest

from namd.ground import order, paths
from namd.study.results.course import WithoutSolutions

v4 = nbformat.v4


def test_answers_go_and_questions_stay():
    nb = v4.new_notebook(cells=[
        v4.new_markdown_cell("Why?\n\n<details><summary>Solution</summary>\nBecause.\n</details>\n\n**2** How?"),
        v4.new_code_cell("# your turn"), v4.new_code_cell("answer = 2", metadata={"tags": ["solution", "hide-cell"]}),
        v4.new_markdown_cell("<details><summary>Solution</summary>\nSo.\n</details>")])
    student, _ = WithoutSolutions().preprocess(nb, {})
    assert [cell.source for cell in student.cells] == ["Why?\n\n**2** How?", "# your turn"]


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
    assert "details>" not in text and "# your turn" in text and "run.finish(" in text
    assert 0 < len(student.cells) < before
