"""The codes of refusals, as the guide to real data lists them."""

from small_delivery import REPO

from namd.data.refused import REASONS


def test_the_guide_names_every_code_in_its_own_words():
    guide = (REPO / "namd/data/README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in guide.splitlines() if line.startswith("| E")]
    assert {code: reason for code, reason, _ in rows} == REASONS
