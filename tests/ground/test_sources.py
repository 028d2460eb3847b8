"""The code that decides a result: found through imports, and the same for another docstring, comment or layout."""

import pytest

from namd.ground import paths, sources


@pytest.fixture
def package(tmp_path, monkeypatch):
    """(module, text) -> writes a module of a namd of its own."""
    monkeypatch.setattr(paths, "REPO", tmp_path)

    def write(module, text):
        file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in sources.SETTLE:
        write(name, "")
    return write


def test_imports_are_followed_through_modules_and_study_is_left_out(package):
    package("namd.a", "def f():\n    from namd import b\n")
    package("namd.b", "import namd.study.notebook\n")
    package("namd.c", "")
    package("namd.study.notebook", "")
    assert set(sources.code("namd.a")) == {"namd.a", "namd.b", *sources.SETTLE}
    assert set(sources.imported("from namd.a import f\nimport numpy")) == {"namd.a", "namd.a.f"}


def test_a_module_that_is_found_by_name_counts_with_all_its_neighbours(package):
    package("namd.a", 'import importlib\nmade = importlib.import_module(f"namd.many.{name}").System\n')
    package("namd.many.one", "")
    package("namd.many.two", "from namd import c\n")
    package("namd.c", "")
    assert set(sources.code("namd.a")) == {"namd.a", "namd.many.one", "namd.many.two", "namd.c", *sources.SETTLE}


def test_a_package_counts_with_its_own_init(package):
    package("namd.many.__init__", "x = 1")
    package("namd.many.one", "")
    assert "namd.many" in sources.code("namd.many.one")


@pytest.mark.parametrize("text, same", [
    ('"""Other words."""\ndef f(x):\n    """More."""\n    # why\n    return (x +\n            1)\n', True),
    ("def f(x):\n    return x + 1\n", True),
    ('def f(x):\n    "Says."\n    return x + 2\n', False),
    ('def f(x):\n    return x + 1\n"""no docstring here"""\n', False),
], ids=["docstring, comment, layout", "none", "code", "a string elsewhere"])
def test_only_what_is_done_counts(package, text, same):
    package("namd.a", '"""Words."""\ndef f(x):\n    """Say."""\n    return x + 1\n')
    before = sources.code("namd.a")
    package("namd.a", text)
    assert (sources.code("namd.a") == before) is same


def test_what_settles_determinism_counts_for_every_module(package):
    package("namd.a", "")
    before = sources.code("namd.a")
    package("namd.ground.process", "import torch")
    assert sources.code("namd.a") != before


def test_the_parameters_that_decide_are_those_that_are_read(package):
    package("namd.a", "from namd import b\ndef f(self, p, q):\n    return self.p.one, p.two, q.three, p.data_workers\n")
    package("namd.b", "def g(params):\n    return params.four\n")
    declared = ["one", "two", "three", "four", "five", "threads", "data_workers"]
    assert sources.deciding(["namd.a"], declared) == ["four", "one", "threads", "two"]


def test_a_parameter_that_is_read_by_a_word_counts(package):
    package("namd.a", 'NAMES = ("one", "two")\ndef f(p):\n    return {name: getattr(p, name) for name in NAMES}\n')
    assert sources.deciding(["namd.a"], ["one", "two", "three"]) == ["one", "two"]


def test_the_words_of_a_refusal_decide_nothing_and_whether_there_is_one_does():
    code = "def f(x):\n    if x:\n        raise UserError({})\n"
    assert sources.digest(code.format("'no'")) == sources.digest(code.format("f'no {x}, because'"))
    assert sources.digest(code.format("'no'")) != sources.digest("def f(x):\n    if x:\n        pass\n")
    assert sources.digest(code.format("'no'").replace("UserError", "RefusedError")) != sources.digest(
        code.format("'yes'").replace("UserError", "RefusedError"))       # its words stand in refused.csv
