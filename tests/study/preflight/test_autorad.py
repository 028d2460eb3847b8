import json
from types import SimpleNamespace

import numpy as np
import pytest
import small_text
import torch
import torch.nn.functional as F
from transformers import Aimv2VisionConfig, Aimv2VisionModel

from namd.autorad import encoders, prompts, texts
from namd.autorad.tuning import tuned
from namd.ground.cost import cost, flops, parameters
from namd.ground.errors import UserError
from namd.study import params
from namd.study.preflight import autorad

PAPER = params.load()
SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=32,
             patch_size=8, use_head=False)


def paper(**changes):
    return SimpleNamespace(**PAPER | changes)


@pytest.fixture(scope="module")
def shells():
    return autorad.build(paper())


@pytest.fixture
def small(tmp_path):
    """Parameters of small networks in directories: an encoder, a text tower of its width, a pair with their own."""
    Aimv2VisionModel(Aimv2VisionConfig(**SMALL)).save_pretrained(tmp_path / "pair")
    small_text.write(tmp_path / "pair" / "text", small_text.tower(width=32, layers=1))
    small_text.write(tmp_path / "clip", small_text.tower())
    return paper(autorad_encoder=str(tmp_path / "pair"), autorad_text=str(tmp_path / "clip"), autorad_contrastive="",
                 autorad_autoregressive=str(tmp_path / "pair"), autorad_images="original", autorad_ctx=4,
                 autorad_sweep=[2, 4], autorad_batch=16, lidc_source="phantom", lidc_subjects=60)


def test_the_papers_networks_have_the_sizes_of_the_published_ones(shells):
    encoder, clip = shells.encoders.values()
    tower, own = shells.texts.values()
    assert parameters(encoder.net) / 1e6 == pytest.approx(309.2, abs=0.05)
    assert (encoder.width, encoder.size) == (1024, 224)
    layer = 4 * (1024 + 1) * 1024 + (1024 + 1) * 4096 + (4096 + 1) * 1024 + 4 * 1024
    assert parameters(clip.net) == 24 * layer + 3 * 14**2 * 1024 + (1 + 257) * 1024 + 4 * 1024 + 1024 * 768
    assert (clip.width, clip.size, own.config.projection_dim) == (768, 224, 768)
    layer = 4 * (512 + 1) * 512 + (512 + 1) * 2048 + (2048 + 1) * 512 + 4 * 512
    assert parameters(tower) == (49408 + 77) * 512 + 12 * layer + 2 * 512 + 512 * 1024 + 1      # and the scale
    assert parameters(shells.prompts) == 50 * 512 + (1497 + 1) * 93 + (93 + 1) * 512
    modules = (encoder.net, clip.net, tower, own, shells.prompts)
    assert all(weight.is_meta for module in modules for weight in module.parameters())


def test_flops_of_the_image_encoder(shells):
    encoder, _ = shells.encoders.values()
    x = torch.empty(1, 1, 224, 224, device="meta")
    products = 24 * (4 * 1024**2 + 3 * 1024 * 2816) + 3 * 14**2 * 1024
    by_hand = 256 * 2 * products + 24 * 4 * 256**2 * 1024
    assert flops(encoder.embed, x) == pytest.approx(by_hand, rel=1e-3)


def test_small_shells_are_the_networks_that_09_loads(small, tmp_path):
    shells = autorad.build(small)
    assert parameters(encoders.load_encoder(small.autorad_encoder).net) == parameters(
        shells.encoders[small.autorad_encoder].net)
    assert list(shells.texts) == [small.autorad_text, f"{small.autorad_encoder}/text"]
    for path, shell in shells.texts.items():
        assert parameters(texts.load_text(path)[0]) == parameters(shell)
    small_text.write_open_clip(tmp_path / "open", small_text.OpenClipText(projection=32))
    (tmp_path / "open" / "config.json").write_text(json.dumps(dict(architecture="resnet50_clip")))      # timm's
    small.autorad_text, small.autorad_encoder = str(tmp_path / "open"), encoders.LITE0
    small.autorad_projection = "linear"
    shells = autorad.build(small)
    assert parameters(texts.load_text(small.autorad_text)[0]) == parameters(shells.texts[small.autorad_text])
    assert parameters(encoders.load_encoder(encoders.LITE0).net) == parameters(shells.encoders[encoders.LITE0].net)


def test_a_whole_clip_in_a_directory_is_an_encoder_with_its_own_text_tower(small, tmp_path):
    small_text.whole_clip().save_pretrained(tmp_path / "whole")
    small_text.tokenizer().save_pretrained(tmp_path / "whole")
    small.autorad_contrastive = path = str(tmp_path / "whole")
    shells = autorad.build(small)
    assert autorad.text_path(path, small) == path
    assert parameters(encoders.load_encoder(path).net) == parameters(shells.encoders[path].net)
    assert parameters(texts.load_text(path)[0]) == parameters(shells.texts[path])


def test_a_step_costs_what_the_notebooks_step_does(small):
    shells = autorad.build(small)
    (arm, z, features, shell), width = autorad.jobs(shells, small)[1], 32
    counted, held = autorad._taken(small, arm, z, features, shell, prompts.CLASSES)
    tower, tokenizer = texts.load_text(small.autorad_text)
    real = prompts.Prompts(tower, tokenizer, small.autorad_ctx, width, 102, small.autorad_hidden_share, 1.0)
    z, guide, label = torch.randn(16, width), torch.randn(16, 102), torch.zeros(16, dtype=torch.long)
    taken = cost(lambda: F.cross_entropy(real(tower, z, guide), label).backward())
    assert counted.flops == pytest.approx(taken.flops, rel=0.05)
    assert held.frozen == 4 * parameters(tower)
    assert held.weights == held.gradients == held.moments == 4 * parameters(real)


def test_every_arm_is_trained(shells, small):
    trained = autorad.jobs(shells, paper())
    names = [arm.name for arm, *_ in trained]
    by_name = {arm.name: (z.shape[2], tower.config.projection_dim) for arm, z, _, tower in trained}
    assert by_name["autoregressive"] == (1024, 1024) and by_name["contrastive"] == (768, 768)
    rows = ["static", "guided", "CoCoOp", "guided without image", "shape-guided", "texture-guided", "size-guided"]
    assert names == [*rows, "autoregressive", "contrastive", "random encoder", "10 tokens", "30 tokens", "70 tokens"]
    small.autorad_contrastive = small.autorad_encoder
    assert [arm.name for arm, *_ in autorad.jobs(autorad.build(small), small)] == [
        *rows, "autoregressive", "contrastive", "random encoder", "2 tokens"]


@pytest.mark.parametrize("k", [3, 4, 5])
@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.2, 0.3)])
def test_steps_of_an_arm_are_those_of_the_cross_validation(k, rates):
    p = paper(autorad_folds=k, autorad_rates=rates, autorad_epochs=2, autorad_batch=16)
    fold = np.arange(60) % k
    steps = []

    def fit(rate, held):
        n_train = (~np.isin(fold, held)).sum()
        steps.append(2 * (n_train // 16))
        return np.full((60, 3), 1 / 3), {}
    tuned(fit, rates, np.arange(60) % 3, fold)
    assert autorad._fold_steps(p, 60) == sum(steps)


def test_stages_of_09(small):
    embedding, training = autorad.stages(autorad.build(small), small, 100, 2)
    (part,) = embedding.parts
    turns = 60 * (8 + 1)                            # and what the window shows
    images = turns + 2 * 60 + 37 + 63 + 37 * 9      # two of a small pair; baselines, follow-ups, rows of 05
    assert part.times == images / encoders.BATCH and embedding.memory.frozen > 0 and not embedding.per_arm
    own = [2 * autorad._steps(small, 48), autorad._steps(small, 54)]    # four folds, twice; 85 % of 63 follow-ups
    folds = autorad._fold_steps(small, 60)
    assert [part.times for part in training.parts] == 10 * [folds] + 2 * [2 * folds] + own     # static, guided again
    assert training.steps == sum(part.times for part in training.parts)
    static, guided, cocoop, *_ = training.parts
    assert 10 * static.cost.flops < guided.cost.flops == cocoop.cost.flops       # one prompt for all, one a nodule
    assert {part.arithmetic for part in training.parts} == {"float32"}


def test_nodules_of_lidc_are_those_of_so_many_readers():
    assert [autorad.nodules(paper(lidc_readers=n)) for n in (1, 3)] == [2651, 315 + 775 + 301]
    assert autorad.nodules(paper(lidc_source="phantom")) == PAPER["lidc_subjects"]


@pytest.mark.parametrize(("changes", "words"), [
    (dict(autorad_encoder=encoders.LITE0), "autorad_projection is none, but the image encoder answers in 1280"),
    (dict(autorad_ctx=74), "autorad_ctx is too large: with it a prompt has 78 tokens"),
    (dict(autorad_text="nobody/nothing"), "'nobody/nothing' is not known.*hf download nobody/nothing config.json"),
])
def test_what_does_not_fit_is_one_sentence(changes, words):
    with pytest.raises(UserError, match=words):
        autorad.build(paper(**changes))


def test_an_encoder_in_its_first_layout_is_refused_before_anything_runs(small, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.json").write_text(json.dumps(dict(model_type="aimv2")))
    small.autorad_encoder = str(tmp_path / "old")
    with pytest.raises(UserError, match="AIMv2 in its first layout"):
        autorad.build(small)
    (tmp_path / "clip" / "config.json").unlink()
    small.autorad_encoder = encoders.LITE0
    (tmp_path / "clip" / "open_clip_config.json").write_text(json.dumps(dict(model_cfg={})))
    with pytest.raises(UserError, match="not readable as an open_clip repository"):
        autorad.build(small)
