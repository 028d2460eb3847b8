"""The documents: links that lead somewhere, commands that exist, a README of one page."""

import re

import pytest

from namd.ground.paths import REPO

KEPT = ("outputs/reference/README.md",)         # written by a command, tested beside it
DOCUMENTS = sorted(file for folder in ("", "namd", "params", "tests", "outputs/reference/models")
                   for file in (REPO / folder).glob("*.md" if not folder else "**/*.md")
                   if "small-" not in str(file) and str(file.relative_to(REPO)) not in KEPT)
WORDS = 1000


def fenced_and_inline(text):
    """What stands in code blocks and between backticks."""
    blocks = re.findall(r"```.*?\n(.*?)```", text, flags=re.S)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))])


def named(document):
    return str(document.relative_to(REPO))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_exists(document):
    said = fenced_and_inline(document.read_text())
    targets = set(re.findall(r"^([\w/%. -]+):(?!=)", (REPO / "Makefile").read_text(), flags=re.M))
    known = {word for line in targets for word in line.split()}
    assert set(re.findall(r"(?:^|\n)make ([a-z][\w-]*)", said)) - known == set()
    commands = re.findall(r'_add\(commands, "(\w+)"', (REPO / "namd" / "__main__.py").read_text())
    assert set(re.findall(r"-m namd ([a-z]+)\b", said)) - set(commands) == set()


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if "namd" in each.relative_to(REPO).parts], ids=named)
def test_what_a_guide_calls_stands_in_the_package(document):
    source = "\n".join(file.read_text() for file in (REPO / "namd").rglob("*.py"))
    called = re.findall(r"`[\w.]*?(\w+)\(", document.read_text())
    based_on = re.findall(r"`class (\w+)|`\w+\(([A-Z]\w+)\)`", document.read_text())
    names = {*called, *filter(None, sum(based_on, ()))}
    assert [name for name in sorted(names) if not re.search(rf"\b(def|class) {name}\b", source)] == []


def test_readme_fits_a_page_and_has_a_picture_and_three_doors():
    text = (REPO / "README.md").read_text()
    assert len(text.split()) <= WORDS
    assert text.count("![") == 1
    for door in ("reader", "researcher", "teacher"):
        assert f"**The {door}**" in text


def test_the_guides_of_the_rooms_are_reached_from_the_front():
    text = (REPO / "README.md").read_text()
    for guide in ("namd/README.md", "namd/study/README.md", "namd/data/README.md", "namd/predict/README.md",
                  "params/README.md", "outputs/reference/README.md", "outputs/reference/models/README.md",
                  "CONTRIBUTING.md", "CITATION.cff"):
        assert f"({guide})" in text
