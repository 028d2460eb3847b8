"""Every call of namd in notebooks and modules fits its signature, also in lines that no test profile reaches."""

import ast
import importlib
import inspect
from importlib.util import find_spec

import pytest

from namd.ground import order, paths

SOURCES = {number: "\n".join(source for kind, _, source in order.cells(number) if kind == "code")
           for number in order.AFTER}
SOURCES |= {file.relative_to(paths.REPO).as_posix(): file.read_text(encoding="utf-8")
            for file in sorted(paths.REPO.glob("namd/**/*.py"))}


def imported(tree):
    """{name in the source: the thing of namd it stands for}, but for names that are given another meaning."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "namd":
            module = importlib.import_module(node.module)
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found[alias.asname or alias.name] = (importlib.import_module(inner) if not hasattr(module, alias.name)
                                                     and find_spec(inner) else getattr(module, alias.name))
    given = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return {name: thing for name, thing in found.items() if name not in given}


def called(node, known):
    """The function or class that `node`, a name or name.attribute, stands for; None where it is not of the module."""
    if isinstance(node, ast.Attribute):
        owner = called(node.value, known)
        if inspect.ismodule(owner) or inspect.isclass(owner):
            assert hasattr(owner, node.attr), f"{owner.__name__} has no {node.attr}"
            return getattr(owner, node.attr)
    return known.get(node.id) if isinstance(node, ast.Name) else None


def misfits(source):
    """The calls of `source` that their functions would refuse, each with the reason."""
    tree, problems = ast.parse(source), []
    known = imported(tree)
    for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
        target = called(call.func, known)
        if not callable(target) or inspect.isclass(target) and issubclass(target, Exception):
            continue
        open_end = any(isinstance(a, ast.Starred) for a in call.args) or any(not k.arg for k in call.keywords)
        signature = inspect.signature(target)
        bind = signature.bind_partial if open_end else signature.bind
        given = [arg for arg in call.args if not isinstance(arg, ast.Starred)]
        try:
            bind(*given, **{keyword.arg: keyword for keyword in call.keywords if keyword.arg})
        except TypeError as error:
            problems.append(f"{ast.unparse(call)[:90]}: {error}")
    return problems


@pytest.mark.parametrize("name", SOURCES)
def test_every_call_fits_its_signature(name):
    assert not misfits(SOURCES[name])


@pytest.mark.parametrize("call", ["load(1, 2)", "load()", "load(file=1)", "load(*a, b=1)", "table1.clouds(1, 2, b=3)"])
def test_a_call_that_does_not_fit_is_found(call):
    head = "from namd.evaluation.tables import table1\nfrom namd.evaluation.stats.inception import load\n"
    assert len(misfits(f"{head}x = {call} if y else None")) == 1 and not misfits(f"{head}load = 1\nload(1)")
