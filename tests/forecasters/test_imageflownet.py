"""ImageFlowNet: what its flows must do where the answer is known."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from small_systems import P, fitted, write_system_run
from torch import nn

from namd.forecasters import imageflownet
from namd.forecasters.imageflownet import FOLD, Flow, System, decode, encode


class Linear(nn.Module):
    def forward(self, h):
        return -h


def still(flow):
    """`flow` without drift and noise."""
    with torch.no_grad():
        flow.drift[-2].weight.zero_(), flow.drift[-2].bias.zero_(), flow.sigma.zero_()


def normal(shape, *keys):
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(keys[-1]))


@pytest.fixture
def made(tmp_path):
    return System(tmp_path, P)


@torch.no_grad()
def test_the_states_are_those_of_the_unet(made):
    x, net = torch.rand(2, 1, 64, 64), made.nets["unet"]
    whole = F.pixel_shuffle(net(F.pixel_unshuffle(x, FOLD), torch.zeros(2)).sample, FOLD)
    assert torch.equal(decode(net, encode(net, x)), whole)
    assert len(encode(net, x)) == len(made.nets["flows"]) == 5         # stem, two blocks, one way down, bottleneck


@torch.no_grad()
def test_without_drift_and_noise_the_forecast_is_the_reconstruction(made):
    x1 = torch.rand(3, 1, 64, 64)
    assert not torch.equal(made.forecast(x1, normal), made.rebuild(x1))
    for i, flow in enumerate(made.nets["flows"]):
        assert not torch.equal(made.forecast(x1, normal), made.rebuild(x1)), f"flow {i} reaches no image"
        still(flow)
    assert torch.equal(made.forecast(x1, normal), made.rebuild(x1))


@torch.no_grad()
def test_with_sigma_zero_it_is_eulers_method():
    flow, h = Flow(4), torch.randn(2, 4, 6, 6)
    dw = torch.randn(2, 8, 4, 6, 6)
    noisy, expected = flow(h, dw, span=2.), h
    flow.sigma.zero_()
    for _ in range(8):
        expected = expected + flow.drift(expected) * .25
    assert torch.equal(flow(h, dw, span=2.), expected) and not torch.equal(noisy, expected)


@torch.no_grad()
@pytest.mark.parametrize("n", [1, 10])
def test_noise_alone_has_variance_sigma_squared_times_span(n):
    flow = Flow(4)
    flow.drift = nn.Sequential(Linear(), nn.Threshold(1e9, 0.))          # zero everywhere
    ends = flow(torch.zeros(500, 4, 6, 6), torch.randn(500, n, 4, 6, 6, generator=torch.Generator().manual_seed(1)), 3.)
    assert ends.var().item() == pytest.approx(imageflownet.SIGMA ** 2 * 3, rel=.03)


@torch.no_grad()
def test_a_linear_drift_converges_to_the_exponential():
    flow, h = Flow(4), torch.ones(1, 4, 2, 2)
    flow.drift = Linear()
    flow.sigma.zero_()
    ends = [flow(h, torch.zeros(1, n, 4, 2, 2), 1.) for n in (20, 40, 80)]
    errors = [(end - math.exp(-1)).abs().max().item() for end in ends]
    assert errors[0] < .01
    assert all(1.9 < coarse / fine < 2.1 for coarse, fine in zip(errors, errors[1:], strict=False))


def test_each_stage_changes_its_own_weights_only(tmp_path):
    made = fitted("imageflownet", tmp_path, write_system_run(tmp_path))
    start = System(tmp_path / "elsewhere", P).nets.state_dict()
    end, (unet,) = load_file(made.folder / "model.safetensors"), (made.folder / "checkpoints" / "unet").iterdir()
    after_unet = load_file(unet / "weights.safetensors")
    assert after_unet.keys() == {name for name in end if name.startswith("unet.")}
    assert all(torch.equal(end[name], weight) for name, weight in after_unet.items())
    assert any(not torch.equal(start[name], end[name]) for name in after_unet)
    assert all(not torch.equal(start[f"flows.{i}.sigma"], end[f"flows.{i}.sigma"]) for i in range(5))


def test_it_learns_that_every_image_brightens(tmp_path):
    g = torch.Generator().manual_seed(0)
    x1 = F.interpolate(torch.rand(48, 1, 4, 4, generator=g) - .7, size=16, mode="bilinear")
    pairs = SimpleNamespace(augmented=lambda *_: (x1, x1 + .4))
    p = SimpleNamespace(**vars(P) | dict(image_size=16, system_channels=[16, 32], system_steps=120, system_batch=12,
                                         system_rates=[1e-2], system_tune_steps=1, save_every=999))
    made = System(tmp_path, p, key="k")
    for stage in made.stages(pairs, pairs):
        made._train(stage, len(x1))
    with torch.no_grad():
        x2_hat = made.forecast(x1, lambda shape, *keys: torch.randn(48, *shape, generator=g))
        change = x2_hat - made.rebuild(x1)
    assert change.mean().item() == pytest.approx(.4, abs=.05)
    assert F.mse_loss(x2_hat, x1 + .4) < .2 * .4 ** 2
