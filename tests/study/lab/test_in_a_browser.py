"""A reader's way through JupyterLab: start page, Run All, sliders; the checkout stays as it was.

NAMD_LAB_SERIES=cold runs 02 to 07 too, 02 to 04 of a second arm among them, without a terminal;
NAMD_LAB_SERIES=<a finished smoke run> on a copy of it.
"""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from browser import needs_browser
from in_lab import close, failures, jupyter, page_of, run_all

from namd.ground import order
from namd.ground.marks import sha256
from namd.ground.paths import NOTEBOOKS, REPO
from namd.study.lab.copy import write_copy
from namd.study.runner.plan import Plan

SERIES = os.environ.get("NAMD_LAB_SERIES", "")
SMOKE = [REPO / "params" / "smoke.yaml"]
SECOND = REPO / "params" / "ablations" / "no_align_no_pred.yaml"     # `make lab PROFILE=smoke ARM=no_align_no_pred`
ONE_ARM = order.before("05")
WALK = [*((number, []) for number in ONE_ARM), *((number, [SECOND]) for number in order.PER_ARM),
        *((number, []) for number in ("05", "06", "07"))]
minutes = pytest.mark.skipif(not SERIES, reason="minutes: NAMD_LAB_SERIES=cold, or a finished smoke run")
pytestmark = needs_browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working copy, on a copy of a finished run where one is named."""
    outputs = tmp_path_factory.mktemp("outputs")
    if Path(SERIES).is_dir() and SERIES:
        shutil.copytree(SERIES, outputs / "smoke")
    before = os.environ.get("NAMD_OUTPUTS")
    os.environ["NAMD_OUTPUTS"] = str(outputs)
    yield write_copy(Plan(SMOKE))[0]
    os.environ.pop("NAMD_OUTPUTS")
    if before is not None:
        os.environ["NAMD_OUTPUTS"] = before


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    settings = tmp_path_factory.mktemp("settings")
    with jupyter(folder, settings) as address, page_of(address) as page:
        yield page


@pytest.fixture(scope="module")
def checkout():
    return {file: sha256(file) for file in NOTEBOOKS.iterdir()}


def test_the_start_page_opens_without_news_and_its_links_open_notebooks(page, checkout):
    page.get_by_role("heading", name="NAMD, step by step: your copy").wait_for()
    assert page.get_by_text("Jupyter news").count() == 0
    names = page.locator(".jp-DirListing-itemName").all_inner_texts()
    assert {"00_start_here.ipynb", "03_diffusion_pretraining.ipynb"} <= set(names)
    page.get_by_role("link", name="00 · Start here").click()
    page.locator(".jp-Notebook").wait_for()
    page.locator(".jp-RenderedHTMLCommon h1", has_text="00 · Start here").wait_for()


def test_00_runs_and_its_sliders_redraw(page, folder):
    cells = run_all(page, "lab/00_start_here.ipynb")
    assert failures(cells) == [] and page.heard == []
    drawn = "[...document.querySelectorAll('.widget-html-content')].map(part => part.innerHTML).join('')"
    age = page.locator(".widget-hslider .widget-readout").first
    age.scroll_into_view_if_needed()
    before = page.evaluate(drawn)
    age.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("75")
    page.keyboard.press("Enter")
    page.wait_for_function(f"before => {drawn} !== before", arg=before, timeout=120_000)
    close(page)


@pytest.mark.parametrize(("number", "layers"), [
    pytest.param(number, layers, id="-".join([number, *(file.stem for file in layers)]),
                 marks=() if number == "01" else minutes) for number, layers in WALK])
def test_a_notebook_runs_without_an_error(number, layers, page, folder, checkout):
    assert write_copy(Plan([*SMOKE, *layers])) == (folder, [])      # Run All and autosave are no edits
    name = order.original(number).name
    cells = run_all(page, f"lab/{name}")
    assert failures(cells) == [] and page.heard == []
    assert any("finished in" in str(output) for output in cells[-1]["outputs"])
    assert '"output_type"' in (folder / name).read_text()
    close(page)


@minutes
def test_both_arms_stand_in_table_1_and_are_compared(folder):
    metrics = folder.parent / "metrics"
    assert {"namd", SECOND.stem} <= set(pd.read_csv(metrics / "table1.csv")["row"])
    compared = pd.read_csv(metrics / "effects.csv").set_index("row")
    assert compared.loc[SECOND.stem].query("quantity == 'AUROC'")["value"].notna().all()


def test_the_checkout_is_as_it_was_and_nothing_was_paired(folder, checkout):
    assert {file: sha256(file) for file in NOTEBOOKS.iterdir()} == checkout
    assert list(folder.glob("*.py")) == []
