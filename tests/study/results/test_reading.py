"""`python -m namd reading`: a run's executed notebooks, or those that the repository keeps."""

import json
import re

import nbformat
import pandas as pd
import pytest

from namd.ground import paths
from namd.ground.errors import UserError
from namd.ground.order import NOTEBOOKS
from namd.study.results.reading import KEPT, write_reading
from namd.study.results.reference.notebooks import LARGEST, write_notebooks
from namd.study.runner.plan import Plan

v4 = nbformat.v4
SMOKE = paths.REPO / "params" / "smoke.yaml"
MACHINE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|usr|var|opt|mnt|Users|private)/\w|[A-Z]:\\\\\w|file://")
NAMES = [file.stem for file in sorted(NOTEBOOKS.glob("0[1-4]_*.ipynb"))]


def solution(text):
    output = v4.new_output("stream", name="stdout", text=text)
    return v4.new_code_cell("print(1)", metadata={"tags": ["solution"]}, outputs=[output])


@pytest.fixture
def run(home):
    """A smoke run of which 01 and 02 have been executed."""
    root = home / "outputs" / "smoke"
    for name, folder in ((NAMES[0], root), (NAMES[1], root / "arms" / "namd")):
        for part in ("notebooks", "runs"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        cells = [v4.new_markdown_cell(f"# {name[:2]} · Title\nSays.", id="a"),
                 v4.new_code_cell("1", metadata={"papermill": {"start_time": "noon"}, "tags": ["x"]}),
                 v4.new_markdown_cell("#### Solution", metadata={"tags": ["solution"]}), solution("SECRET\n")]
        nb = v4.new_notebook(cells=cells, metadata={"papermill": {"input_path": "/home/me/x.ipynb"}})
        nbformat.write(nb, folder / "notebooks" / f"{name}.ipynb")
        told = dict(notebook=name, run_name="smoke", digest="d1", commit="c1", uncommitted_changes=False, made=[],
                    synthetic=True)
        (folder / "runs" / f"{name[:2]}.json").write_text(json.dumps(told))
    return root


def test_the_site_of_a_run_has_the_notebooks_of_its_main_arm(run, capsys):
    write_reading(Plan([SMOKE]))
    pages = {file.name for file in (run / "reading").glob("*.html")}
    assert pages == {"index.html", f"{NAMES[0]}.html", f"{NAMES[1]}.html"}
    assert "Phantom data" in (run / "reading" / "index.html").read_text()
    assert "outputs/smoke/reading/index.html" in capsys.readouterr().out


def test_a_page_of_the_site_that_was_edited_is_not_replaced(run):
    write_reading(Plan([SMOKE]))
    (run / "reading" / "index.html").write_text("a teacher's")
    with pytest.raises(UserError, match="index.html was not written by this program, or was changed"):
        write_reading(Plan([SMOKE]))


def test_without_a_run_the_site_shows_what_the_repository_keeps(home, capsys):
    write_reading(Plan([SMOKE]))
    written = {file.stem for file in (home / "outputs" / "reading").glob("*.html")} - {"index"}
    assert written == {file.stem for file in KEPT.glob("*.ipynb")} and len(written) > 6
    assert "Run smoke has no executed notebook yet" in capsys.readouterr().out


def test_what_is_kept_says_its_commit_and_no_machine_and_folds_its_answers(run, tmp_path):
    before = tmp_path / "before"
    before.mkdir()
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# 08 · Old\n")]), before / "08_old.ipynb")
    assert write_notebooks(Plan([SMOKE]), run, before, tmp_path / "kept") == ["08_old.ipynb"]
    text = (tmp_path / "kept" / f"{NAMES[1]}.ipynb").read_text()
    nb = nbformat.reads(text, as_version=4)
    assert nb.metadata["namd"] == dict(run_name="smoke", commit="c1", digest="d1")
    assert "papermill" not in text and not MACHINE.search(text) and nb.cells[1].metadata == {"tags": ["x"]}
    assert nb.cells[2].source.startswith("<details><summary>Solution in code</summary>")
    assert "```text\nSECRET\n```" in nb.cells[2].source and len(nb.cells) == 3
    assert f"]({NAMES[0]}.ipynb), 1 min: Says." in (tmp_path / "kept" / "README.md").read_text()


def test_a_notebook_that_failed_is_not_kept(run, tmp_path):
    file = run / "notebooks" / f"{NAMES[0]}.ipynb"
    nb = nbformat.read(file, as_version=4)
    nb.cells[1].outputs = [v4.new_output("error", ename="E", evalue="x", traceback=["x"])]
    nbformat.write(nb, file)
    with pytest.raises(UserError, match="holds a cell that failed"):
        write_notebooks(Plan([SMOKE]), run, tmp_path / "before", tmp_path / "kept")


COMMITTED = sorted(KEPT.glob("*.ipynb"))


def test_the_kept_series_is_whole_and_small():
    assert [file.name[:2] for file in COMMITTED][:8] == ["00", "01", "02", "03", "04", "05", "06", "07"]
    assert sum(file.stat().st_size for file in COMMITTED) <= LARGEST


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: file.stem)
def test_a_kept_notebook_is_of_the_references_commit_without_error_or_machine(file):
    text = file.read_text(encoding="utf-8")
    nb = nbformat.reads(text, as_version=4)
    stamp = nb.metadata["namd"]
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    assert not MACHINE.search(text) and "hostname" not in text
    assert [output for output in outputs if output.output_type == "error"] == []
    assert any(f"commit {stamp['commit']}" in output.get("text", "") for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [cell for cell in nb.cells if "solution" in cell.metadata.get("tags", [])]
    sources = pd.read_csv(KEPT.parent / stamp["run_name"] / "sources.csv", keep_default_na=False)
    made = sources[sources["notebook"] == file.stem]
    assert made.empty or (stamp["commit"], stamp["digest"]) in set(zip(made["commit"], made["digest"], strict=True))
