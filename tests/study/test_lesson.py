"""What a notebook shows below a figure."""

import pytest

from namd.study import lesson
from namd.training import parallel


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(lesson, "display", lambda thing, **about: found.append((thing, about)))
    return found


def test_sentences_are_one_paragraph_and_an_empty_one_is_left_out(shown):
    lesson.told("One.", "", "Two.")
    lesson.told("")
    assert [thing.data for thing, _ in shown] == ["**What came out.** One. Two."]


def test_a_drawing_is_read_out_by_its_title(shown):
    lesson.drawing("<svg xmlns='http://www.w3.org/2000/svg'><title>A &amp; B</title></svg>")
    assert shown[0][1] == {"metadata": {"image/svg+xml": {"alt": "A & B"}}}


def test_one_process_of_several_shows_nothing(shown, monkeypatch):
    monkeypatch.setattr(parallel, "world", lambda: 2)
    lesson.told("One.")
    lesson.drawing("<svg xmlns='http://www.w3.org/2000/svg'><title>A</title></svg>")
    assert not shown
