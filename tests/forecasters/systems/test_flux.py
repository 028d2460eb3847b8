"""Flux: packing, times, the exact velocity, a point mass, and FLUX.1-dev's own format with LoRA."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel
from small_systems import P, fitted, write_system_run

from namd.forecasters.systems import flux
from namd.ground import seeding
from namd.ground.errors import UserError

LORA = SimpleNamespace(**vars(P) | dict(system_steps=4, system_tune_steps=1, system_rates=[1e-2]))


def normal(*shape, key="test"):
    return seeding.noise(shape, key)


def test_packing_is_that_of_flux_and_unpacking_its_inverse():
    z = normal(3, 4, 6, 8)
    tokens = flux.pack(z)
    assert torch.equal(tokens, FluxPipeline._pack_latents(z, 3, 4, 6, 8))
    assert torch.equal(flux.unpack(tokens, z.shape), z)
    assert torch.equal(flux.unpack(tokens, z.shape), FluxPipeline._unpack_latents(tokens, 48, 64, 8))


def test_the_times_are_uniform():
    sigma = flux.times(20_000, seeding.generator("times"))
    shares = torch.arange(1, 20) / 20
    assert sigma.min() >= 0 and sigma.max() < 1
    assert torch.allclose(sigma.quantile(shares), shares, atol=0.01)
    assert torch.equal(sigma, flux.times(20_000, seeding.generator("times")))


@pytest.mark.parametrize("n_steps", [1, 3, 10])
def test_euler_on_the_exact_velocity_of_one_point_recovers_it(n_steps):
    z2, eps, seen = normal(2, 4, 4, 4), normal(2, 4, 4, 4, key="eps"), []

    def velocity(z2_t, sigma):
        seen.append(sigma[0].item())
        return (z2_t - z2) / sigma.view(-1, 1, 1, 1)

    assert torch.allclose(flux.euler(velocity, eps, n_steps), z2, atol=1e-5)
    assert seen == pytest.approx([1 - i / n_steps for i in range(n_steps)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


def test_the_exact_velocity_has_no_loss_and_the_ends_of_the_path_are_image_and_noise(run, monkeypatch):
    system = flux.System(run[0], P)
    z1, z2, eps = (normal(3, 4, 8, 8, key=name) for name in ("z1", "z2", "eps"))
    monkeypatch.setattr(system, "velocity", lambda z1, z2_t, sigma: (z2_t - z2) / sigma.view(-1, 1, 1, 1))
    assert system.loss(z1, z2, eps, torch.tensor([0.2, 0.5, 1.0])) < 1e-10


def test_a_wider_input_changes_no_bit_until_it_learns():
    net = FluxTransformer2DModel(in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=32,
                                 num_attention_heads=1, joint_attention_dim=1, pooled_projection_dim=1,
                                 axes_dims_rope=flux.ROPE)
    rest = dict(timestep=torch.tensor([0.3, 0.9]), img_ids=torch.zeros(16, 3), txt_ids=torch.zeros(1, 3),
                encoder_hidden_states=torch.zeros(2, 1, 1), pooled_projections=torch.zeros(2, 1))
    tokens, other = normal(2, 16, 16), normal(2, 16, 16, key="other")
    before = net(tokens, **rest).sample
    flux.widen_input(net)
    assert torch.equal(net(torch.cat([tokens, other], 2), **rest).sample, before)
    assert net.config.in_channels == 32 and net.config.out_channels == 16


def test_before_training_the_velocity_sees_the_noisy_latent_and_not_the_baseline(run):
    system = flux.System(run[0], P)
    z, other, sigma = normal(2, 4, 8, 8), normal(2, 4, 8, 8, key="other"), torch.tensor([0.3, 0.9])
    before = system.velocity(z, z, sigma)
    assert torch.equal(system.velocity(other, z, sigma), before)
    assert (system.velocity(z, other, sigma) - before).abs().max() > 0.01
    assert (system.velocity(z, z, sigma.flip(0)) - before).abs().max() > 0.001


def test_a_point_mass_is_learnt_and_drawn(run):
    system = flux.System(run[0], P)
    z1, point, noise = normal(1, 4, 8, 8, key="z1"), normal(1, 4, 8, 8), normal(8, 4, 8, 8, key="start")
    z1, z2, losses = z1.expand(8, -1, -1, -1), point.expand(8, -1, -1, -1), []

    def error():
        with torch.no_grad():
            return (flux.euler(lambda z2_t, sigma: system.velocity(z1, z2_t, sigma), noise, 5) - z2).square().mean()

    before, optimiser = error(), torch.optim.AdamW(system.nets.parameters(), 3e-3)
    for i in range(60):
        g = seeding.generator(i)
        loss = system.loss(z1, z2, torch.randn(z2.shape, generator=g), flux.times(8, g))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
    assert error() < 0.2 * before


def write_flux(path):
    """A tiny model in FLUX.1-dev's format: guidance, 16 latent channels, factor 8, shift and scale."""
    with seeding.fresh_weights("flux"):
        FluxTransformer2DModel(
            in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=24, pooled_projection_dim=12, guidance_embeds=True, axes_dims_rope=(4, 6, 6),
        ).save_pretrained(path / "transformer")
        AutoencoderKL(
            latent_channels=16, block_out_channels=[8] * 4, layers_per_block=1, norm_num_groups=4,
            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
            scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
        ).save_pretrained(path / "vae")
    return str(path)


@pytest.fixture(scope="module")
def lora(run, tmp_path_factory):
    """The untrained and the trained system of FLUX.1-dev's format, in a folder of its own."""
    root = tmp_path_factory.mktemp("lora")
    (root / "arms").symlink_to(run[0] / "arms")
    p = SimpleNamespace(**vars(LORA) | dict(flux_path=write_flux(root / "flux")))
    return flux.System(root, p), fitted("flux", root, run[1], p), p


def test_flux_weights_learn_by_lora_alone_the_input_too(lora):
    before, after = (dict(system.nets.named_parameters()) for system in lora[:2])
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    learns = {name for name, weight in after.items() if weight.requires_grad}
    assert changed and changed <= learns and all("lora_" in name for name in learns)
    assert after["transformer.x_embedder.base_layer.weight"].shape[1] == 128        # z2_t and z1
    for layer in ("x_embedder", "transformer_blocks.0.attn.to_out.0", "transformer_blocks.0.attn.add_k_proj",
                  "single_transformer_blocks.0.attn.to_v", "transformer_blocks.0.ff.net.2",
                  "transformer_blocks.0.ff_context.net.0.proj"):
        weight = after[f"transformer.{layer}.lora_B.default.weight"]
        assert weight.shape[1] == P.flux_rank and f"transformer.{layer}.lora_B.default.weight" in changed


def test_frozen_weights_in_bfloat16_change_little_and_the_lora_learns_in_float32(run, lora, tmp_path):
    (tmp_path / "arms").symlink_to(run[0] / "arms")
    p = SimpleNamespace(**vars(lora[2]) | dict(flux_dtype="bfloat16"))
    narrow, wide = flux.System(tmp_path, p), lora[0]
    kinds = {weight.requires_grad: weight.dtype for weight in narrow.nets.parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}
    z1, z2_t, sigma = normal(4, 16, 8, 8, key="z1"), normal(4, 16, 8, 8), torch.tensor([0.1, 0.4, 0.7, 1.0])
    with torch.no_grad():
        theirs, ours = (system.velocity(z1, z2_t, sigma) for system in (wide, narrow))
    assert ours.dtype == torch.float32 and 0 < (ours - theirs).norm() < 0.1 * theirs.norm()
    made = fitted("flux", tmp_path, run[1], p)
    assert not torch.equal(made.velocity(z1, z2_t, sigma), narrow.velocity(z1, z2_t, sigma))


def test_flux_weights_draw_and_open_again(run, lora):
    _, made, p = lora
    x1, ehr = run[1].images(64, -1000, 400)[0][:3], run[1].ehr.iloc[:3]
    x2_hat = made.sample(x1, ehr, [1, 2])
    assert x2_hat.shape == (2, 3, 1, 64, 64) and (x2_hat[0] - x2_hat[1]).abs().max() > 1e-4
    assert torch.equal(x2_hat, flux.System(made.root, p, key="k").sample(x1, ehr, [1, 2]))
    assert made.used[-1].config.latent_channels == 16


def test_flux_latents_are_shifted_then_scaled_and_come_back(run, lora):
    made = lora[1]
    x = run[1].images(64, -1000, 400)[0][:4]
    own = made.vae.vae
    with torch.no_grad():
        mean = own.encode(x.expand(-1, 3, -1, -1)).latent_dist.mean
        z1, there_and_back = made.vae.encode(x), own.decode(mean).sample.mean(1, keepdim=True)
        stored = made.moments("all", run[1])
    assert torch.allclose(z1, (mean - 0.1159) * 0.3611, atol=1e-6)
    assert torch.allclose(made.vae.decode_scaled(z1), there_and_back, atol=1e-4)
    assert stored["z1_mean"].shape == stored["z2_std"].shape == (len(run[1]), 8, 16, 8, 8)
    assert torch.allclose(stored["z1_mean"][:4, 0], z1, atol=1e-5)


def test_a_folder_without_flux_is_a_user_error(run, tmp_path):
    with pytest.raises(UserError, match="flux_path"):
        flux.System(run[0], SimpleNamespace(**vars(P) | dict(flux_path=str(tmp_path))))
