"""Executed notebooks become pages that need no network."""

import re
import unicodedata

import nbformat
import pytest
from browser import WIDTHS, folds, needs_browser, opened, too_wide, violations
from bs4 import BeautifulSoup

from namd.ground import order
from namd.study.site.exporter import PageExporter
from namd.study.site.mathml import letter, mathml

v4 = nbformat.v4
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+?)\$", re.S)


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


SET_UP = ("Parameters of this notebook", "Imports, and the stamp of this run")


@pytest.mark.parametrize("number", sorted(order.AFTER))
def test_no_page_of_the_series_shows_an_answer_or_a_formula_as_text(number):
    nb = nbformat.read(order.notebook(number), as_version=4)
    code = [c for c in nb.cells if "solution" in c.metadata.get("tags", []) and c.cell_type == "code"]
    words = sum(c.source.count("<details") for c in nb.cells if c.cell_type == "markdown")
    for cell in code:
        cell.outputs = [printed("SECRET")]
    html = PageExporter().from_notebook_node(nb)[0]
    seen, soup = unfolded(html), BeautifulSoup(html, "html.parser")
    assert "SECRET" not in seen and not [c.source for c in code if c.source in seen]
    assert html.count("<details") == len(code) + words + len(SET_UP) and html.count("SECRET") == len(code)
    assert all(soup.find("summary", string=summary) for summary in SET_UP)
    assert len(soup.select("details p")) >= words
    assert not re.search(r'mathvariant="(?!normal)|minsize', html)
    assert not re.search(r"\\[a-z]+|\$", " ".join(cell.get_text() for cell in soup.select(".words")))


@needs_browser
def test_a_browser_draws_the_folds_closed_and_the_fences_large(tmp_path):
    file = tmp_path / "page.html"
    heights = []
    with opened() as go:
        for formula in (r"$$\Big(x\Big)$$", "$$(x)$$"):
            file.write_text(page(v4.new_markdown_cell("# Title"), *ANSWERS.values(), v4.new_markdown_cell(formula)))
            shown = go(file, 390)
            heights.append(shown.locator("math mo").last.bounding_box()["height"])
            seen = shown.locator("body").inner_text()
            assert "QUESTION" in seen and "SECRET" not in seen
            assert all(not is_open and words for is_open, words in folds(shown))
    assert heights[0] > 1.4 * heights[1]


@needs_browser
def test_a_page_is_read_on_a_phone_and_a_screen_by_day_and_by_night(tmp_path):
    file = tmp_path / "page.html"
    wide = "<table border=1 class=dataframe><tr><th></th>" + "<td>number</td>" * 60 + "</tr></table>"
    outputs = [v4.new_output("display_data", data={"text/html": wide}), printed("word " * 400),
               v4.new_output("display_data", data={"image/png": PIXEL}),
               v4.new_output("execute_result", data={"text/plain": "x" * 900})]
    code = "from math import pi  # a comment\ndef f(x: int = 3) -> str:\n    return f'{x:.2f}' + 'text' * 2 @ x"
    words = ("# Title\n\n## 1 · Do `this`\n\n$$\\mathbf{z} = " + "a + " * 90 + "b$$\n\n> note\n\n"
             "| $\\sigma_z$ | b |\n|---|---|\n| 1 | 2 |\n\n`code` [link](01_x.ipynb)")
    file.write_text(page(v4.new_markdown_cell(words), v4.new_code_cell(code, outputs=outputs), *ANSWERS.values()))
    with opened() as go:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                shown = go(file, width, scheme)
                assert violations(shown) == [] and shown.heard == [] and not too_wide(shown)


@needs_browser
@pytest.mark.parametrize("number", sorted(order.AFTER))
def test_every_bold_and_script_letter_of_the_source_is_on_the_page(number, tmp_path):
    nb = nbformat.read(order.notebook(number), as_version=4)
    text = "\n".join(re.sub("`[^`]*`", "", cell.source) for cell in nb.cells if cell.cell_type == "markdown")
    formulas = ["".join(found) for found in FORMULA.findall(text)]
    (tmp_path / "page.html").write_text(PageExporter().from_notebook_node(nb)[0])
    with opened() as go:
        shown = go(tmp_path / "page.html").evaluate("[...document.querySelectorAll('math')].map(math => "
                                                    "[math.textContent, math.getBoundingClientRect().width])")
    assert len(shown) == len(formulas) and all(width > 2 for _, width in shown)
    styled = re.compile(r"\\(?:mathbf|mathcal|mathbb|boldsymbol)\s*(?:\{([^}]*)\}|(\\?\w))")
    wanted = sum(len(re.findall(r"\\[a-zA-Z]+|\w", "".join(found))) for found in styled.findall(" ".join(formulas)))
    drawn = sum(0x1D400 <= ord(char) <= 0x1D7FF or char in "ℒℕℝℬℰℱℋℐℳℛ" for math, _ in shown for char in math)
    assert drawn == wanted


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


def test_keys_reach_a_box_that_scrolls_and_a_formula_heads_a_column_in_letters():
    words = v4.new_markdown_cell("| $\\sigma_z$ | b |\n|---|---|\n| 1 | 2 |\n\n$$x$$")
    soup = BeautifulSoup(page(words), "html.parser")
    boxes = soup.select(".scroll")
    assert [box["aria-label"] for box in boxes] == ["table", "formula"] and {box["tabindex"] for box in boxes} == {"0"}
    assert soup.th.span["aria-hidden"] == "true" and soup.th.find(class_="unseen").text.split() == ["σ", "z"]
