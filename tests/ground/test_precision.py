"""bfloat16 reaches the networks that were adopted, and nothing else."""

import copy

import pytest
import torch
from torch import nn

from namd.ground import precision, seeding
from namd.training import checkpoint, loop


class Network(nn.Module):
    """Answers a dictionary, as the models of the libraries do."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 4, 1))

    def forward(self, x):
        return {"sample": self.body(x)}


@pytest.fixture
def set_arithmetic():
    yield precision.set_arithmetic
    precision.set_arithmetic("float32")


def build(arithmetic="float32"):
    with seeding.fresh_weights("precision"):
        return precision.adopt(Network(), arithmetic)


def history(folder, arithmetic):
    net, x = build(arithmetic), seeding.noise((16, 4, 8, 8), "x")
    rows = loop.fit(lambda idx, g, i: {"loss": (net(x[idx])["sample"] - x[idx].flip(1)).square().mean()}, net,
                    n_steps=10, n_items=16, batch_size=8, lr=loop.constant(1e-2), stage="p", seed=0, folder=folder,
                    log=lambda line: None)
    return net, rows["loss"].to_numpy()


def test_bfloat16_trains_with_float32_weights_moments_and_answers(tmp_path):
    _, exact = history(tmp_path / "exact", "float32")
    net, rounded = history(tmp_path / "rounded", "bfloat16")
    assert abs(rounded - exact).max() < 0.01 * exact[0] and abs(rounded - exact).max() > 0
    _, groups, _ = checkpoint.latest(tmp_path / "rounded")
    assert {t.dtype for group in groups.values() for t in group.values()} == {torch.float32}
    assert net(torch.ones(1, 4, 8, 8))["sample"].dtype == torch.float32


def test_only_adopted_networks_are_rounded_and_a_copy_answers_for_itself():
    x = seeding.noise((2, 4, 8, 8), "x")
    exact = build()(x)["sample"]
    net, plain = build("bfloat16"), Network()
    plain.load_state_dict(net.state_dict())
    assert torch.equal(plain(x)["sample"], exact)
    assert 0 < (net(x)["sample"] - exact).abs().max() < 0.05
    assert not torch.is_autocast_enabled("cpu")
    twin = copy.deepcopy(net)
    for weight in net.parameters():
        weight.data.zero_()
    assert twin(x)["sample"].abs().max() > 0


@pytest.mark.parametrize(("name", "rounds"), [("float32", False), ("tf32", True), ("bfloat16", False)])
def test_tf32_is_off_unless_it_is_asked_for(set_arithmetic, name, rounds):
    set_arithmetic(name)
    assert allows_tf32() == [rounds, rounds]


def allows_tf32():
    return [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32]
