"""Every notebook keeps to one template: pairs, order of sections, sizes, parameters cell."""

import ast
import json
import re
from itertools import pairwise
from statistics import median, quantiles

import jupytext
import pytest

from namd.ground import order, sources
from namd.study import params

SOURCES = sorted(order.NOTEBOOKS.glob("[0-9][0-9]_*.py"))
OPENING = ["What you will do", "What you will learn", "What you need"]
CLOSING = ["Paper and this run", "Exercises", "In practice", "Summary", "Further reading"]
STARTS = {"run_name", "device", "threads", "processes", "precision"}        # what start() itself reads
ANNOTATIONS = {"str", "int", "float", "bool", "list"}
BANNED = {
    r"\b(simply|just|obviously)\b": "a word that helps nobody",
    r"!\[[^\]]*\]\(https?:": "a remote image",
    r"^> \[!": "an alert that JupyterLab does not render",
    r"^(:::|```\{)": "a MyST directive",
}

pytestmark = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def read(source):
    return jupytext.read(source).cells


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def code_lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def code_cells(source):
    return [cell for cell in read(source) if cell.cell_type == "code"]


def prose(source):
    return [cell.source for cell in read(source) if cell.cell_type == "markdown"]


def headings(source, level=2):
    return [line[level + 1:] for text in prose(source) for line in text.splitlines()
            if line.startswith("#" * level + " ")]


def refuse(problems):
    assert not problems, "\n  " + "\n  ".join(problems)


def test_the_pair_is_equal_and_carries_no_outputs(source):
    pair = source.with_suffix(".ipynb")
    assert pair.is_file(), f"no {pair.name}: jupytext --sync {source.name}"
    raw = json.loads(pair.read_text(encoding="utf-8"))["cells"]
    carrying = [i for i, c in enumerate(raw) if c.get("outputs") or c.get("execution_count") is not None]
    assert not carrying, f"{pair.name}: cells {carrying} carry outputs"
    ours, theirs = read(source), jupytext.read(pair).cells
    refuse([f"cell {i}: `{a.source[:60]}` in .py, `{b.source[:60]}` in .ipynb: jupytext --sync {source.name}"
            for i, (a, b) in enumerate(zip(ours, theirs, strict=False))
            if (a.cell_type, a.source, a.metadata) != (b.cell_type, b.source, b.metadata)]
           or ([f"{len(ours)} cells in .py, {len(theirs)} in .ipynb"] if len(ours) != len(theirs) else []))


def test_the_sections_come_in_the_order_of_the_template(source):
    title, found = headings(source, 1), headings(source)
    problems = [] if len(title) == 1 and title[0].startswith(f"{source.stem[:2]} · ") else [f"title {title}"]
    numbered = [h for h in found if re.match(r"\d+ · ", h)]
    if [int(h.split(" ")[0]) for h in numbered] != list(range(1, len(numbered) + 1)) or not 4 <= len(numbered) <= 7:
        problems.append(f"numbered sections {numbered}: 4 to 7, counted from 1")
    if found != OPENING + numbered + CLOSING:
        problems.append(f"order {found}, expected {OPENING + numbered + CLOSING}")
    code = [cell.source for cell in code_cells(source)]
    if not tagged(code_cells(source)[0], "parameters"):
        problems.append("the first code cell is not tagged `parameters`")
    if f'start("{source.stem}", globals())' not in code[1]:
        problems.append(f'the second code cell does not call start("{source.stem}", globals())')
    if "run.finish(" not in code[-1]:
        problems.append("the last code cell does not call run.finish()")
    if not any("run.panel(" in text for text in code):
        problems.append("no run.panel()")
    refuse(problems)


def test_the_sizes_stay_within_the_limits(source):
    cells, code = read(source), code_cells(source)
    lengths = [len(code_lines(cell)) for cell in code]
    written = [n for n, cell in zip(lengths, code, strict=True) if not tagged(cell, "parameters")]
    words = sum(len(re.findall(r"\S*[A-Za-z0-9]\S*", text)) for text in prose(source))
    p90 = quantiles(lengths, n=10, method="inclusive")[8]
    imports = sum(line.startswith(("import ", "from ")) for cell in code for line in code_lines(cell))
    checking = sum("check(" in cell.source and not tagged(cell, "solution") for cell in code)
    most = 25 if source.stem[:2] in order.ALONE else 12         # the first hour is for reading
    values = {
        "cells": (len(cells), 40, 90), "code lines without imports": (sum(lengths) - imports, 0, 250),
        "median lines of a code cell": (median(lengths), 1, 7), "90 % quantile": (p90, 1, 20),
        "longest code cell": (max(written), 1, 30), "words per code line": (words / sum(lengths), 5, most),
        "cells that check": (checking, 4, 8), "figures": (sum("run.figure(" in c.source for c in code), 1, 12),
        "cells per heading": (len(cells) / sum(len(headings(source, n)) for n in (1, 2, 3)), 1, 8),
    }
    refuse([f"{what}: {value:.1f}, allowed {low} to {high}"
            for what, (value, low, high) in values.items() if not low <= value <= high])


READING = re.compile(r"^\*Reading:\* (\d+) minutes", re.M)
WORDS_A_MINUTE = 200


def test_it_says_how_long_it_reads_and_shows_the_map(source):
    words = sum(len(re.findall(r"\S*[A-Za-z0-9]\S*", text)) for text in prose(source))
    said = READING.findall(prose(source)[0])
    assert len(said) == 1, "the opening has no line `*Reading:* N minutes`"
    assert abs(int(said[0]) - words / WORDS_A_MINUTE) <= 2, f"{words} words, at {WORDS_A_MINUTE} a minute"
    assert any(cell.source == "run.map()" for cell in code_cells(source)[:12])


def test_no_two_long_code_cells_follow_each_other(source):
    refuse([f"`{code_lines(b)[0]}` follows another cell of more than 10 lines"
            for a, b in pairwise(read(source))
            if a.cell_type == b.cell_type == "code" and not tagged(a, "parameters")
            and min(len(code_lines(a)), len(code_lines(b))) > 10])


def test_every_figure_is_followed_by_what_to_see(source):
    cells = read(source)
    refuse([f"`{code_lines(cell)[-1]}` has no \"What to see\" below it" for i, cell in enumerate(cells)
            if cell.cell_type == "code" and "run.figure(" in cell.source
            and not tagged(cell, "solution")
            and not any("What to see" in after.source for after in cells[i + 1:i + 3])])


def test_a_figure_that_is_shown_without_a_file_has_words_for_who_cannot_see_it(source):
    refuse([f"`{line.strip()}` has no `alt`" for cell in code_cells(source) for line in code_lines(cell)
            if re.search(r"display\((fig|ax|plots|plt)\b", line) and '"alt"' not in line])


def test_the_prose_is_plain_markdown_in_short_lines(source):
    problems = [f"{len(line)} characters: {line[:70]}…" for text in prose(source) for line in text.splitlines()
                if len(line) > 100 and not line.startswith("|")]
    for text in prose(source):
        for pattern, why in BANNED.items():
            problems += [f"{why}: {hit.group(0)}" for hit in re.finditer(pattern, text, re.M | re.I)]
    refuse(problems)


def test_the_parameters_cell_is_annotated_literals_with_a_comment_each(source):
    cell = code_cells(source)[0].source
    problems = []
    for node in ast.parse(cell).body:
        line = cell.splitlines()[node.lineno - 1]
        if not isinstance(node, ast.AnnAssign) or getattr(node.annotation, "id", None) not in ANNOTATIONS:
            problems.append(f"{line}: write `name: type = literal`, type one of {sorted(ANNOTATIONS)}")
        elif node.target.id not in params.KEYS:
            problems.append(f"{line}: no such key in params/paper.yaml")
        elif " # " not in line:
            problems.append(f"{line}: no comment that says meaning, unit and place in the paper")
    refuse(problems)


def test_every_declared_parameter_is_used(source):
    code = code_cells(source)
    rest = "\n".join(cell.source for cell in code[1:])
    text = rest + "".join(t.decode() for t in sources.reached(*sources.imported(rest)).values())
    used = {*re.findall(r"\w+", text), *STARTS}
    refuse([f"{name} is declared and never used" for name in order.declared(source.stem[:2]) if name not in used])


def part_of(cell):
    """What a cell of an exercise is, or its first characters when it is nothing an exercise has."""
    if cell.cell_type == "code":
        hidden = tagged(cell, "hide-cell") and cell.metadata.get("jupyter", {}).get("source_hidden")
        if tagged(cell, "solution") and hidden:
            return "code"
        return "turn" if cell.source == "# your turn" else cell.source[:40]
    folds = tagged(cell, "solution") and cell.metadata.get("jp-MarkdownHeadingCollapsed")
    words = re.fullmatch(r"<details><summary>[^<]+</summary>\n\n.+\n</details>", cell.source, re.S)
    return "fold" if folds and cell.source == "#### Solution" else "words" if words else cell.source[:40]


def test_every_exercise_has_room_for_an_answer_and_a_folded_solution(source):
    cells = read(source)
    first, last = (next(i for i, c in enumerate(cells) if re.search(f"^## {title}", c.source, re.M))
                   for title in ("Exercises", "In practice"))
    starts = [i for i in range(first, last) if re.search(r"^### \d · .+\n\S", cells[i].source, re.M)]
    numbers = re.findall(r"^### (\d) · ", "\n".join(c.source for c in cells[first:last]), re.M)
    problems = [] if numbers == [str(n + 1) for n in range(len(starts))] and 3 <= len(starts) <= 5 else [
        f"exercises {numbers} in {len(starts)} cells: 3 to 5, counted from 1, each in a cell of its own"]
    for number, (begin, end) in enumerate(pairwise([*starts, last]), start=1):
        parts = " ".join(part_of(cell) for cell in cells[begin + 1:end])
        if not re.fullmatch("turn (fold( code)+|fold( code)+ words|words)", parts):
            problems.append(f"exercise {number} has {parts}: room (`# your turn`), then a folded solution")
    problems += [f"`{c.source[:50]}` is a solution of no exercise" for c in cells[:first] + cells[last:]
                 if tagged(c, "solution") or "<details>" in c.source]
    refuse(problems)


def test_one_exercise_implements_one_predicts_and_one_breaks(source):
    kinds = " ".join(re.findall(r"^### \d · (\w+)", "\n".join(prose(source)), re.M))
    refuse([f"no exercise begins with `{kind}`" for kind in ("Implement", "Predict", "Break") if kind not in kinds])


def test_no_notebook_before_the_evaluation_opens_the_test_split(source):
    text = "\n".join(cell.source for cell in code_cells(source))
    opened = {name for names in re.findall(r"\.split\(([\"'][^)]*)\)", text) for name in re.findall(r"\w+", names)}
    beside = re.findall(r"cohort\.(?:pairs|_crops)\b|crops\.npy|pairs\.parquet", text)
    if source.stem[:2] in ("02", "03", "04"):
        assert opened and opened <= {"train", "val"} and not beside, (opened, beside)
