import json
from types import SimpleNamespace

import pytest
import torch

from namd.ground import paths
from namd.ground.cost import flops, parameters
from namd.ground.errors import UserError
from namd.models import unet, vae
from namd.models.llm import small_config
from namd.study import params
from namd.study.preflight import shapes

MILLION = 1e6
REFERENCE = paths.REPO / "outputs" / "reference"


@pytest.fixture(scope="module")
def paper():
    return shapes.build(SimpleNamespace(**params.load()))


def meta(*shape, **kind):
    return torch.empty(*shape, device="meta", **kind)


def test_the_papers_models_have_the_sizes_of_the_published_ones(paper):
    sizes = {name: parameters(getattr(paper, name)) / MILLION for name in ("unet_cond", "lm", "prompts")}
    assert sizes == pytest.approx(dict(unet_cond=904.26, lm=3880, prompts=2 * 8 * 2560 / MILLION), rel=1e-3)
    assert parameters(paper.vae.vae) / MILLION == pytest.approx(83.65, rel=1e-3)
    assert parameters(paper.vae.vae.encoder) / MILLION == pytest.approx(34.16, rel=1e-3)
    assert all(p.is_meta for shell in vars(paper).values() for p in shell.parameters())


@pytest.mark.parametrize("side, gflop", [(8, 11.6), (32, 177.4), (64, 798.3)])
def test_flops_of_the_unet(paper, side, gflop):
    args = meta(1, 8, side, side), meta(1, dtype=torch.long), meta(1, 8, 2560)
    assert flops(torch.no_grad()(paper.unet_cond), *args) / 1e9 == pytest.approx(gflop, rel=0.01)


def test_flops_of_the_vae(paper):
    net = paper.vae.vae
    with torch.no_grad():
        counted = flops(net.encode, meta(1, 3, 64, 64)) / 1e9, flops(net.decode, meta(1, 4, 8, 8)) / 1e9
    assert counted == pytest.approx((16.9, 38.8), rel=0.01)


def test_flops_of_the_language_model_forward_and_to_its_input(paper):
    emb = meta(1, 90, 2560).requires_grad_()
    causal = dict(full_attention=None, sliding_attention=None)
    counted = flops(lambda: paper.lm(inputs_embeds=emb, attention_mask=causal, use_cache=False)[0].sum().backward())
    assert counted / 1e12 == pytest.approx(1.16, rel=0.05)


def test_small_shells_are_the_models_the_notebooks_build(tmp_path):
    p = SimpleNamespace(**params.load([paths.REPO / "params" / "smoke.yaml"], ["vae_path=", "unet_path=", "llm_path="]))
    shells = shapes.build(p)
    unet.build_unet(tmp_path / "unet", p), vae.build_vae(tmp_path / "vae", p)
    real = unet.load_unet(tmp_path / "unet")
    unet.widen_context(real, p.llm_hidden, p.seed), unet.widen_input(real)
    assert parameters(real) == parameters(shells.unet_cond)
    assert parameters(vae.load_vae(tmp_path / "vae")) == parameters(shells.vae)
    assert shells.lm.config.hidden_size == p.llm_hidden and shells.lm.config.num_hidden_layers == p.llm_layers


def test_a_directory_says_its_own_architecture(tmp_path):
    p = SimpleNamespace(**params.load([paths.REPO / "params" / "smoke.yaml"]))
    p.vae_path, p.llm_path = str(tmp_path / "model"), str(tmp_path / "llm")
    vae.build_vae(tmp_path / "model" / "vae", SimpleNamespace(**{**vars(p), "vae_channels": [8, 8, 8, 8]}))
    small_config(64, 3, 50).save_pretrained(tmp_path / "llm")
    shells = shapes.build(p)
    assert len(shells.vae.vae.config.block_out_channels) == 4 and not shells.vae.folded
    assert (shells.lm.config.vocab_size, shells.lm.config.num_hidden_layers) == (50, 3)
    assert json.loads((tmp_path / "llm" / "config.json").read_text())["text_config"]["hidden_size"] == 64


@pytest.mark.parametrize("key, folder, said", [
    ("vae_path", "small-gemma", "vae_path: .* describes Gemma3ForConditionalGeneration, where AutoencoderKL"),
    ("vae_path", "small-sd/unet", "vae_path: .* describes UNet2DConditionModel"),
    ("unet_path", "small-sd/vae", "unet_path: .* describes AutoencoderKL"),
    ("vae_path", "none/of/them", "none/of/them' names no model: there is no such folder"),
    ("llm_path", "small-clip", "llm_path: .* model of type clip_text_model, where a Gemma 3 is needed")])
def test_another_kind_of_model_is_one_sentence(key, folder, said):
    given = [f"{key}=outputs/reference/models/{folder}"]
    p = SimpleNamespace(**params.load([paths.REPO / "params" / "smoke.yaml"], given))
    with pytest.raises(UserError, match=said):
        shapes.build(p)


def test_an_architecture_that_cannot_be_made_is_one_sentence(tmp_path):
    model = REFERENCE / "models" / "small-sd" / "unet" / "config.json"
    config = json.loads(model.read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"block_out_channels": [8]}))
    p = SimpleNamespace(**params.load([paths.REPO / "params" / "smoke.yaml"], [f"unet_path={tmp_path}"]))
    with pytest.raises(UserError, match="unet_path: config.json of .* describes no model that can be made"):
        shapes.build(p)


def test_an_unknown_repository_is_one_sentence():
    p = SimpleNamespace(**params.load([paths.REPO / "params" / "smoke.yaml"], ["unet_path=nobody/nothing"]))
    with pytest.raises(UserError, match=r"'nobody/nothing' is not known.*hf download nobody/nothing unet/config"):
        shapes.build(p)
