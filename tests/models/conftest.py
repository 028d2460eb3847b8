"""A language model that notebook 01 would build, and prompts before it."""

import pytest
from small_llm import parameters, records

from namd.models import llm
from namd.models.prompts import SoftPrompts


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """(model, tokenizer)."""
    path = tmp_path_factory.mktemp("run") / "llm"
    llm.build_llm(path, llm.pretraining_texts(records(40)), parameters())
    return llm.load_llm(path)


@pytest.fixture
def prompts(frozen):
    return SoftPrompts.begin(frozen[0], 3, 2, seed=23)
