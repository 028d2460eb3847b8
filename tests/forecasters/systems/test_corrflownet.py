"""CorrFlowNet and the flow it shares: fields whose end is known, and losses whose zero is known."""

from types import SimpleNamespace

import pytest
import torch
from small_systems import P, fitted, write_system_run

from namd.data.images import MM_PER_PX
from namd.forecasters import flow
from namd.forecasters.systems.corrflownet import System, align_background, correlation_loss
from namd.ground.seeding import noise


@pytest.mark.parametrize("n_steps", [1, 3, 10])
def test_euler_of_a_constant_field_is_exact(n_steps):
    z, c = noise((4, 2, 3, 3), "z"), noise((4, 2, 3, 3), "c")
    end = flow.integrate(lambda z_t, t: c, z, n_steps, span=2.0)
    assert torch.allclose(end, z + 2 * c, atol=1e-5)


def test_euler_passes_the_times_of_its_steps():
    seen = []
    flow.integrate(lambda z, t: seen.append(t[0].item()) or z * 0, torch.zeros(2, 1), 4, span=2.0)
    assert seen == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize("n_steps", [1, 10])
def test_the_variance_of_euler_maruyama_is_sigma_squared_times_time(n_steps):
    z = torch.zeros(50_000, 1)
    end = flow.integrate(lambda z_t, t: torch.ones_like(z_t), z, n_steps, span=2.0, sigma=0.3,
                         noise=lambda i: noise(z.shape, "dW", i))
    assert end.mean().item() == pytest.approx(2, abs=0.01)
    assert end.var().item() == pytest.approx(2 * 0.3**2, rel=0.03)


def test_the_line_has_both_ends_and_its_middle():
    z1, z2 = noise((3, 2, 2, 2), 1), noise((3, 2, 2, 2), 2)
    z = flow.line(z1, z2, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(z[0], z1[0]) and torch.allclose(z[1], (z1[1] + z2[1]) / 2) and torch.equal(z[2], z2[2])


def test_a_flow_learns_a_translation():
    made = System("unused", P)
    c = torch.linspace(-1, 1, 16).view(16, 1, 1).expand(16, 8, 8)
    optimizer = torch.optim.Adam(made.nets["flow"].parameters(), 3e-2)
    z1 = noise((4, 16, 8, 8), "z1")
    assert torch.equal(flow.integrate(made.velocity, z1, 5), z1)        # untrained: the copy of the baseline
    for i in range(50):
        z, t = noise((4, 16, 8, 8), "train", i), torch.rand(4, generator=torch.Generator().manual_seed(i))
        loss = made.flow_loss(z, z + c, t)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    with torch.no_grad():
        error = flow.integrate(made.velocity, z1, 5) - (z1 + c)
    assert error.square().mean() < 0.02 * c.square().mean()


def test_correlation_is_zero_for_a_positive_gain_and_two_for_a_negative_one():
    h1, a, b = noise((8, 4, 2, 2), "h"), noise((1, 4, 2, 2), "a").abs() + 0.1, noise((1, 4, 2, 2), "b")
    assert correlation_loss(h1, a * h1 + b) == pytest.approx(0, abs=1e-5)
    assert correlation_loss(h1, b - a * h1) == pytest.approx(2, abs=1e-5)
    assert 0.5 < correlation_loss(h1, noise(h1.shape, "other")) < 1.5


def test_alignment_undoes_gain_and_offset_outside_the_nodule_and_keeps_its_change():
    x1 = 0.2 * noise((2, 3, 1, 64, 64), "x").clamp(-2, 2)
    x2 = 0.7 * x1 + 0.1
    x2[..., 28:36, 28:36] += 0.25
    aligned = align_background(x1, x2)
    changed = torch.zeros(64, 64, dtype=torch.bool)
    changed[28:36, 28:36] = True
    assert torch.allclose(aligned[..., ~changed], x1[..., ~changed], atol=1e-5)
    assert torch.allclose((aligned - x1)[..., changed], torch.tensor(0.25 / 0.7), atol=1e-5)


@pytest.mark.parametrize("size", [48, 64, 128])
def test_the_disc_has_its_millimetres_at_every_size_and_the_sheet_says_them(size):
    axis = MM_PER_PX * (torch.arange(size) - (size - 1) / 2)            # millimetres from the centre
    mm = (axis.square() + axis.square().unsqueeze(1)).sqrt()
    x1 = 0.2 * noise((1, size, size), "x", size)
    within, beyond = (mm > 8.7) & (mm <= 9.6), (mm > 9.6) & (mm < 10.5)
    moved = [(align_background(x1, torch.where(ring, x1 + 0.5, x1)) - x1)[..., mm > 10.5].abs()
             for ring in (within, beyond)]
    assert moved[0].max() < 1e-5 and moved[1].mean() > 1e-3
    assert "19.2 mm disc" in System.description.left_open


def test_every_codes_loss_is_what_its_name_says():
    made = System("unused", P)
    x1, x2 = (0.3 * noise((8, 1, 64, 64), v) for v in "ab")
    with torch.no_grad():
        got = made.autoencoder_losses(x1, x2, torch.ones(8))
        h1, h2 = made.nets["encoder"](x1), made.nets["encoder"](x2)
        seen1, seen2 = made.nets["decoder"](h1), made.nets["decoder"](h2)
    assert torch.allclose(got["self"], (seen1 - x1)[:4].abs().mean() + (seen2 - x2)[:4].abs().mean(), atol=1e-5)
    assert torch.allclose(got["cross"], (seen2 - x1)[0].abs().mean() + (seen1 - x2)[0].abs().mean(), atol=1e-5)
    assert torch.allclose(got["corr"], correlation_loss(h1, h2), atol=1e-5)


def test_both_rows_share_one_field_and_the_sde_without_noise_is_the_ode(tmp_path):
    pairs = write_system_run(tmp_path)
    made = fitted("corrflownet", tmp_path, pairs)
    x1, ehr = pairs.images(64, -1000, 400)[0][:4], pairs.ehr.iloc[:4]
    rows = {row: System(tmp_path, P, "k", **options) for row, (_, options) in System.rows.items()}
    quiet = System(tmp_path, P, "k", sigma=0.0)
    ode, sde = rows["corrflownet_ode"].sample(x1, ehr, [1, 2]), rows["corrflownet_sde"].sample(x1, ehr, [1, 2])
    assert len(ode) == 1 and len(sde) == 2 and not torch.equal(sde[0], ode[0])
    assert torch.equal(quiet.sample(x1, ehr, [2])[0], ode[0])
    assert torch.allclose(made.sample(x1, ehr, [2])[0], sde[1], atol=1e-5)


def test_latents_are_standard_over_the_training_set():
    h = 3 * noise((2, 50, 4, 8, 8), "h") + torch.arange(4.0).view(4, 1, 1)
    standard = flow.Standard(4)
    standard.measure(h[:1], h[1:])
    z = standard(h).transpose(0, 2).flatten(1)
    assert torch.allclose(z.mean(1), torch.zeros(4), atol=1e-4) and torch.allclose(z.std(1), torch.ones(4), atol=1e-4)
    assert torch.allclose(standard.inverse(standard(h)), h, atol=1e-4)


@pytest.mark.parametrize("widths", [[8, 8, 8], [8, 8, 8, 8]])
def test_the_halves_have_factor_eight_at_both_sizes(widths):
    p = SimpleNamespace(vae_channels=widths, vae_layers=1)
    h = flow.encoder(p, 16)(torch.zeros(2, 1, 64, 64))
    assert h.shape == (2, 16, 8, 8) and flow.decoder(p, 16)(h).shape == (2, 1, 64, 64)
