"""A page as a browser lays it out; tests that use it are skipped where there is no Chromium."""

import json
import re
import shutil
import subprocess
from html import escape, unescape

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


def ask(html, width, expression, folder):
    """Value of a JavaScript `expression` over `page`, the document of `html` in a frame of `width` pixels."""
    outer = (f'<iframe width={width} height=900 style="border:0" srcdoc="{escape(html)}" onload="page ='
             f' this.contentDocument; result.textContent = JSON.stringify({escape(expression)})"></iframe>'
             "<pre id=result></pre>")
    (folder / "frame.html").write_text(f"<!doctype html><meta charset=utf-8>{outer}", encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
               "--window-size=1600,1000", "--virtual-time-budget=9000", "--dump-dom", (folder / "frame.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return json.loads(unescape(re.search(r'<pre id="result">(.*?)</pre>', dom, re.S).group(1)))
