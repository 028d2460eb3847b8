"""The parameters as a class: every key says what it is, and a notebook's `p` has its own keys alone."""

import pickle
import sys
from subprocess import run

import pytest
from pydantic import ValidationError

from namd.ground import paths
from namd.ground.errors import UserError
from namd.study import params
from namd.study.params import Parameters

CELL = dict(run_name="toy", seed=23, vae_lr=1, vae_channels=[8, 8, 16])


def test_every_key_says_what_it_means_and_a_number_its_bounds():
    for key, rule in Parameters.model_json_schema()["properties"].items():
        assert rule["description"].strip(), key
        rule = rule.get("items", rule)
        assert rule["type"] not in ("integer", "number") or {"minimum", "maximum", "description"} <= set(rule), key


def test_a_notebooks_parameters_are_those_of_its_cell_in_their_type_and_cannot_be_set():
    p = params.declared(CELL | {"np": object(), "_": 3}, "the parameters cell of a notebook")
    assert vars(p) == CELL and type(p.vae_lr) is float
    with pytest.raises(AttributeError, match="k_runs"):
        _ = p.k_runs
    with pytest.raises(ValidationError, match="frozen"):
        p.seed = 4


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\nb"])
@pytest.mark.parametrize("key", ["data_delivery", "vae_path", "llm_path", "unet_path", "eval_inception", "flux_path"])
def test_a_name_that_no_file_can_have_is_refused(key, name):
    with pytest.raises(UserError, match=f"{key}: .* names a file or folder: write it in printable characters"):
        params.validate(key, name, "here")
    assert params.validate(key, "donn\u00e9es/\u00e9t\u00e9 2", "here") == "donn\u00e9es/\u00e9t\u00e9 2"


def test_a_worker_process_gets_them_as_they_are():
    p = params.declared(CELL, "here")
    assert vars(pickle.loads(pickle.dumps(p))) == vars(p)


@pytest.mark.parametrize(("change", "words"), [
    (dict(vae_lr="5e-5"), "the parameters cell of 02: vae_lr: '5e-5' is text, not a number. YAML 1.1 needs a dot"),
    (dict(vae_channels=[]), "is empty: write"),
    (dict(vae_channels=[8]), "a small VAE has 3 or 4 widths"),
    (dict(beta_start=0.5, beta_end=0.1), "larger than beta_end"),
    (dict(run_name="\ud800"), "names a folder"),
])
def test_a_cell_is_refused_in_the_words_of_a_file(change, words):
    with pytest.raises(UserError, match=words):
        params.declared(CELL | change, "the parameters cell of 02")


def test_parameters_are_read_without_torch():
    code = "import sys, namd.study.params as params; params.load(); sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], cwd=paths.REPO).returncode == 0
