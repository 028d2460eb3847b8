"""The house: arrows between rooms run one way, files go in no circle, and code says one thing at a time."""

import ast
from graphlib import TopologicalSorter

import pytest

from namd.ground.paths import REPO

FLOORS = [("ground",), ("data", "training"), ("models",), ("autorad", "forecasters"), ("evaluation",), ("study",),
          ("ship",), ("importing", "predict", "pretrain", "rehearse"), ("commands",),
          ("__main__",)]      # a room imports from rooms below it
INSIDE = {"data": [("images", "refused"), ("dicom",), ("nlst",), ("lidc", "open"), ("phantom",), ("leakage",)],
          "evaluation": [("stats",), ("figures", "tables")]}
FILES = sorted(REPO.glob("namd/**/*.py"))
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def module(file):
    return ".".join(file.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(file): file for file in FILES}
TREES = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}


def imported(name):
    """The modules of namd that one of them imports, in whatever line."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name} imports from its neighbours by dots, which no arrow shows")
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & MODULES.keys() or {node.module}
    return (found & MODULES.keys()) - {name, "namd"}


ARROWS = {name: imported(name) for name in MODULES}


def height(name, floors, depth):
    """The floor of a module in `floors`, by the part of its name at `depth`; None where it is on none."""
    parts = name.split(".")
    room = parts[depth] if len(parts) > depth else None
    return next((i for i, rooms in enumerate(floors) if room in rooms), None)


def back_arrows(floors, depth, below):
    for name, targets in ARROWS.items():
        for target in targets:
            if not (name.startswith(below) and target.startswith(below)):
                continue
            here, there = height(name, floors, depth), height(target, floors, depth)
            same_room = name.split(".")[depth] == target.split(".")[depth]
            if None not in (here, there) and not same_room and here <= there:
                yield f"{name} -> {target}"


def test_arrows_between_rooms_run_one_way():
    assert {name.split(".")[1] for name in MODULES if "." in name} == {room for floor in FLOORS for room in floor}
    assert list(back_arrows(FLOORS, 1, "namd.")) == []


@pytest.mark.parametrize("room", INSIDE)
def test_arrows_inside_a_room_run_one_way(room):
    assert list(back_arrows(INSIDE[room], 2, f"namd.{room}.")) == []


def test_files_and_folders_go_in_no_circle():
    TopologicalSorter(ARROWS).prepare()
    rooms = {}
    for name, targets in ARROWS.items():
        own = MODULES[name].parent
        rooms.setdefault(own, set()).update(MODULES[target].parent for target in targets)
    TopologicalSorter({room: others - {room} for room, others in rooms.items()}).prepare()


@pytest.mark.parametrize("room", sorted({file.parent for file in FILES}))
def test_a_room_says_what_it_holds(room):
    assert ast.get_docstring(TREES[module(room / "__init__.py")])


def lines_of_code(function):
    """Lines of a function without its head, whose arguments may stand in a column, and without its docstring."""
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    return function.end_lineno - first.lineno + 1


@pytest.mark.parametrize("name", MODULES)
def test_a_file_is_one_idea_and_a_function_one_screen(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 250
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions if lines_of_code(function) > 40] == []


def packed(node):
    """Whether a statement assigns a tuple to a tuple, or does several acts as one tuple."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
        return any(isinstance(target, ast.Tuple) for target in node.targets)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple)


def nested(node):
    """Whether a comprehension has several clauses or holds another one."""
    return isinstance(node, COMPREHENSIONS) and (len(node.generators) > 1 or any(
        isinstance(inner, COMPREHENSIONS) for inner in ast.walk(node) if inner is not node))


def test_one_act_a_line():
    nodes = [node for tree in TREES.values() for node in ast.walk(tree)]
    statements = sum(isinstance(node, ast.stmt) for node in nodes)
    assert sum(map(packed, nodes)) <= 0.5 * statements / 1000    # at first 38; edm 0, k-diffusion 15, Sybil 10
    assert sum(map(nested, nodes)) <= 0.5 * statements / 1000    # at first 7; others 0 to 1
