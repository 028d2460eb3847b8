import re

import pytest
import yaml

from namd.ground import order, paths
from namd.ground.errors import UserError
from namd.study import params

SOURCES = ("paper", "authors' code", "ours, because", "ours, as above", "AutoRad-Lung")
NUMBERS = sorted(f.stem[:2] for f in order.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def base():
    return yaml.safe_load(params.BASE.read_text())


def test_the_table_is_the_base_file_key_by_key():
    assert set(base()) == set(params.KEYS)


def test_every_line_of_the_base_file_names_its_source():
    lines = [line for line in params.BASE.read_text().splitlines() if re.match(r"\w+:", line)]
    assert len(lines) == len(params.KEYS)
    unsourced = [line for line in lines if not line.partition(" # ")[2].startswith(SOURCES)]
    assert not unsourced, "\n".join(unsourced)


def test_every_layer_in_the_repository_is_valid():
    for file in (paths.REPO / "params").rglob("*.yaml"):
        params.load([file])


def test_a_layer_holds_only_differences_that_the_later_one_wins(tmp_path):
    (tmp_path / "a.yaml").write_text("vae_steps: 5\nseed: 1\n")
    (tmp_path / "b.yaml").write_text("seed: 2\n")
    merged = params.load([tmp_path / "a.yaml", tmp_path / "b.yaml"], ["k_runs=3"])
    assert (merged["vae_steps"], merged["seed"], merged["k_runs"]) == (5, 2, 3)
    assert merged["cond_steps"] == base()["cond_steps"]


@pytest.mark.skipif(not NUMBERS, reason="no notebook yet")
def test_every_key_is_declared_by_a_notebook_and_only_known_keys_are():
    union = set().union(*(order.declared(n) for n in NUMBERS))
    assert union == {key for key in params.KEYS if not key.startswith(("pretrain_", "open_"))}


@pytest.mark.parametrize("number", NUMBERS)
def test_the_parameters_cell_holds_the_quick_values(number):
    quick = params.load([paths.REPO / "params" / "quick.yaml"])
    found = order.declared(number)
    assert found == {name: quick[name] for name in found}


@pytest.mark.parametrize(("pair", "mend"), [
    ("vae_step=3", "did you mean vae_steps?"),
    ("vae_lr=5e-5", "YAML 1.1 needs a dot: write 5.0e-5"),
    ("seed='3'", "leave the quotes out"),
    ("seed=true", "not a whole number"),
    ("seed=1.5", "not a whole number"),
    ("vae_lr=true", "not a number"),
    ("vae_lr=7", "outside 1e-08 .. 1"),
    ("vae_lr=.nan", "outside"),
    ("zero_terminal_snr=1", "write true or false"),
    ("augment=sqare", "Did you mean square?"),
    ("vae_channels=[8, a]", "in the list: 'a' is text, not a number"),
    ("vae_channels=[true]", "in the list: True is not a whole number"),
    ("vae_channels=3", "not a list: write [8, 16]"),
    ("run_name=../elsewhere", "names a folder"),
    ("device=0", "put it in quotes"),
    ("seed", "write -p key=value"),
    ("window_low=400", "window_low must be smaller"),
])
def test_a_wrong_value_is_refused_in_one_sentence_with_the_mend(pair, mend):
    with pytest.raises(UserError, match=re.escape(mend)) as caught:
        params.load([], [pair])
    assert "\n" not in str(caught.value)


def test_a_whole_number_is_taken_as_a_float_where_one_is_expected():
    value = params.load([], ["grad_clip=2"])["grad_clip"]
    assert value == 2.0 and type(value) is float


def test_a_missing_file_lists_the_ones_there_are():
    with pytest.raises(UserError, match="params/quick.yaml"):
        params.load(["params/quik.yaml"])


@pytest.mark.parametrize(("text", "mend"), [("a: b: c\n", "line 1"), ("- 3\n", "no `key: value` lines")])
def test_a_file_that_is_not_key_value_yaml_is_refused(tmp_path, text, mend):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=mend):
        params.load([tmp_path / "x.yaml"])


def test_open_quick_differs_from_quick_in_the_data_alone():
    """One file is one profile, so the settings stand in both."""
    def told(name):
        return yaml.safe_load((paths.REPO / "params" / f"{name}.yaml").read_text(encoding="utf-8"))
    quick, with_open = told("quick"), told("open_quick")
    data = {"run_name", "data_source", "data_delivery", "data_test_share", "phantom_subjects"}
    assert {name for name in quick | with_open if quick.get(name) != with_open.get(name)} <= data
