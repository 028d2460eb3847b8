"""JupyterLab on a working copy, as a browser drives it; for tests."""

import json
import os
import subprocess
import time
from contextlib import contextmanager

from browser import CHROMIUM

from namd.study.lab import server

APP = "window.jupyterapp"
CELLS = (f"[...Array({APP}.shell.currentWidget.content.model.cells.length).keys()]"
         f".map(i => {APP}.shell.currentWidget.content.model.cells.get(i).toJSON())")
OWN = ("/api/kernels", "favicon", "WebSocket")      # what JupyterLab itself says to the console


@contextmanager
def jupyter(folder, settings):
    """The address, token included, of a JupyterLab on the copy in `folder`; its own files go to `settings`."""
    own = {f"JUPYTER_{name}_DIR": str(settings / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    words = [*server.words(folder), "--no-browser", "--ServerApp.port=0", "--LabApp.expose_app_in_browser=True"]
    with open(settings / "log", "w") as log:
        process = subprocess.Popen(words, env=server.surroundings(os.environ) | own | {"JUPYTER_PATH": ""},
                                   stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _address(process, settings)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()          # no server outlives its test
            process.wait()


def _address(process, settings):
    note = settings / "runtime" / f"jpserver-{process.pid}.json"
    for _ in range(900):
        if note.is_file() and note.stat().st_size:
            told = json.loads(note.read_text())
            return f"{told['url']}?token={told['token']}"
        assert process.poll() is None, (settings / "log").read_text()
        time.sleep(0.5)
    raise AssertionError((settings / "log").read_text())


@contextmanager
def page_of(address):
    """A page of Chromium on JupyterLab's start; `heard` holds the errors of its console."""
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=dict(width=1400, height=1000))
        page.set_default_timeout(900_000)
        page.heard = []
        page.on("console", lambda message: page.heard.extend(_errors(message)))
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.goto(address)
        try:
            yield page
        finally:
            browser.close()


def _errors(message):
    return [message.text] if message.type == "error" and not any(word in message.text for word in OWN) else []


def run_all(page, path):
    """Open the notebook `path`, Run All, save; its cells as they are then."""
    page.evaluate(f"{APP}.commands.execute('docmanager:open', {{path: '{path}'}})")
    page.wait_for_function(f"{APP}.shell.currentWidget?.context?.path === '{path}' &&"
                           f" {APP}.shell.currentWidget.context.isReady &&"
                           f" {APP}.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")
    page.evaluate(f"{APP}.commands.execute('notebook:run-all-cells')")
    page.evaluate(f"{APP}.commands.execute('docmanager:save')")
    return page.evaluate(CELLS)


def close(page):
    """Close the notebook and its kernel, for memory."""
    page.evaluate(f"{APP}.shell.currentWidget.sessionContext.shutdown()")
    page.evaluate(f"{APP}.commands.execute('application:close')")


def failures(cells):
    """(source, error) of each cell that failed."""
    return [(cell["source"], output["evalue"]) for cell in cells for output in cell.get("outputs", [])
            if output["output_type"] == "error"]
