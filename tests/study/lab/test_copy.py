"""A reader's copy: renewed where he changed nothing, kept where he did, and asked where he stands in it."""

import json
import os

import pytest
from small_home import CELL, forget

from namd.ground import order
from namd.ground.components import Components
from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.study import notebook as study
from namd.study.lab.copy import write_copy
from namd.study.runner.plan import Plan

QUICK = REPO / "params" / "quick.yaml"
NAME = "02_vae.ipynb"


@pytest.fixture
def copied(home):
    folder, edited = write_copy(Plan([QUICK]))
    assert edited == [] and folder == home / "outputs" / "quick" / "lab"
    return folder


def changed(file, source=None, printed=None):
    """Save a notebook as JupyterLab does, with another source of its last cell, or something printed there."""
    nb = json.loads(file.read_text())
    cell = nb["cells"][-1]
    if source is not None:
        cell["source"] = [f"{line}\n" for line in source.splitlines()]
    if printed is not None:
        cell |= dict(execution_count=1, outputs=[dict(output_type="stream", name="stdout", text=[printed])])
    file.write_text(json.dumps(nb, indent=1))


def test_a_copy_has_the_values_of_its_profile_and_no_second_file_beside_it(copied, home):
    nb = json.loads((copied / NAME).read_text())
    assert 'run_name: str = "quick"' in "".join(nb["cells"][0]["source"])
    assert nb["metadata"]["jupytext"] == {"formats": "ipynb"}
    assert {file.name for file in copied.glob("[!.]*")} == {"README.md", *(file.name for file in home.glob("*.ipynb"))}


def test_another_profile_or_arm_sets_other_values(home):
    folder, _ = write_copy(Plan([REPO / "params" / "smoke.yaml", REPO / "params" / "ablations" / "no_align.yaml"]))
    source = "".join(json.loads((folder / NAME).read_text())["cells"][0]["source"])
    assert 'arm: str = "no_align"' in source and "lambda_align: float = 0.0\n" in source
    page = (folder / "README.md").read_text()
    assert "02 to 04 train the arm no_align here" in page and "need the arm namd" in page and "is left out" not in page


def test_the_start_page_says_how_the_other_arm_is_trained_without_a_terminal(copied):
    page = (copied / "README.md").read_text()
    assert "no_align_no_pred is left out until it is trained" in page
    assert "`make lab PROFILE=quick ARM=no_align_no_pred`, run 02 to 04, and come back" in page


def test_what_a_notebook_printed_stays_while_nothing_else_is_new(copied):
    changed(copied / NAME, printed="a result")
    before = (copied / NAME).read_bytes()
    assert write_copy(Plan([QUICK])) == (copied, [])
    assert (copied / NAME).read_bytes() == before


def test_a_notebook_may_hold_megabytes_of_pictures(copied):
    changed(copied / NAME, printed="picture" * 300_000)
    assert write_copy(Plan([QUICK])) == (copied, [])
    changed(copied / NAME, source="my = 'answer'")
    assert write_copy(Plan([QUICK])) == (copied, [NAME])


def test_a_notebook_that_was_run_and_not_edited_is_renewed(copied, write):
    changed(copied / NAME, printed="a result")
    write("02_vae", "new = 1", parameters=CELL)
    assert write_copy(Plan([QUICK])) == (copied, [])
    assert "new = 1" in (copied / NAME).read_text() and "a result" not in (copied / NAME).read_text()


def test_what_a_reader_edited_is_kept_and_named_until_he_deletes_it(copied, write):
    changed(copied / NAME, source="my = 'answer'")
    (copied / "README.md").write_text("my notes")
    (copied / "mine.ipynb").write_text("{}")
    write("03_prior", "new = 1", parameters=CELL)
    for _ in range(2):
        assert write_copy(Plan([QUICK])) == (copied, [NAME, "README.md"])
    assert "answer" in (copied / NAME).read_text() and (copied / "README.md").read_text() == "my notes"
    assert "new = 1" in (copied / "03_prior.ipynb").read_text() and (copied / "mine.ipynb").exists()
    (copied / NAME).unlink()
    assert write_copy(Plan([QUICK])) == (copied, ["README.md"])
    assert "answer" not in (copied / NAME).read_text()


def test_a_copy_that_is_no_notebook_any_more_is_the_readers(copied):
    (copied / NAME).write_text("{")
    assert write_copy(Plan([QUICK])) == (copied, [NAME])


def test_a_folder_of_somebody_else_is_left_alone(home):
    (home / "outputs" / "quick").mkdir(parents=True)
    (home / "outputs" / "quick" / "thesis.txt").touch()
    with pytest.raises(UserError, match="begun by somebody else"):
        write_copy(Plan([QUICK]))


def test_links_to_the_checkout_lead_there_from_the_copy(home, write):
    write("02_vae", "# See [how](../params/README.md) and [03](03_prior.ipynb).", parameters=CELL)
    folder, _ = write_copy(Plan([QUICK]))
    source = "".join(json.loads((folder / NAME).read_text())["cells"][1]["source"])
    link = source.partition("](")[2].partition(")")[0]
    assert os.path.samefile(folder / link, REPO / "params" / "README.md") and "(03_prior.ipynb)" in source


@pytest.fixture
def inside(copied, monkeypatch):
    monkeypatch.chdir(copied)
    forget()
    return copied


def test_where_a_reader_stands_in_a_copy_its_notebooks_decide(inside, home, monkeypatch):
    (inside / "02_vae-Copy1.ipynb").write_text((inside / NAME).read_text())
    assert order.notebook("02") == inside / NAME and order.original("02") == home / NAME
    monkeypatch.chdir(home)
    forget()
    assert order.notebook("02") == home / NAME


def test_a_copy_decides_the_same_as_the_checkout_until_its_code_is_edited(inside, write, monkeypatch, home):
    write("02_vae", "rate = 1", parameters=CELL)
    write_copy(Plan([QUICK]))
    values = dict(seed=1)
    here = Components.of("02", values).key
    assert not order.edited("02") and not study.start("02_vae", scope()).stamp["uncommitted_changes"]
    changed(inside / NAME, source="rate = 2")
    assert order.edited("02") and Components.of("02", values).key != here
    assert study.start("02_vae", scope()).stamp["uncommitted_changes"]
    monkeypatch.chdir(home)
    forget()
    assert Components.of("02", values).key == here


def scope():
    return dict(run_name="quick", seed=23, device="cpu", threads=1, arm="namd")
