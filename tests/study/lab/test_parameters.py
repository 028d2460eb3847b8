"""The parameters cell of a copy says what holds, and still says what it means."""

import ast

import pytest

from namd.ground import order
from namd.ground.paths import REPO
from namd.study.lab.parameters import with_values
from namd.study.runner.plan import Plan

CELL = ('steps: int = 160    # optimiser steps\n'
        'lr: float = 5.0e-5  # "rate" = slow\n'
        'arms: list = ["a",\n               "b"]  # rows\n'
        'more: list = [      # of several lines\n    1, 2]\n'
        'name: str = "é"     # of the run\n'
        'on: bool = True')


def test_values_change_and_comments_stay_in_their_column():
    values = dict(steps=6, lr=0.002, arms=["a"], more=[3], name='long "name" here', on=False, unrelated=1)
    told = with_values(CELL, values)
    assert told.splitlines() == [
        'steps: int = 6      # optimiser steps', 'lr: float = 0.002   # "rate" = slow', 'arms: list = ["a"]   # rows',
        'more: list = [3]  # of several lines',
        'name: str = "long \\"name\\" here"  # of the run', 'on: bool = False']


def test_a_value_that_holds_already_stays_as_it_was_written():
    assert with_values(CELL, dict(steps=160, lr=5e-5, arms=["a", "b"], more=[1, 2], name="é", on=True)) == CELL


def comments(source):
    return [line.rpartition(" # ")[2] for line in source.splitlines() if " # " in line]


@pytest.mark.parametrize("number", sorted(order.AFTER))
def test_every_notebook_takes_every_value_of_smoke_and_keeps_its_comments(number):
    plan = Plan([REPO / "params" / "smoke.yaml"])
    values = plan.parameters(plan.asked(number))
    source = next(source for _, tags, source in order.cells(number) if "parameters" in tags)
    told = with_values(source, values)
    assert {node.target.id: ast.literal_eval(node.value) for node in ast.parse(told).body} == values
    assert comments(told) == comments(source)
