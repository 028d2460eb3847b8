"""Artefacts beside their keys: what was finished stays until its successor is there, and comes back when asked for."""

import pytest

from namd.ground import files, marks
from namd.ground.errors import UserError
from namd.ground.keys import Keyed, key


def make(folder, name, content):
    """The artefact `a` of this key, made if it is not there; returns whether it had to be made."""
    artefact = Keyed(folder / "a", name)
    if artefact.current():
        return False
    artefact.set_aside()
    with files.replacing(artefact.path) as aside:
        write(aside, content)
    artefact.sign()
    return True


def write(path, content):
    if isinstance(content, dict):
        path.mkdir()
        for name, text in content.items():
            (path / name).write_text(text)
    else:
        path.write_text(content)


@pytest.fixture(params=[False, True], ids=["file", "folder"])
def content(request):
    """(text) -> what an artefact holds, a file or a folder."""
    return (lambda text: {"x": text, "y": text}) if request.param else str


def read(folder):
    path = folder / "a"
    return (path / "x").read_text() if path.is_dir() else path.read_text()


def test_what_was_made_under_another_key_comes_back(tmp_path, content):
    assert make(tmp_path, "one", content("1")) and make(tmp_path, "two", content("2"))
    assert not make(tmp_path, "one", None) and read(tmp_path) == "1"
    assert not make(tmp_path, "two", None) and read(tmp_path) == "2"
    assert marks.changed(tmp_path / "a") is None and marks.foreign(tmp_path / "a") is None


def test_only_one_generation_is_kept(tmp_path, content):
    for name in "1234":
        assert make(tmp_path, name, content(name))
        kept = list((tmp_path / ".previous").glob("*-a")) if name != "1" else []
        assert len(kept) == (name != "1")
    assert not make(tmp_path, "3", None) and make(tmp_path, "1", content("1"))


def test_a_finished_one_stays_while_its_successor_is_not(tmp_path, content):
    make(tmp_path, "one", content("1"))
    for _ in range(3):                      # the maker is killed again and again
        later = Keyed(tmp_path / "a", "two")
        assert not later.current()
        later.set_aside()
        write(later.path, content("half")) if not later.path.exists() else None
    files.remove(tmp_path / "a")
    assert not make(tmp_path, "one", None) and read(tmp_path) == "1"


def test_a_missing_artefact_or_one_without_a_mark_is_not_current(tmp_path, content):
    make(tmp_path, "one", content("1"))
    files.remove(tmp_path / "a")
    assert make(tmp_path, "one", content("1"))
    (tmp_path / "a.key").unlink()
    assert not Keyed(tmp_path / "a", "one").current()


def test_a_finished_one_that_was_edited_is_not_moved(tmp_path):
    make(tmp_path, "one", "1")
    (tmp_path / "a").write_text("a user's")
    with pytest.raises(UserError, match="changed or damaged"):
        Keyed(tmp_path / "a", "two").set_aside()
    assert read(tmp_path) == "a user's"


def test_a_key_moves_with_each_of_its_parts():
    parts = dict(values={"lr": 1, "save_every": 1}, code={"namd.a": "1"}, reads={"cohort": "1"})
    others = [parts | {name: {**parts[name], "x": 2}} for name in parts]
    assert len({key(**each) for each in [parts, *others]} | {key(*parts.values(), "given")}) == 5
    assert key(**parts) == key(**parts | dict(values={"lr": 1, "save_every": 9}))
