"""Executed notebooks become pages that need no network."""

import nbformat

from namd.study.html import PageExporter


def page(*cells):
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    return PageExporter().from_notebook_node(notebook)[0]


def test_equations_are_mathml_and_code_keeps_its_dollars():
    table = "| a | b |\n|---|---|\n| $x_t < 1$ | `$PATH` and `$HOME` |"
    text = page(nbformat.v4.new_markdown_cell(f"{table}\n\n$$a^2 \\qquad (3)$$"))
    assert "<msub><mi>x</mi><mi>t</mi></msub>" in text and "<msup><mi>a</mi><mn>2</mn></msup>" in text
    assert "$PATH" in text and "$$" not in text


def test_no_remote_script():
    text = page(nbformat.v4.new_code_cell("1 + 1"))
    assert "<script src=" not in text and "cdnjs" not in text
