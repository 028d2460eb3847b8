"""The models of outputs/reference/models/: whole, small, as their manifests say, and made by the settings of today."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from namd.autorad.encoders import LITE0, load_encoder
from namd.autorad.texts import load_text
from namd.data.images import window
from namd.data.phantom.law import draw_subjects
from namd.data.report import report_texts
from namd.ground.marks import sha256
from namd.ground.paths import REPO
from namd.models.llm import eos_states, load_llm
from namd.models.vae import load_vae, moments
from namd.pretrain import command, encoders, told
from namd.pretrain.images import draw_image
from namd.pretrain.llm import draw_records
from namd.pretrain.nodules import draw_nodules
from namd.ship.folder import MANIFEST
from namd.study import params

SHIPPED = sorted(path.parent for path in command.SHIPPED.glob(f"*/{MANIFEST}"))
STAND_INS = {"small-sd": told.OF_SD, "small-gemma": told.OF_LLM, "small-aimv2": told.OF_ENCODER,
             "small-contrastive": told.OF_ENCODER, "small-clip": told.OF_TEXT}
MEGABYTE = 2**20


def size(folders):
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*")) / MEGABYTE


def test_the_stand_ins_take_17_megabytes_and_all_of_it_25():
    """The five of them, AutoRad-Lung's three in 2.5; what is left of 25 is the trained pipeline's."""
    assert {folder.name for folder in SHIPPED} >= STAND_INS.keys() == command.MODELS.keys()
    assert size(command.SHIPPED / name for name in STAND_INS) < 17
    assert size(command.SHIPPED / name for name in STAND_INS if name not in ("small-sd", "small-gemma")) < 2.5
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
    assert manifest["parameters"] == json.loads(json.dumps(told.settings(p, STAND_INS[name])))
    assert manifest["trained_on"] and (command.SHIPPED / name / "README.md").is_file()


def test_no_parameter_file_draws_a_cohort_of_their_subjects():
    seen, = {json.loads((command.SHIPPED / name / MANIFEST).read_text())["phantom_seed"]
             for name in STAND_INS.keys() - {"small-gemma"}}
    for file in (REPO / "params").rglob("*.yaml"):
        values = params.load([file])
        assert values["pretrain_seed"] == seen != values["phantom_seed"], file


def test_no_channel_of_the_latent_is_empty():
    """An empty one has the posterior N(0, 1): half of the first shipped VAE's were, and lost the spicules."""
    rows = draw_subjects(64, 5).reset_index().to_dict("records")
    images = torch.stack([torch.from_numpy(window(draw_image(row, 5, 64), -1000, 400)) for row in rows])
    mean, std = moments(load_vae(command.SHIPPED / "small-sd"), images.unsqueeze(1))
    assert std.mean((0, 2, 3)).max() < 0.1 and mean.std((0, 2, 3)).min() > 0.5


def test_the_state_at_eos_holds_the_record():
    """A line through it, fitted on 600 records that nobody has, reads 200 others; .03 of sex was read once."""
    records = draw_records(800, "shipped").dropna().query("sct_margins <= 3 and sct_pre_att <= 3")
    told = {"male": records.gender == 1, "solid": records.sct_pre_att == 1, "part solid": records.sct_pre_att == 3,
            "spiculated": records.sct_margins == 1, "emphysema": records.diagemph == 1}
    with torch.no_grad():
        states = eos_states(*load_llm(command.SHIPPED / "small-gemma"), report_texts(records))[:, 0].numpy()
    n = len(records) * 3 // 4
    for name, truth in told.items():
        line = RidgeCV([.1, 1, 10]).fit(states[:n], truth[:n])
        assert r2_score(truth[n:], line.predict(states[n:])) > 0.7, name


@pytest.fixture(scope="module")
def nodules(tmp_path_factory):
    """Nodules of subjects that no small model has seen."""
    p = SimpleNamespace(pretrain_subjects=250, pretrain_seed=5, phantom_eps=.45, phantom_gmax=.8, phantom_null="none",
                        data_workers=1)
    return draw_nodules(tmp_path_factory.mktemp("nodules") / "nodules.npy", "key", p, lambda *a, **k: None)


def in_equal_shares(label3, n):
    """Places of the first n of each class, where guessing is right in a third."""
    return np.concatenate([np.flatnonzero(label3 == label)[:n] for label in range(3)])


@pytest.mark.parametrize("name", ["small-aimv2", "small-contrastive"])
def test_an_encoder_sees_what_a_class_hangs_on_and_its_text_tower_says_it(nodules, name):
    """Random weights do not reach the share of the largest class, .54."""
    z = encoders.embed(load_encoder(command.SHIPPED / name), nodules)
    text, tokenizer = load_text(command.SHIPPED / name / "text")
    assert z.shape == (250, text.config.projection_dim)
    assert encoders.probe(z, nodules.label3) > (nodules.label3 == 1).mean() + .05
    equal = in_equal_shares(nodules.label3, 50)
    assert encoders.zero_shot(z[equal], nodules.label3[equal], text, tokenizer) > .45


def test_the_text_tower_of_lite0_says_what_it_sees(nodules):
    text, tokenizer = load_text(command.SHIPPED / "small-clip")
    equal = in_equal_shares(nodules.label3, 30)
    z = load_encoder(LITE0).embed(encoders.as_seen(nodules.images[equal]))
    assert encoders.zero_shot(z, nodules.label3[equal], text, tokenizer) > .45
