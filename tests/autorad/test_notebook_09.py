"""Notebook 09's own lines, with settings that its profiles do not have."""

import ast
from types import SimpleNamespace

import pandas as pd
import pytest
import small_text
from transformers import CLIPTextModelWithProjection

from namd.ground import order
from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights
from namd.study.notebook import Run


def toy(folder, **values):
    """The prompts on three nodules of Section 4, by the cell that makes them."""
    own = next(source for _, source in order.code_cells("09") if "\ntoy = " in source)
    imports = next(source for _, source in order.code_cells("09") if "\nimport torch" in source)
    known = order.declared("09") | dict(autorad_text=str(folder)) | values
    lines = [line for line in imports.splitlines() if line.startswith(("import torch", "from namd.autorad import"))]
    exec("\n".join(lines), known)
    known["encoder"] = known["prompts"].torch.nn.Module()
    known["encoder"].width = small_text.tower().config.projection_dim
    exec(own, known)
    return known["toy"]


def test_a_scale_that_is_set_is_the_one_of_the_toy_prompts_too(tmp_path):
    with fresh_weights("alone"):
        CLIPTextModelWithProjection(small_text.tower().config).save_pretrained(tmp_path)
    small_text.tokenizer().save_pretrained(tmp_path)
    assert toy(tmp_path, autorad_scale=20.0).scale == 20
    with pytest.raises(UserError, match="^autorad_scale is 0"):
        toy(tmp_path, autorad_scale=0.0)


@pytest.mark.parametrize("name, made_by, file", [
    ("samples", "05", "samples/namd.npy"),              # a row without images would be left out without a word
    ("truth", "09", "lidc_delivery/truth/truth.parquet")])
def test_what_it_reads_and_cannot_find_is_named_with_who_makes_it(tmp_path, name, made_by, file):
    run = Run.__new__(Run)
    run.root, run.arm, run.p = tmp_path, None, SimpleNamespace(run_name="quick")
    whole = ast.walk(ast.parse("\n".join(source for _, source in order.code_cells("09"))))
    lines = [ast.unparse(line) for line in whole if isinstance(line, ast.Assign)]
    own, = (line for line in lines if line.startswith(f"{name} = "))
    with pytest.raises(UserError, match=f"^Run quick has no {file} yet; notebook {made_by} makes it: "):
        exec(own, order.declared("09") | dict(run=run, pd=pd, delivery=tmp_path / "lidc_delivery", patient=[]))
