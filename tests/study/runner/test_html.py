"""Executed notebooks become pages that need no network."""

import re
import unicodedata

import nbformat
import pytest
from browser import ask, needs_browser
from bs4 import BeautifulSoup

from namd.ground import order
from namd.study.runner.html import PageExporter
from namd.study.runner.mathml import letter, mathml

v4 = nbformat.v4
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.S)


def page(*cells):
    notebook = v4.new_notebook(cells=list(cells))
    return PageExporter().from_notebook_node(notebook)[0]


def solution(source, *outputs):
    tags = {"tags": ["solution", "hide-cell"], "jupyter": {"source_hidden": True}}
    return v4.new_code_cell(source, metadata=tags, outputs=list(outputs))


def printed(text):
    return v4.new_output("stream", name="stdout", text=text)


def unfolded(html):
    """What a reader sees before anything is unfolded."""
    soup = BeautifulSoup(html, "html.parser")
    for fold in soup("details"):
        assert "open" not in fold.attrs and fold.find("summary")
        fold.decompose()
    return soup.body.get_text()


ANSWERS = {
    "words": v4.new_markdown_cell("<details><summary>Solution</summary>\n\nIt is SECRET.\n\n</details>\n\nQUESTION"),
    "words without blank lines": v4.new_markdown_cell("<details><summary>A</summary>\nSECRET\n</details>\n\nQUESTION"),
    "two paragraphs, a list, a formula": v4.new_markdown_cell(
        "<details><summary>Why</summary>\n\nSECRET\n\n- SECRET $x^2$\n\n`SECRET`\n</details>\n\nQUESTION"),
    "code": solution("print('SECRET')"),
    "what code prints": solution("1", printed("SECRET")),
    "what code returns": solution("1", v4.new_output("execute_result", data={"text/plain": "SECRET"})),
    "a table": solution("1", v4.new_output("display_data", data={"text/html": "<table><td>SECRET</td></table>"})),
    "an error": solution("1", v4.new_output("error", ename="E", evalue="SECRET", traceback=["SECRET"])),
    "a heading that folds in Lab": v4.new_markdown_cell("#### Solution SECRET", metadata={"tags": ["solution"]}),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_folded(kind):
    html = page(v4.new_markdown_cell("QUESTION"), v4.new_code_cell("# your turn"), ANSWERS[kind])
    assert "QUESTION" in unfolded(html) and "your turn" in unfolded(html) and "SECRET" not in unfolded(html)
    assert "SECRET" in html or "heading" in kind


@pytest.mark.parametrize("number", sorted(order.AFTER))
def test_no_page_of_the_series_shows_an_answer_or_a_formula_as_text(number):
    nb = nbformat.read(order.notebook(number), as_version=4)
    code = [c for c in nb.cells if "solution" in c.metadata.get("tags", []) and c.cell_type == "code"]
    words = [c for c in nb.cells if c.source.startswith("<details>")]
    for cell in code:
        cell.outputs = [printed("SECRET")]
    html = PageExporter().from_notebook_node(nb)[0]
    seen, soup = unfolded(html), BeautifulSoup(html, "html.parser")
    assert "SECRET" not in seen and not [c.source for c in code if c.source in seen]
    assert html.count("<details") == len(code) + len(words) and html.count("SECRET") == len(code)
    assert len(soup.select("details p")) >= len(words)
    assert not re.search(r'mathvariant="(?!normal)|minsize', html)
    assert not re.search(r"\\[a-z]+|\$", " ".join(cell.get_text() for cell in soup.select(".jp-MarkdownCell")))


@needs_browser
def test_a_browser_draws_the_folds_closed_and_the_fences_large(tmp_path):
    formula = v4.new_markdown_cell(r"$$\Big(x\Big)$$")
    html = page(*ANSWERS.values(), formula)
    height, shown = ask(html, 390, "[[...page.querySelectorAll('mo')].map(e => e.getBoundingClientRect().height),"
                        " page.body.innerText]", tmp_path)
    small = ask(page(v4.new_markdown_cell("$$(x)$$")), 390,
                "[...page.querySelectorAll('mo')].map(e => e.getBoundingClientRect().height)", tmp_path)
    assert "QUESTION" in shown and "SECRET" not in shown
    assert min(height) > 1.4 * max(small)


def test_equations_are_mathml_and_code_keeps_its_dollars():
    table = "| a | b |\n|---|---|\n| $x_t < 1$ | `$PATH` and `$HOME` |"
    text = page(v4.new_markdown_cell(f"{table}\n\n$$a^2 \\qquad (3)$$ and $b +\nc_d$"))
    assert "<msub><mi>x</mi><mi>t</mi></msub>" in text and "<msup><mi>a</mi><mn>2</mn></msup>" in text
    assert "<mi>b</mi>" in text and "$PATH" in text and "$$" not in text


STYLES = {"mathbf": ("bold", "azAZ09"), "mathcal": ("script", "LNBEFHIMRego"), "mathbb": ("double-struck", "ERCHNPQZ1"),
          "boldsymbol": ("bold-italic", "xX\\epsilon\\mu\\sigma\\xi\\theta\\Sigma"), "mathfrak": ("fraktur", "gCHIRZ")}


@pytest.mark.parametrize("command", STYLES)
def test_a_styled_letter_is_unicodes_own(command):
    style, symbols = STYLES[command]
    for symbol in re.findall(r"\\\w+|\w", symbols):
        text = BeautifulSoup(mathml(rf"\{command}{{{symbol}}}"), "html.parser").get_text()
        plain = BeautifulSoup(mathml(symbol), "html.parser").get_text()
        assert text != plain and unicodedata.normalize("NFKC", text) == unicodedata.normalize("NFKC", plain)
    assert letter("é", style) == "é"


def test_every_formula_of_the_series_keeps_its_styled_letters():
    texts = ["".join(FORMULA.findall(re.sub("`[^`]*`", "", source))[0]) for number in order.AFTER
             for kind, _, source in order.cells(number) if kind == "markdown" and FORMULA.search(source)]
    found = [(text, styled) for text in texts
             for styled in re.findall(r"\\(?:mathbf|mathcal|mathbb|boldsymbol)\s*\{?(?:\\\w+|\w)", text)]
    assert len(found) > 50
    assert not [styled for text, styled in found if mathml(text).isascii()]


def test_fences_grow_by_the_font_bars_stand_close_and_names_apart():
    assert re.findall(r"font-size:([\d.]+)em", mathml(r"\big( \Big[ \bigg( x \bigg) \Big] \big)^2")) == [
        "1.2", "1.623", "2.047", "2.047", "1.623", "1.2"]
    assert 'stretchy="true"' in mathml(r"\left( \frac{a}{b} \right)")
    assert mathml(r"\lVert x \rVert").count('rspace="0"') == 2
    assert "<mi>log</mi><mspace" in mathml(r"\log p") and "<mspace" not in mathml(r"\log(p)")
    assert "<mi>Var</mi>" in mathml(r"\mathrm{Var}(p)")


def test_no_remote_script():
    text = page(v4.new_code_cell("1 + 1"))
    assert "<script src=" not in text and "cdnjs" not in text


def test_a_figure_says_what_it_shows_and_a_table_has_no_empty_header():
    told = v4.new_output("display_data", data={"image/png": PIXEL}, metadata={"image/png": {"alt": 'a "b" < c'}})
    untold = v4.new_output("display_data", data={"image/png": PIXEL})
    rows = "<table><tr><th></th><th>x</th></tr><tr><th>&nbsp;</th></tr></table>"
    table = v4.new_output("display_data", data={"text/html": rows})
    words = v4.new_markdown_cell("| | y |\n|---|---|\n| 1 | 2 |")
    soup = BeautifulSoup(page(v4.new_code_cell("1", outputs=[told, untold, table]), words), "html.parser")
    assert [image["alt"] for image in soup("img")] == ['a "b" < c', "figure drawn by the cell above"]
    assert [head.text for head in soup("th")] == ["x", "y"]
