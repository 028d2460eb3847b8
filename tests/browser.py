"""A page as a browser shows it; tests that use it are skipped where Chromium or Playwright is missing (`[browser]`)."""

import importlib.util
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
PACKAGES = [name for name in ("playwright", "axe_playwright_python") if not importlib.util.find_spec(name)]
WHY = "no Chromium here" if CHROMIUM is None else f"pip install -e .[browser] brings {' and '.join(PACKAGES)}"
needs_browser = pytest.mark.skipif(CHROMIUM is None or bool(PACKAGES), reason=WHY)
WIDTHS = (390, 1400)
UNFOLD = "document.querySelectorAll('details').forEach(fold => fold.open = true)"
EACH_COLOUR = r"""(() => {
  const seen = {};
  document.querySelectorAll('.highlight pre').forEach(code => {
    const where = code.closest('details') ? 'folded ' : '';
    code.innerHTML = code.innerHTML.replace(/<span class="(\w+)">([^<]*)<\/span>/g, (whole, name, words) =>
      (seen[where + name] = (seen[where + name] || 0) + 1) > 3 ? words : whole);
  });
  return seen;
})()"""


@contextmanager
def opened():
    """A function (file, width, scheme) -> Playwright's page, in one browser; the page keeps in `heard` what it says.

    `heard` holds console messages, errors, and the address of every request that leaves the file.
    """
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def go(file, width=1400, scheme="light"):
            page = browser.new_page(viewport=dict(width=width, height=900), color_scheme=scheme)
            page.heard = []
            page.on("console", lambda message: page.heard.append(message.text))
            page.on("pageerror", lambda error: page.heard.append(str(error)))
            page.on("request", lambda asked: page.heard.extend(_outside(asked.url)))
            page.goto(file.as_uri())
            return page

        try:
            yield go
        finally:
            browser.close()


def _outside(url):
    return [] if url.startswith(("file:", "data:")) else [url]


def violations(page):
    """What axe finds on a page, everything unfolded: (rule, first place) of each violation.

    Of each colour of code three words keep it: a contrast is measured, word by word, for as long as all else together.
    """
    from axe_playwright_python.sync_playwright import Axe
    page.evaluate(UNFOLD)
    page.evaluate(EACH_COLOUR)
    return [(found["id"], found["nodes"][0]["html"][:200]) for found in Axe().run(page).response["violations"]]


def too_wide(page):
    """Whether the page scrolls sideways."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def folds(page):
    """(whether it is open, words in it beside its summary) of every fold."""
    return page.evaluate("[...document.querySelectorAll('details')].map(fold => [fold.open,"
                         " fold.textContent.trim().length - fold.querySelector('summary').textContent.trim().length])")
