"""The two surgeries: what they keep bit for bit, what they make anew, and that both survive saving."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.models.unet import CONTEXT_WIDTH, build_unet, load_unet, widen_context, widen_input

P = SimpleNamespace(image_size=64, unet_channels=[16, 32], unet_layers=1, unet_heads=2, seed=23)
Z, T = seeding.noise((3, 4, 8, 8), "unet", "z"), torch.tensor([0, 500, 999])


def context(dim):
    return seeding.noise((3, 2, dim), "unet", "context", dim)


@pytest.fixture
def folder(tmp_path):
    build_unet(tmp_path / "unet_uncond", P)
    return tmp_path / "unet_uncond"


@pytest.fixture
def unet(folder):
    return load_unet(folder)


def test_a_built_unet_predicts_a_latent(unet):
    with torch.no_grad():
        out = unet(Z, T, context(CONTEXT_WIDTH)).sample
    assert out.shape == Z.shape and out.isfinite().all()


def test_four_levels_have_sd15s_blocks(tmp_path):
    build_unet(tmp_path, SimpleNamespace(**{**vars(P), "unet_channels": [8, 8, 16, 16]}))
    config = load_unet(tmp_path).config
    assert config.down_block_types == ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
    assert config.up_block_types == ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3


def test_building_twice_writes_the_same_bytes_and_leaves_the_global_generator(folder, tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build_unet(tmp_path / "again", P)
    name = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert torch.equal(before, torch.get_rng_state())


def test_a_loaded_and_widened_unet_is_in_channels_last_order_and_answers_as_in_the_other(unet, tmp_path):
    widen_input(unet)
    layouts = [p.is_contiguous(memory_format=torch.channels_last) for p in unet.parameters() if p.ndim == 4]
    assert layouts and all(layouts)
    z, c = torch.cat([Z, Z], 1), context(CONTEXT_WIDTH)
    with torch.no_grad():
        said = unet(z, T, c).sample
        unet.save_pretrained(tmp_path)
        assert torch.equal(load_unet(tmp_path)(z, T, c).sample, said)
        other = unet.to(memory_format=torch.contiguous_format)
        torch.testing.assert_close(other(z, T, c).sample, said)


def test_another_seed_is_another_unet(folder, tmp_path):
    build_unet(tmp_path / "other", SimpleNamespace(**{**vars(P), "seed": 24}))
    assert not torch.equal(load_unet(tmp_path / "other").conv_in.weight, load_unet(folder).conv_in.weight)


def test_widened_context_renews_exactly_the_cross_attention_keys_and_values(unet):
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    new = widen_context(unet, 64, seed=23)
    after = unet.state_dict()
    assert set(new) == {n for n in after if n.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))}
    assert len(new) == 2 * 7      # one block down and two up per level, and the middle
    assert all(torch.equal(after[name], before[name]) for name in set(after) - set(new))
    assert all(after[name].shape == (before[name].shape[0], 64) for name in new)


def test_new_projections_are_uniform_seeded_and_all_different(unet, folder):
    same, other = load_unet(folder), load_unet(folder)
    names = widen_context(unet, 64, seed=23)
    widen_context(same, 64, seed=23), widen_context(other, 64, seed=24)
    weights = [unet.state_dict()[name] for name in names]
    assert all(torch.equal(unet.state_dict()[n], same.state_dict()[n]) for n in names)
    assert not any(torch.equal(unet.state_dict()[n], other.state_dict()[n]) for n in names)
    assert all(float(w.abs().max()) <= 1 / 8 for w in weights)
    assert all(abs(float(w.std()) - 1 / 8 / 3**0.5) < 0.005 for w in weights)
    assert len({float(w.flatten()[0]) for w in weights}) == len(names)


def test_a_context_of_the_same_width_renews_nothing(unet):
    assert widen_context(unet, CONTEXT_WIDTH, seed=23) == []


def test_widened_input_ignores_the_baseline_bit_for_bit(unet):
    ctx = context(CONTEXT_WIDTH)
    with torch.no_grad():
        before = unet(Z, T, ctx).sample
        assert widen_input(unet) == ["conv_in.weight"]
        z1 = 100 * seeding.noise(Z.shape, "unet", "z1")
        after = unet(torch.cat([Z, z1], dim=1), T, ctx).sample
    assert torch.equal(before, after)


def test_widened_input_copies_weights_and_bias_and_adds_zeros(unet):
    old = unet.conv_in
    torch.nn.init.normal_(old.bias, generator=seeding.generator("bias"))
    widen_input(unet)
    assert torch.equal(unet.conv_in.bias, old.bias) and torch.equal(unet.conv_in.weight[:, :4], old.weight)
    assert not unet.conv_in.weight[:, 4:].any()


def test_the_new_input_channels_learn(unet):
    widen_input(unet)
    unet(torch.cat([Z, Z], dim=1), T, context(CONTEXT_WIDTH)).sample.square().mean().backward()
    assert float(unet.conv_in.weight.grad[:, 4:].abs().sum()) > 0


def test_both_surgeries_survive_saving(unet, tmp_path):
    widen_context(unet, 64, seed=23)
    widen_input(unet)
    unet.save_pretrained(tmp_path / "unet")
    again = load_unet(tmp_path)      # finds the folder unet/
    assert (again.config.in_channels, again.config.cross_attention_dim) == (8, 64)
    with torch.no_grad():
        z = torch.cat([Z, Z], dim=1)
        assert torch.equal(unet.eval()(z, T, context(64)).sample, again(z, T, context(64)).sample)


@pytest.mark.parametrize(("m", "matters"), [(1, False), (2, True)])
def test_one_token_leaves_the_attention_nothing_to_choose(unet, m, matters):
    widen_context(unet, 64, seed=23)
    unet(Z, T, context(64)[:, :m]).sample.square().mean().backward()
    size = {part: max(float(layer.weight.grad.abs().max()) for name, layer in unet.named_modules()
                      if name.endswith(f"attn2.{part}")) for part in ("to_q", "to_k", "to_v")}
    assert size["to_v"] > 1e-4
    assert (min(size["to_q"], size["to_k"]) > 1e-4 * size["to_v"]) == matters


def test_sd15s_layout_has_four_channels_and_another_width_than_the_language_model(unet):
    assert (unet.config.in_channels, unet.config.out_channels, unet.config.cross_attention_dim) == (4, 4, 768)


def test_weights_of_another_width_are_refused_not_filled(folder):
    config = json.loads((folder / "config.json").read_text()) | {"cross_attention_dim": 64}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="attn2.to_k.weight"):
        load_unet(folder)


def test_an_input_is_widened_once(unet):
    widen_input(unet)
    with pytest.raises(UserError, match="8 input channels"):
        widen_input(unet)


def test_a_missing_unet_is_named(tmp_path):
    with pytest.raises(UserError, match="unet_path"):
        load_unet(tmp_path / "nothing")


def test_a_broken_weight_file_is_named(folder):
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(UserError, match="unet_path"):
        load_unet(folder)


def test_missing_weights_are_never_filled_at_random(folder):
    file = folder / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["conv_in.bias"]
    save_file(weights, file)
    with pytest.raises(UserError, match="conv_in.bias"):
        load_unet(folder)
