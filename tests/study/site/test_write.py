"""A site of executed notebooks: contents, neighbours, nothing twice, nothing from a network."""

import nbformat
import pytest
from browser import WIDTHS, folds, needs_browser, opened, too_wide, violations
from bs4 import BeautifulSoup

from namd.ground.errors import DamagedError
from namd.study.site.once import Once
from namd.study.site.write import Chapter, write_site

v4 = nbformat.v4
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="


def tagged(source, *tags, outputs=()):
    return v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def executed(title, injected="n = 3"):
    """A small notebook as papermill leaves it."""
    figure = v4.new_output("display_data", data={"image/png": PIXEL}, metadata={"image/png": {"alt": "a dot"}})
    return v4.new_notebook(cells=[
        v4.new_markdown_cell(f"# {title}\nWhat `it` *does*, in a [line](01_a.ipynb)\nor two.\n\n"
                             "*Next:* [more](02_b.ipynb)"),
        tagged("n: int = 3     # of nodules", "parameters"),
        tagged(f"# Parameters\n{injected}", "injected-parameters"),
        v4.new_code_cell("import os\n\nrun = start('01_a', globals())",
                         outputs=[v4.new_output("stream", name="stdout", text="commit abc1234")]),
        v4.new_markdown_cell("## 1 · Look at `x`\nA word, $\\mathbf{z}$ and [01](01_a.ipynb)."),
        v4.new_code_cell("run.figure(x)", outputs=[figure]),
        v4.new_markdown_cell("## Exercises\n<details><summary>Solution</summary>\n\nSECRET\n\n</details>"),
        tagged("print('SECRET')", "solution"),
    ])


@pytest.fixture
def site(tmp_path):
    files = [tmp_path / f"{name}.ipynb" for name in ("01_a", "02_b", "03_c")]
    for file in files:
        nbformat.write(executed(f"{file.stem[:2]} · Title"), file)
    others = [dict(link="results.html", title="What came out", about="Numbers.")]
    write_site(files, tmp_path / "site", "A series", "Phantom data.", others)
    return tmp_path / "site"


def soup_of(file):
    return BeautifulSoup(file.read_text(), "html.parser")


def test_every_link_leads_to_a_page_or_a_heading(site):
    for file in site.glob("*.html"):
        for link in soup_of(file)("a"):
            page, _, anchor = link["href"].partition("#")
            target = site / page if page else file
            assert target.is_file() or page == "results.html", link
            assert not anchor or soup_of(target).find(id=anchor), link


def test_a_chapter_has_its_neighbours_and_the_contents_say_what_each_is(site):
    first, second, third = (soup_of(site / f"{name}.html") for name in ("01_a", "02_b", "03_c"))
    assert not first.find(rel="prev") and second.find(rel="prev")["href"] == "01_a.html"
    assert second.find(rel="next")["href"] == "03_c.html" and third.find(rel="next")["href"] == "results.html"
    assert second.find(attrs={"aria-current": "page"}).text == "02 · Title"
    cards = soup_of(site / "index.html").select(".cards li")
    assert [card.a["href"] for card in cards] == ["01_a.html", "02_b.html", "03_c.html", "results.html"]
    assert "What it does, in a line or two." in cards[0].text and cards[0].img and "1 min" in cards[0].text
    assert "Phantom data." in soup_of(site / "index.html").text


@pytest.mark.parametrize(("words", "minutes"), [
    ("*Reading:* 14 minutes; the core takes 7.\n\n" + "word " * 400, 14), ("word " * 400, 2),
    ("word " * 400 + "\n\n<details class=\"hint\"><summary>Hint</summary>\n\n" + "word " * 400 + "</details>", 2)])
def test_a_chapter_takes_the_time_that_it_says_or_that_of_its_open_words(tmp_path, words, minutes):
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell(words)]), tmp_path / "01_a.ipynb")
    assert Chapter.open(tmp_path / "01_a.ipynb").minutes == minutes


def test_a_file_that_is_no_notebook_is_one_sentence(tmp_path):
    (tmp_path / "01_a.ipynb").write_text("{")
    with pytest.raises(DamagedError, match="01_a.ipynb is no whole notebook"):
        write_site([tmp_path / "01_a.ipynb"], tmp_path / "site", "A series")


def test_parameters_are_repeated_only_where_they_differ():
    same, _ = Once().preprocess(executed("t"), {})
    other, _ = Once().preprocess(executed("t", "n = 4\nnew = 'x'"), {})
    def injected(nb):
        return [cell.source for cell in nb.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert injected(same) == [] and injected(other) == ["n = 4\nnew = 'x'"]
    assert [cell.source[:6] for cell in same.cells if "imports" in cell.metadata.get("tags", [])] == ["import"]


def test_source_code_is_shown_without_a_style_of_its_own():
    data = {"text/html": "<style>pre { }</style><div class=\"highlight\">x</div>", "text/latex": "x",
            "text/plain": "def f(): pass"}
    cell = v4.new_code_cell("show(f)", outputs=[v4.new_output("display_data", data=data)])
    nb, _ = Once().preprocess(v4.new_notebook(cells=[cell]), {})
    assert nb.cells[0].outputs[0].data == {"text/markdown": "```python\ndef f(): pass\n```"}


@needs_browser
def test_a_site_is_read_offline_on_a_phone_and_a_screen_by_day_and_by_night(site):
    with opened() as go:
        for name in ("index", "02_b"):
            for width, scheme in zip(WIDTHS, ("dark", "light"), strict=True):
                page = go(site / f"{name}.html", width, scheme)
                assert "SECRET" not in page.locator("body").inner_text()
                assert len(folds(page)) == (4 if name == "02_b" else 0)
                assert all(not is_open and words for is_open, words in folds(page))
                assert violations(page) == [] and page.heard == [] and not too_wide(page)
        page = go(site / "02_b.html", 390)
        page.get_by_role("link", name="1 · Look at x").click()
        assert page.get_by_role("heading", name="1 · Look at x").bounding_box()["y"] < 600
