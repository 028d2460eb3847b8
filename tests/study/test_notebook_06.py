"""A line of notebook 06 that a small choice once broke."""

import ast

import numpy as np
import pytest

from namd.ground import order


@pytest.mark.parametrize("new_runs", [0, 3])
def test_runs_beyond_k_join_those_of_05_and_there_may_be_none(new_runs):
    whole = ast.walk(ast.parse("\n".join(source for _, source in order.code_cells("06"))))
    lines = [line for line in whole if isinstance(line, ast.Assign)]
    extra, = (line for line in lines if ast.unparse(line).startswith("extra = "))
    joined, = (line for line in lines if ast.unparse(line).startswith("prob_shown, *_ = shown_all = "))
    judge = type("Judge", (), dict(prob=lambda self, images: images))()
    torch_like = type("Images", (), dict(numpy=lambda self: np.full(2, 0.5)))
    drawn = [[torch_like()] * (1 + new_runs)] * 2                   # R rows of run 0 and the new ones
    names = dict(np=np, judge=judge, drawn=drawn, n_shown=2, prob_all=np.zeros((2, 4, 5)), chosen=[0, 3])
    exec(ast.unparse(extra) + "\n" + ast.unparse(joined), names)
    assert names["shown_all"].shape == (2, 4 + new_runs, 2)
