"""How the commands read their words: a mistake is one sentence with status 1, a point may be written in three ways."""

import pytest

from namd.__main__ import _arguments, main

PREDICT = ["predict", "--run", "r", "--series", "s", "--out", "o"]


@pytest.mark.parametrize("words", [
    ["--center", "-60.5", "12", "-310"], ["--center", "-60.5,12,-310"], ["--center=-60.5,12,-310"],
    ["--center", "-6.05e1", "12", "-3.1E+2"], ["--center", "-6.05e1,12,-3.1e2"],
])
def test_a_point_is_three_words_or_one_and_may_begin_with_a_minus(words):
    assert _arguments([*PREDICT, *words]).center == [-60.5, 12.0, -310.0]
    assert _arguments(["predict", *words, *PREDICT[1:]]).center == [-60.5, 12.0, -310.0]


@pytest.mark.parametrize(("words", "said"), [
    ([*PREDICT, "--center", "1", "2"], "--center: expected 3 arguments"),
    ([*PREDICT, "--center", "1,,2"], "'' is no number: write three numbers in mm"),
    ([*PREDICT, "--center", "nan", "2", "3"], "'nan' is no number"),
    ([*PREDICT, "--center"], "--center: expected 3 arguments"),
    (PREDICT, "required: --center"),
    (["run"], "required: notebook"),
    (["prdict"], "choose from"),
    ([], "required: command"),
    (["check", "--crad", "a40"], "unrecognized arguments: --crad"),
    (["benchmark", "--repeats", "many"], "invalid int value: 'many'"),
])
def test_a_wrong_word_is_one_sentence(words, said, capsys):
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and said in err and "--help` says" in err
