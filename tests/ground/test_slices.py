"""What the training of a notebook depends on."""

import pytest

from namd.ground import order, slices, sources

FIT = "history = loop.fit(step, net, lr)"


@pytest.fixture
def notebook(monkeypatch):
    """(*cells) -> the slice of a notebook of these cells and the training cell."""
    def cut(*cells, training=FIT):
        found = [("code", ["parameters"], "lr = 1"), *(("code", [], text) for text in cells),
                 ("code", ["training"], training), ("code", [], "after = net")]
        monkeypatch.setattr(order, "cells", lambda number: found)
        return slices.sliced("02")
    return cut


@pytest.mark.parametrize("cell", [
    "net = build()",
    "from namd.models import net",
    "net.weight = 0",
    "net.weight[0] = 0",
    "net.eval()",
    "widen(net)",
    "new = widen(net)",
    "new = widen([net, 1])",
    "new = widen(it=net)",
    "net.weight.fill_(0)",
    "for x in range(3):\n    net.add(x)",
    "if lr:\n    net = other",
    "with open(x) as net:\n    pass",
    "lr += 1",
    "def step():\n    pass",
    "torch.nn.init.zeros_(net.weight)",
    "for w in net.parameters():\n    w.requires_grad_(False)",
    "for w in net.parameters():\n    w.data.mul_(.5)",
    "[w.requires_grad_(False) for w in net.parameters()]",
    "print(net.load_state_dict(x))",
    "check('x', net.requires_grad_(False))",
    "setattr(net, 'x', 1)",
    "exec('net = 3')",
    "del net.weight",
    "run.p.lr = 3",
])
def test_what_may_change_the_training_is_in(notebook, cell):
    assert cell.splitlines()[0] in notebook(cell)


@pytest.mark.parametrize("cell", [
    "part = net\npart.weight.zero_()",
    "part = net.encoder\npart.requires_grad_(False)",
    "w = net.weight\nwith torch.no_grad():\n    w[0] = 0",
    "import namd.models.losses as losses\nlosses.kl = mine",
    "import torch\ntorch.use_deterministic_algorithms(False)",
    "import torch\ntorch.set_default_dtype(torch.float64)",
])
def test_what_changes_it_by_another_name_or_for_the_whole_process_is_in(notebook, cell):
    assert cell.splitlines()[-1].strip() in notebook(cell, training="history = loop.fit(step, net, lr, losses, torch)")


@pytest.mark.parametrize("cell", [
    "other = 1",
    "print(net)",
    "check('x', net.weight.sum() > 0)",
    "show(net)",
    "display(net)",
    "run.figure(plots.curve(net), 'name')",
    "from namd.evaluation.figures import plots\nfig = plots.curve(net)",
    "import pandas as pd\npd.DataFrame({'net': net})",
    "fig, ax = subplots()\nfor x in y:\n    ax.plot(x)",
    "net.weight.shape",
    "# a comment",
    "n = len(net)",
    "norm = torch.linalg.norm(net)",
    "[net for net in others]",
    "def plot(net):\n    net.x = 1",
    "%matplotlib inline",
])
def test_what_looks_on_is_out(notebook, cell):
    assert notebook(cell) == FIT


def test_a_name_counts_by_its_last_value_and_a_function_by_what_it_reads_when_called(notebook):
    cut = notebook("x = 1", "def step():\n    return x", "print(x)", "x = 2", "y = 3")
    assert "x = 2" in cut and "y = 3" not in cut and "x = 1" not in cut
    assert "z = 4" in notebook("z = 4", "a = z", "def inner():\n    return a", "def step():\n    return inner()")


def test_an_import_is_cut_down_to_what_is_needed(notebook):
    assert "from namd.models import net" in notebook("from namd.models import hub, net").splitlines()


def test_a_comment_or_another_layout_is_the_same_slice(notebook):
    one, two = notebook("net = build(1,\n            2)"), notebook("net = build(1, 2)      # why")
    assert sources.digest(one) == sources.digest(two)


def test_a_notebook_without_the_tag_is_refused(monkeypatch):
    monkeypatch.setattr(order, "cells", lambda number: [("code", [], FIT)])
    with pytest.raises(ValueError, match="training"):
        slices.sliced("02")


def test_the_parameters_of_a_slice_are_those_it_names():
    assert slices.used("f(lr, run.p.batch, save_every)", ["lr", "batch", "seed", "save_every"]) == ["batch", "lr"]
