"""Statistics, tables and pictures: which may import which, and that no import changes how anything else is drawn."""

import ast
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

from namd.evaluation.figures import plots
from namd.ground.paths import REPO

ROOMS = REPO / "namd" / "evaluation"
MAY_NOT = {"stats": ("tables", "figures"), "tables": ("figures",), "figures": ("tables",)}


def imported(file):
    """Dotted names of what a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("room", MAY_NOT)
def test_arrows_run_one_way(room):
    files = sorted((ROOMS / room).glob("*.py"))
    back = [(file.name, name) for file in files for name in imported(file)
            if name.startswith(tuple(f"namd.evaluation.{other}" for other in MAY_NOT[room]))]
    assert len(files) > 5 and not back


def test_importing_the_figures_changes_no_setting_of_matplotlib():
    code = ("import matplotlib as m, matplotlib.colors as c; before = dict(m.rcParams), dict(c.colorConverter.colors);"
            f"import {', '.join(f'namd.evaluation.figures.{file.stem}' for file in ROOMS.glob('figures/[a-z]*.py'))};"
            "assert before == (dict(m.rcParams), dict(c.colorConverter.colors))")
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False).returncode == 0


def test_the_look_is_there_while_one_draws_and_gone_afterwards():
    with plt.rc_context({"lines.linewidth": 9, "lines.marker": "x"}):
        before = dict(plt.rcParams), dict(plt.matplotlib.colors.colorConverter.colors)
        with plots.look():
            assert plt.rcParams["lines.linewidth"] < 2 and plt.rcParams["lines.marker"] == "None"
        fig = plots.image_grid([[None]])
        assert before == (dict(plt.rcParams), dict(plt.matplotlib.colors.colorConverter.colors))
        assert fig.get_dpi() == 100
        assert plots.finish(plt.figure(), "a figure of one's own").texts[0].get_color() == ".15"


def test_whatever_makes_a_figure_has_the_look():
    for file in sorted(ROOMS.glob("figures/*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "plt.subplots(" in ast.unparse(node):
                assert [ast.unparse(one) for one in node.decorator_list] == ["look()"], (file.name, node.name)
