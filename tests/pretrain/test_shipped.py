"""The models of outputs/reference/models/: whole, small, as their manifests say, and made by the settings of today."""

import json

import pytest
import torch
from safetensors import safe_open

from namd.ground.marks import sha256
from namd.ground.paths import REPO
from namd.pretrain import command
from namd.ship.folder import MANIFEST
from namd.study import params

SHIPPED = sorted(path.parent for path in command.SHIPPED.glob(f"*/{MANIFEST}"))
STAND_INS = {"small-sd": command.OF_SD, "small-gemma": command.OF_LLM}
MEGABYTE = 2**20


def size(folders):
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*")) / MEGABYTE


def test_the_stand_ins_take_15_megabytes_and_all_of_it_25():
    assert {folder.name for folder in SHIPPED} >= STAND_INS.keys()
    assert size(command.SHIPPED / name for name in STAND_INS) < 15
    assert size([command.SHIPPED]) < 25


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_every_file_has_the_sum_of_its_manifest(folder):
    sums = json.loads((folder / MANIFEST).read_text())["sha256"]
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert there - sums.keys() <= {MANIFEST, "README.md", ".namd"}
    assert {name: sha256(folder / name) for name in sums} == sums


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_weights_are_half_precision_and_finite(folder):
    for file in folder.rglob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():     # noqa: SIM118, this is no dict
                weight = weights.get_tensor(name)
                assert weight.dtype == torch.float16 and weight.isfinite().all(), (file, name)


@pytest.mark.parametrize("name", STAND_INS)
def test_the_settings_of_today_made_it(name):
    manifest = json.loads((command.SHIPPED / name / MANIFEST).read_text())
    p = params.Parameters.part(params.load([REPO / "params/pretrain.yaml"]))
    assert manifest["parameters"] == json.loads(json.dumps(command.settings(p, STAND_INS[name])))
    assert manifest["trained_on"] and (command.SHIPPED / name / "README.md").is_file()


def test_no_parameter_file_draws_a_cohort_of_their_subjects():
    seen = json.loads((command.SHIPPED / "small-sd" / MANIFEST).read_text())["phantom_seed"]
    for file in (REPO / "params").rglob("*.yaml"):
        values = params.load([file])
        assert values["pretrain_seed"] == seen != values["phantom_seed"], file
