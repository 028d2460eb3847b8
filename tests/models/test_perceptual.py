"""The perceptual distances: by hand, seeded, frozen, and what training their filters changes."""

import pytest
import torch

from namd.ground.errors import UserError
from namd.models.perceptual import LITE0, Lite0Distance, load_perceptual


def picture(n, seed=0):
    return torch.rand(n, 1, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("net", ["squeeze", LITE0])
def test_random_is_seeded_frozen_and_passes_gradients_to_the_image(net):
    one, same, other = (load_perceptual(net, "random", s) for s in (23, 23, 24))
    x = picture(2)
    x_hat = (x * 0.5).requires_grad_()
    distance = one(x, x_hat)
    assert distance.shape == (2, 1, 1, 1) and (distance > 0).all() and one(x, x).abs().max() == 0
    assert torch.equal(distance, same(x, x_hat)) and not torch.equal(distance, other(x, x_hat))
    distance.sum().backward()
    assert x_hat.grad.abs().sum() > 0 and all(w.grad is None for w in one.parameters())
    assert not one.training and not any(w.requires_grad for w in one.parameters())


def test_lite0_averages_squared_differences_of_unit_features_over_space_and_stages():
    a = [torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 2), torch.tensor([[[[2.0]]]])]
    b = [torch.tensor([[4.0, 3.0], [30.0, 40.0]]).T.reshape(1, 2, 1, 2), torch.tensor([[[[-1.0]]]])]
    first = ((0.6 - 0.8) ** 2 + (0.8 - 0.6) ** 2 + 0) / 2       # the second pixel has the same direction
    found = Lite0Distance(None, False).between(a, b)
    assert found.shape == (1, 1, 1, 1) and found.item() == pytest.approx((first + 4) / 2)


def test_trained_filters_hold_blur_against_an_image_and_random_ones_hardly_do():
    x = torch.nn.functional.interpolate(picture(4)[:, :, :32, :32], scale_factor=2, mode="nearest")
    blurred = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    brighter = x + (x - blurred).abs().mean((1, 2, 3), keepdim=True)
    price = {}
    for weights in ("imagenet", "random"):
        net = load_perceptual(LITE0, weights, 23)
        price[weights] = (net(x, blurred) / net(x, brighter)).mean().item()
    assert price["imagenet"] > 2 * price["random"] > 0, price


def test_lite0_needs_no_download(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert load_perceptual(LITE0, "imagenet", 23).pools and not load_perceptual(LITE0, "random", 23).pools
    assert not list(tmp_path.iterdir())


def test_an_unknown_network_is_refused():
    with pytest.raises(UserError, match="resnet"):
        load_perceptual("resnet", "random", 23)


def test_absent_imagenet_weights_are_mended_by_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="lpips_weights: random"):
        load_perceptual("squeeze", "imagenet", 23)
