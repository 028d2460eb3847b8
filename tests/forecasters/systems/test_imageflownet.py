"""ImageFlowNet: what its flows must do where the answer is known."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from safetensors.torch import load_file
from small_systems import P, fitted, write_system_run
from torch import nn

from namd.data.cohort import Pairs
from namd.forecasters.systems import imageflownet
from namd.forecasters.systems.imageflownet import FOLD, Flow, System, decode, encode, widths
from namd.ground import seeding

NOTHING = torch.zeros(3, 0)             # what the flows are told of a patient


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
    assert len(encode(net, x)) == len(made.nets["flows"]) == 9         # stem, four blocks, three ways down, bottleneck


@pytest.mark.parametrize(("channels", "levels"), [([32, 64], [16, 32, 64, 64]), ([128, 256, 512], [64, 128, 256, 512])])
def test_the_body_has_four_levels_and_attention_on_all_but_the_finest(tmp_path, channels, levels):
    assert widths(channels) == levels
    net = System(tmp_path, SimpleNamespace(**vars(P) | dict(system_channels=channels[:2]))).nets["unet"]
    states = encode(net, torch.zeros(1, 1, 64, 64))
    assert sorted({h.shape[-1] for h in states}) == [4, 8, 16, 32]
    attends = [any(isinstance(part, Attention) for part in block.modules())
               for block in (*net.down_blocks, net.mid_block, *net.up_blocks)]
    assert attends == [False, True, True, True, True, True, True, True, False]


@torch.no_grad()
def test_without_drift_and_noise_the_forecast_is_the_reconstruction(made):
    x1 = torch.rand(3, 1, 64, 64)
    for i, flow in enumerate(made.nets["flows"]):
        assert not torch.equal(made.forecast(x1, NOTHING, normal), made.rebuild(x1)), f"flow {i} reaches no image"
        still(flow)
    assert torch.equal(made.forecast(x1, NOTHING, normal), made.rebuild(x1))


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
    ends = flow(torch.zeros(500, 4, 6, 6), torch.randn(500, n, 4, 6, 6, generator=torch.Generator().manual_seed(1)),
                span=3.)
    assert ends.var().item() == pytest.approx(imageflownet.SIGMA ** 2 * 3, rel=.03)


@torch.no_grad()
def test_a_linear_drift_converges_to_the_exponential():
    flow, h = Flow(4), torch.ones(1, 4, 2, 2)
    flow.drift = Linear()
    flow.sigma.zero_()
    ends = [flow(h, torch.zeros(1, n, 4, 2, 2), span=1.) for n in (20, 40, 80)]
    errors = [(end - math.exp(-1)).abs().max().item() for end in ends]
    assert errors[0] < .01
    assert all(1.9 < coarse / fine < 2.1 for coarse, fine in zip(errors, errors[1:], strict=False))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


def test_the_first_stage_changes_the_unet_and_the_second_goes_on_with_it(run):
    made = fitted("imageflownet", *run)
    start = System(run[0] / "elsewhere", P).nets.state_dict()
    end, (unet,) = load_file(made.folder / "model.safetensors"), made.checkpoints.glob("unet/*/*")
    after_unet = load_file(unet / "weights.safetensors")
    assert after_unet.keys() == {name for name in end if name.startswith("unet.")}
    assert any(not torch.equal(start[name], weight) for name, weight in after_unet.items())
    assert any(not torch.equal(end[name], weight) for name, weight in after_unet.items())
    assert all(not torch.equal(start[f"flows.{i}.sigma"], end[f"flows.{i}.sigma"]) for i in range(9))


def gradients(made, stage):
    """{name: gradient} of one step of `stage` on the first 8 pairs, None where there is none."""
    made.nets.zero_grad()
    stage.step(torch.arange(8), seeding.generator("step"), 0)["loss"].backward()
    return {name: weight.grad for name, weight in made.nets.named_parameters()}


def test_the_error_of_the_follow_up_reaches_the_flows_and_reconstruction_the_unet_alone(run, monkeypatch):
    train, val = (Pairs(run[1].table[run[1].table.split == name], run[1]._crops) for name in ("train", "val"))
    made = System(run[0], P)
    alone, both = made.stages(train, val)
    assert all((grad is None) == name.startswith("flows.") for name, grad in gradients(made, alone).items())
    joined = gradients(made, both)
    assert all(grad is not None for grad in joined.values())
    monkeypatch.setattr(made, "forecast", lambda x1, known, noise: torch.zeros_like(x1))
    without = gradients(made, both)
    assert all(without[name] is None if name.startswith("flows.") else torch.equal(without[name], grad)
               for name, grad in joined.items())


def test_every_image_that_trains_has_noise_of_at_most_a_tenth(run, monkeypatch):
    train, val = (Pairs(run[1].table[run[1].table.split == name], run[1]._crops) for name in ("train", "val"))
    made, seen = System(run[0], P), []
    images = torch.cat([visit.flatten(0, 1) for visit in made.images(train)])
    monkeypatch.setattr(imageflownet, "encode", lambda net, x, real=encode: seen.append(x) or real(net, x))
    stage = list(made.stages(train, val))[1]
    stage.step(torch.arange(8), seeding.generator("step"), 0)
    assert [len(x) for x in seen] == [2, 2]                            # of two pairs: one image each; both baselines
    spread = [(images - x).flatten(1).std(1).min().item() for x in torch.cat(seen)]
    assert all(0 < value < 1.1 * imageflownet.INPUT_NOISE for value in spread)


def test_it_learns_that_every_image_brightens(tmp_path):
    g = torch.Generator().manual_seed(0)
    x1 = F.interpolate(torch.rand(48, 1, 4, 4, generator=g) - .7, size=32, mode="bilinear")
    pairs = SimpleNamespace(augmented=lambda *_: (x1, x1 + .4), ehr=range(48))
    p = SimpleNamespace(**vars(P) | dict(image_size=32, system_channels=[16, 16], system_steps=80, system_batch=6,
                                         imageflownet_part=1, system_rates=[1e-2], system_tune_steps=1,
                                         save_every=999))
    made = System(tmp_path, p, key="k")
    for stage in made.stages(pairs, pairs):
        made._loop(stage, len(x1), 1e-2, p.system_steps, stage.name)
    with torch.no_grad():
        x2_hat = made.forecast(x1, NOTHING, lambda shape, *keys: torch.randn(48, *shape, generator=g))
        change = x2_hat - made.rebuild(x1)
    assert change.mean().item() == pytest.approx(.4, abs=.05)
    assert F.mse_loss(x2_hat, x1 + .4) < .2 * .4 ** 2
