"""The bundles of a class: no answer in one, every answer in the other, both read and run without a repository."""

import json
import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest
from browser import WIDTHS, folds, needs_browser, opened, too_wide, violations
from bs4 import BeautifulSoup

from namd.ground import order
from namd.ground.paths import REPO
from namd.study.results.course.answers import exercises
from namd.study.results.course.bundle import READING
from namd.study.results.course.command import write_course
from namd.study.results.reading import KEPT
from namd.study.runner.plan import Plan

SMOKE = REPO / "params" / "smoke.yaml"
DOCUMENTS = {"student": ["syllabus", "rubric"], "teacher": ["syllabus", "rubric", "guide"]}
TEXT = {".ipynb", ".html", ".md"}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """outputs/course/, of the notebooks that the repository keeps."""
    outputs = tmp_path_factory.mktemp("outputs")
    patch = pytest.MonkeyPatch()
    patch.setenv("NAMD_OUTPUTS", str(outputs))
    write_course(Plan([SMOKE]))
    patch.undo()
    return outputs / "course"


def letters(text):
    """What of a text survives any layout."""
    return re.sub(r"[\W_]+", "", text)


def words_of(file):
    """All words of a notebook, outputs included, of a page or of a document."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".html":
        return letters(BeautifulSoup(text, "html.parser").get_text())
    if file.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        printed = [str(output) for cell in cells for output in cell.get("outputs", [])]
        return letters("".join(["".join(cell["source"]) for cell in cells] + printed).replace("\\n", ""))
    return letters(text)


def answers():
    """Every answer in the checkout's notebooks and in the executed ones, its first and last words.

    A question may say the check that the answer ends in.
    """
    for file in [*map(order.original, order.AFTER), *KEPT.glob("*.ipynb")]:
        for exercise in exercises(nbformat.read(file, as_version=4)):
            asked = letters(exercise.question)
            for answer in exercise.answers:
                plain = letters(re.sub("```(python|text)?", "", re.sub(r"\$[^$]*\$", "", answer)))
                pieces = (plain[:40], plain[-40:])
                yield from ((f"{file.stem} {exercise.number}", piece) for piece in pieces if piece not in asked)


def leaks(files):
    """(file, exercise) of each answer that a file holds."""
    found = []
    told = [pair for pair in answers() if len(pair[1]) > 20]
    for file in files:
        text = words_of(file)
        found += [(file.name, where) for where, answer in told if answer in text]
    return found


def test_no_answer_is_in_the_students_bundle_outputs_included(course):
    files = [file for file in (course / "student").rglob("*") if file.suffix in TEXT and "namd" not in file.parts]
    assert len(files) > 30
    assert leaks(files) == []
    sources = [file for file in (course / "student").rglob("[0-9][0-9]_*") if file.suffix not in (".ipynb", ".html")]
    assert sources == [] and not (course / "student" / "guide.md").exists()


def test_every_answer_is_in_the_guide_and_on_the_teachers_pages(course):
    guide = words_of(course / "teacher" / "pages" / "guide.html")
    asked = 0
    for number in order.AFTER:
        for exercise in exercises(nbformat.read(order.original(number), as_version=4)):
            asked += 1
            assert exercise.answers, f"{number}, exercise {exercise.number} has none"
            for answer in exercise.answers:
                if answer.startswith("```python"):
                    assert letters(answer.removeprefix("```python")) in guide, f"{number} {exercise.number}"
    assert asked > 30
    soup = BeautifulSoup((course / "teacher" / "pages" / "guide.html").read_text(), "html.parser")
    assert len(soup("details")) == asked
    assert len(leaks([course / "teacher" / "pages" / "guide.html"])) > asked       # it would be found


def test_the_syllabus_has_a_line_and_goals_for_every_notebook(course):
    text = (course / "student" / "syllabus.md").read_text()
    row = r"^\| (\d\d) · .* \| (\d+)\smin \| sections .+: \d+\smin \| (\d) \| (\d+)\smin \| .+ \|$"
    rows = re.findall(row, text, re.M)
    assert [row[0] for row in rows] == list(order.AFTER)
    assert all(int(whole) == int(read) + 10 * int(n) for _, read, n, whole in rows)
    assert text.count("*You need:*") == len(order.AFTER) and "](#" not in text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_of_a_bundle_leads_somewhere(course, name):
    for page in (course / name / "pages").glob("*.html"):
        soup = BeautifulSoup(page.read_text(), "html.parser")
        links = {link["href"].partition("#")[0] for link in soup("a") if not link["href"].startswith("http")}
        assert [link for link in links - {""} if not (page.parent / link).exists()] == []
    for document in (course / name).glob("*.md"):
        prose = re.sub("```.*?```", "", document.read_text(), flags=re.S)
        links = re.findall(r"\]\((?!https?:)([^)#]+)", prose)
        assert [link for link in links if not (document.parent / link).exists()] == []


@needs_browser
@pytest.mark.parametrize(("name", "width"), zip(DOCUMENTS, WIDTHS, strict=True))
def test_the_pages_of_a_bundle_are_read_offline_on_a_phone_and_a_screen(course, name, width):
    """axe reads a page on the phone in one bundle and on the screen in the other, which holds the same page."""
    pages = sorted((course / name / "pages").glob("*.html"))
    assert {page.stem for page in pages} >= {"index", "00_start_here", "07_ablations", *DOCUMENTS[name]}
    with opened() as go:
        for file in pages:
            page = go(file, width)
            assert all(not is_open and words for is_open, words in folds(page)), file.name
            assert violations(page) == [] and page.heard == [], file.name
            for width_now in WIDTHS:
                page.set_viewport_size(dict(width=width_now, height=900))
                assert not too_wide(page), (file.name, width_now)
            page.close()


def test_an_unpacked_bundle_runs_its_own_notebooks_into_its_own_outputs(course, tmp_path):
    """The student's; the teacher's holds the same package, and the checkout's own notebooks, which the series runs."""
    with zipfile.ZipFile(course / "namd-student.zip") as archive:
        archive.extractall(tmp_path)
    home = tmp_path / "namd-student"
    environ = {key: value for key, value in os.environ.items() if key != "NAMD_OUTPUTS"} | {"PYTHONPATH": str(home)}
    done = subprocess.run([sys.executable, "-m", "namd", "run", "00", "--params", "params/smoke.yaml"], cwd=home,
                          env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = (home / "outputs" / "smoke" / "runs").glob("*.json")
    assert json.loads(record.read_text())["commit"] == "unknown"


def test_the_teachers_zip_holds_the_same_package_and_the_notebooks_of_the_checkout(course):
    with zipfile.ZipFile(course / "namd-student.zip") as one, zipfile.ZipFile(course / "namd-teacher.zip") as other:
        sums = [{file.filename.partition("/")[2]: file.CRC for file in archive.infolist()} for archive in (one, other)]
        differ = {name for name in sums[0].keys() | sums[1].keys() if sums[0].get(name) != sums[1].get(name)}
        told = ("notebooks/", READING, "pages/", "README.md", "syllabus.md", "rubric.md", "guide.md")
        assert not {name for name in differ if not name.startswith(told)} and "namd/ground/paths.py" in sums[1]
        for number in order.AFTER:
            name = f"notebooks/{order.original(number).name}"
            held = nbformat.reads(other.read(f"namd-teacher/{name}").decode(), as_version=4)
            assert held == nbformat.read(order.original(number), as_version=4) and name in differ
