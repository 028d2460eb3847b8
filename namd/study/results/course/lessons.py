"""What a teacher plans with: of each notebook its goals, its times, what it needs and what it asks."""

import re
from dataclasses import dataclass
from functools import cached_property

from namd.ground import order
from namd.study.results.course.answers import Exercise, exercises
from namd.study.site.write import Chapter

EXERCISE_MINUTES = 10       # ours, a guess: nobody has taken the time of a class
CORE = re.compile(r"\*Reading:\* \d+ minutes; the core, (?P<sections>.+?), takes (?P<minutes>\d+)", re.S)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")      # leads somewhere from the notebook alone
SECTION = r"## {}\n(?P<text>.*?)(?=\n## |\Z)"
COST = re.compile(r"^\| time \| (?P<quick>[^|]+?) \|", re.M)


@dataclass(frozen=True)
class Lesson:
    """One notebook of the series as a lesson."""

    number: str
    chapter: Chapter

    @classmethod
    def of(cls, number):
        """The lesson of notebook `number` as it stands in the checkout."""
        return cls(number, Chapter.open(order.original(number)))

    @property
    def _words(self) -> str:
        return self.chapter.notebook.cells[0].source

    def _section(self, title) -> str:
        found = re.search(SECTION.format(title), self._words, re.S)
        return found["text"].strip() if found else ""

    @property
    def goals(self) -> list[str]:
        """What a student can do afterwards, a sentence each."""
        _, *found = re.split(r"^- ", self._section("What you will learn"), flags=re.M)
        return [plain(" ".join(goal.split())) for goal in found]

    @property
    def needs(self) -> str:
        """What it assumes, in a paragraph."""
        return plain(" ".join(self._section("What you need").split("\n\n")[0].split()))

    @property
    def core(self) -> str:
        """Which sections are the core, and how long they read."""
        found = CORE.search(self._words)
        return f"{' '.join(found['sections'].split())}: {found['minutes']} min" if found else ""

    @property
    def machine(self) -> str:
        """How long `quick` computes on a laptop, as the notebook says."""
        found = COST.search(self._words)
        return found["quick"] if found else ""

    @cached_property
    def exercises(self) -> list[Exercise]:
        """What it asks."""
        return exercises(self.chapter.notebook)

    @property
    def minutes(self) -> int:
        """Minutes of a student: reading, and the exercises."""
        return self.chapter.minutes + EXERCISE_MINUTES * len(self.exercises)


def plain(text) -> str:
    """Markdown without the links that lead somewhere from the place of the notebook alone."""
    return LINK.sub(r"\1", text)


def lessons() -> list[Lesson]:
    """All lessons in the order of the series."""
    return [Lesson.of(number) for number in order.AFTER]
