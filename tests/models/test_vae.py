"""The VAE's two image layouts, its files on disk, and the latent cache."""

import copy
import json
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from namd.data.cohort import Pairs
from namd.ground.errors import UserError
from namd.models import vae as vaes

SMALL = SimpleNamespace(vae_channels=[8, 16, 16], vae_layers=1, image_size=64, seed=23)
FOUR_BLOCKS = SimpleNamespace(vae_channels=[8, 8, 16, 16], vae_layers=1, image_size=64, seed=23)


def images(n=3):
    return torch.rand(n, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module", params=[SMALL, FOUR_BLOCKS], ids=["folded", "repeated"])
def built(request, tmp_path_factory):
    return vaes.build_vae(tmp_path_factory.mktemp("vae"), request.param)


def test_latent_and_image_shapes(built):
    vae = vaes.load_vae(built)
    with torch.no_grad():
        z = vae.posterior(images()).mean
        assert z.shape == (3, 4, 8, 8) and vae.decode(z).shape == (3, 1, 64, 64) and vae.logit(z).shape == (3,)


def test_encode_is_the_scaled_mean_and_decode_scaled_undoes_it(built):
    vae, x = vaes.load_vae(built), images()
    vae.set_scale(4.0)
    with torch.no_grad():
        z_raw = vae.posterior(x).mean
        torch.testing.assert_close(vae.encode(x), 4.0 * z_raw)
        torch.testing.assert_close(vae.decode_scaled(vae.encode(x)), vae.decode(z_raw))


def test_building_twice_gives_the_same_bytes_and_moves_no_global_generator(tmp_path):
    before = torch.get_rng_state()
    one, two = (vaes.build_vae(tmp_path / name, SMALL) for name in ("one", "two"))
    assert torch.equal(torch.get_rng_state(), before)
    for name in ("diffusion_pytorch_model.safetensors", "probe.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    other = vaes.build_vae(tmp_path / "other", SimpleNamespace(**{**vars(SMALL), "seed": 24}))
    name = "diffusion_pytorch_model.safetensors"
    assert (one / name).read_bytes() != (other / name).read_bytes()


def test_save_and_load_keep_weights_probe_and_scale(built, tmp_path):
    vae = vaes.load_vae(built)
    with torch.no_grad():
        vae.probe.weight.fill_(0.25)
    vae.set_scale(0.7)
    vae.save(tmp_path)
    back = vaes.load_vae(tmp_path)
    assert back.scale == 0.7 and (back.probe.weight == 0.25).all() and not back.training
    with torch.no_grad():
        assert torch.equal(back.encode(images()), vae.encode(images()))


def test_a_loaded_vae_is_in_channels_last_order_and_answers_and_saves_as_in_the_other(built, tmp_path):
    vae = vaes.load_vae(built)
    assert vae.vae.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    other = vaes.NoduleVAE(copy.deepcopy(vae.vae).to(memory_format=torch.contiguous_format), vae.probe)
    assert other.vae.decoder.conv_in.weight.is_contiguous()
    with torch.no_grad():
        z = vae.encode(images())
        torch.testing.assert_close(z, other.encode(images()))
        torch.testing.assert_close(vae.decode(z), other.decode(z))
    vae.save(tmp_path)
    name = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / name).read_bytes() == (built / name).read_bytes()


def test_the_saved_configuration_names_no_folder_of_this_machine(tmp_path):
    vaes.load_vae(vaes.build_vae(tmp_path / "first", SMALL)).save(tmp_path / "second")
    assert str(tmp_path) not in (tmp_path / "second" / "config.json").read_text()


def test_folded_image_reaches_the_vae_without_loss(tmp_path):
    vae = vaes.load_vae(vaes.build_vae(tmp_path, SMALL))
    seen = []
    vae.vae.encoder.conv_in.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = images(1)
    with torch.no_grad():
        vae.posterior(x)
    assert seen[0].shape == (1, 4, 32, 32)
    assert torch.equal(seen[0][0, :, 3, 5], torch.stack([x[0, 0, 6 + i, 10 + j] for i in (0, 1) for j in (0, 1)]))


def test_repeated_image_and_mean_of_the_channels(tmp_path):
    vae = vaes.load_vae(vaes.build_vae(tmp_path, FOUR_BLOCKS))
    x = images(1)
    with torch.no_grad():
        direct = vae.vae.encode(torch.cat([x, x, x], 1)).latent_dist.mean
        torch.testing.assert_close(vae.posterior(x).mean, direct)
        torch.testing.assert_close(vae.decode(direct), vae.vae.decode(direct).sample.mean(1, keepdim=True))


def test_a_published_layout_with_subfolder_and_no_probe_loads(tmp_path):
    vaes.load_vae(vaes.build_vae(tmp_path / "built", FOUR_BLOCKS)).vae.save_pretrained(tmp_path / "hub" / "vae")
    vae = vaes.load_vae(tmp_path / "hub", image_size=32)
    assert vae.probe.in_features == 4 * 4 * 4 and not vae.folded


def test_the_attention_names_of_sd15s_file_are_understood(tmp_path):
    written = vaes.load_vae(vaes.build_vae(tmp_path, FOUR_BLOCKS)).vae.state_dict()
    published = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for name, value in written.items():
        for ours, theirs in published.items():
            name = name.replace(f".attentions.0.{ours}.", f".attentions.0.{theirs}.")
        old[name] = value.contiguous()
    assert "encoder.mid_block.attentions.0.query.weight" in old and len(old) == len(written)
    save_file(old, tmp_path / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    read = vaes.load_vae(tmp_path).vae.state_dict()
    assert all(torch.equal(read[name], value) for name, value in written.items())


def test_missing_weights_are_refused(tmp_path):
    vaes.build_vae(tmp_path, SMALL)
    name = tmp_path / "diffusion_pytorch_model.safetensors"
    weights = load_file(name)
    weights.pop("quant_conv.weight")
    save_file(weights, name, metadata={"format": "pt"})
    with pytest.raises(UserError, match="quant_conv.weight"):
        vaes.load_vae(tmp_path)


def test_an_empty_folder_and_none_are_refused(tmp_path):
    for folder, why in ((tmp_path, "holds no config.json"), (tmp_path / "none", "there is no such folder")):
        with pytest.raises(UserError, match=f"vae_path: nothing can be loaded .*{why}"):
            vaes.load_vae(folder)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), "1"])
def test_a_scale_that_is_none_is_refused(scale, tmp_path):
    vaes.build_vae(tmp_path, SMALL)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"scaling_factor": scale}))
    with pytest.raises(UserError, match="scaling_factor"):
        vaes.load_vae(tmp_path)


@pytest.mark.parametrize("change", [{"vae_channels": [8, 16]}, {"image_size": 60}])
def test_a_layout_without_factor_eight_is_refused(tmp_path, change):
    with pytest.raises(UserError, match="factor 8"):
        vaes.build_vae(tmp_path, SimpleNamespace(**{**vars(SMALL), **change}))


def test_moments_do_not_depend_on_the_batch(built):
    vae, x = vaes.load_vae(built), images(5)
    for whole, pieces in zip(vaes.moments(vae, x), vaes.moments(vae, x, batch=2), strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-4, atol=1e-5)


def test_latent_scale_makes_posterior_samples_unit_variance():
    mean = torch.tensor([0.0, 2.0, -2.0, 0.0]).view(4, 1, 1, 1).expand(4, 4, 8, 8)
    assert vaes.latent_scale(mean, torch.full_like(mean, 7.0**0.5)) == pytest.approx(1 / 3)


def test_hugging_face_reads_what_we_save(built):
    assert isinstance(AutoencoderKL.from_pretrained(built), AutoencoderKL)


def pairs_of(n):
    hu = torch.randint(-1000, 400, (2 * n, 128, 128), generator=torch.Generator().manual_seed(2)).short().numpy()
    table = pd.DataFrame({"t0_index": range(n), "t1_index": range(n, 2 * n)}, index=[f"p{i}" for i in range(n)])
    return Pairs(table, hu)


def test_cached_latents_are_the_scaled_moments_of_every_augmentation(tmp_path):
    vae, pairs = vaes.load_vae(vaes.build_vae(tmp_path / "vae", SMALL)), pairs_of(3)
    vae.set_scale(3.0)
    p = SimpleNamespace(augment="rotations", image_size=64, window_low=-1000, window_high=400)
    vaes.cache_latents(vae, pairs, p, tmp_path / "latents" / "train.safetensors")
    latents = vaes.load_latents(tmp_path / "latents" / "train.safetensors")
    assert {name: tuple(v.shape) for name, v in latents.items()} == dict.fromkeys(
        ("z1_mean", "z1_std", "z2_mean", "z2_std"), (3, 5, 4, 8, 8))
    for visit, x in enumerate(pairs.augmented(3, "rotations", 64, -1000, 400), start=1):
        with torch.no_grad():
            q = vae.posterior(x)
        torch.testing.assert_close(latents[f"z{visit}_mean"][:, 3], 3.0 * q.mean)
        torch.testing.assert_close(latents[f"z{visit}_std"][:, 3], 3.0 * q.std)
    vaes.cache_latents(vae, pairs, p, tmp_path / "latents" / "val.safetensors", turns=1)
    themselves = vaes.load_latents(tmp_path / "latents" / "val.safetensors")
    assert all(torch.equal(themselves[name], value[:, :1]) for name, value in latents.items())



def test_smoothing_takes_out_every_second_pixel_and_keeps_what_is_wide():
    place = torch.arange(32.)
    wave = {period: torch.cos(2 * torch.pi * place / period).expand(1, 1, 32, 32) for period in (2, 4, 8)}
    left = {period: (vaes.smooth(x) * x)[..., 8:24].sum() / x.square()[..., 8:24].sum() for period, x in wave.items()}
    assert left[2].abs() < 1e-6 and left[4] == pytest.approx(.75) and left[8] == pytest.approx(.979, abs=.001)
    assert torch.allclose(vaes.smooth(torch.full((2, 1, 16, 16), .3)), torch.tensor(.3))


def test_a_folded_vae_draws_no_checkerboard(tmp_path):
    small = vaes.load_vae(vaes.build_vae(tmp_path / "vae", SMALL))
    with torch.no_grad():
        x_hat = small.decode(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.fft.fft2(x_hat)[..., 32, 32].abs().max() < .01 * torch.fft.fft2(x_hat)[..., 0, 0].abs().max()
