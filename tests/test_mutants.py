"""The list of mutants still fits the code; `python tests/mutants.py` runs them."""

import mutants


def test_every_mutant_changes_one_place_and_names_tests_that_exist():
    for mutant in mutants.MUTANTS:
        assert (mutants.REPO / mutant.file).read_text(encoding="utf-8").count(mutant.before) == 1, mutant.what
        assert mutant.before != mutant.after
        assert all((mutants.REPO / "tests" / name).is_file() for name in mutant.tests.split()), mutant.what
