"""Perceptual distance, the L_LPIPS of Eq. 6 and a column of Table 1: two images as a frozen network sees them."""

import warnings

import lpips
import torch
import torch.nn.functional as F
from torch import nn

from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights
from namd.models import efficientnet

LITE0 = "efficientnet_lite0"
NETS = ("vgg", "alex", "squeeze", LITE0)
WEIGHTS = ("imagenet", "random")


class Lpips(lpips.LPIPS):
    """The package's LPIPS with its halves apart, so that an image compared with several is read once."""

    pools = False           # whether a column of Table 1 compares the means of the features

    def features(self, x) -> list[torch.Tensor]:
        """Feature maps of images (B, 1 or 3, S, S) in [-1, 1], one (B, C, h, w) a layer."""
        return self.net(self.scaling_layer(x))

    def between(self, features, others) -> torch.Tensor:
        """Distance of two images from their `features`: (B, 1, 1, 1)."""
        layers = zip(self.lins, features, others, strict=True)
        return sum(lpips.spatial_average(lin((lpips.normalize_tensor(a) - lpips.normalize_tensor(b)) ** 2))
                   for lin, a, b in layers)


class Lite0Distance(nn.Module):
    """LPIPS without its heads: squared difference of unit features, averaged over space and over stages.

    One stage's is 2 - 2 cos of the angle between two pixels' features, so the distance lies in [0, 4].

    Source: Zhang et al. 2018, Eq. 1 with w = 1: nobody published heads for EfficientNet-Lite0. Its values are no LPIPS.
    """

    def __init__(self, net, trained):
        super().__init__()
        self.net = net
        self.pools = trained

    def features(self, x) -> list[torch.Tensor]:
        """Feature maps of images (B, 1 or 3, S, S) in [-1, 1], one (B, C, h, w) a stage."""
        return self.net(x)

    def between(self, features, others) -> torch.Tensor:
        """Distance of two images from their `features`: (B, 1, 1, 1)."""
        stages = [(F.normalize(a) - F.normalize(b)).square().sum(1, keepdim=True).mean((2, 3), keepdim=True)
                  for a, b in zip(features, others, strict=True)]
        return sum(stages) / len(stages)

    def forward(self, x, x_hat):
        return self.between(self.features(x), self.features(x_hat))


def load_perceptual(net: str, weights: str, seed: int) -> nn.Module:
    """Frozen perceptual distance in eval mode.

    Args:
        net: "vgg", "alex" or "squeeze" for LPIPS, "efficientnet_lite0" for `Lite0Distance`.
        weights: "imagenet", or "random" for a seeded random network; the linear heads of LPIPS are the published
            ones either way.
        seed: names the random network.

    Returns:
        module (x, x_hat) -> (B, 1, 1, 1), dimensionless, for images (B, 1 or 3, S, S) in [-1, 1]; 0 for equal
        images. Values of different networks do not compare.

    Raises:
        UserError: an unknown name, or ImageNet weights that are neither installed, cached nor downloadable.

    Source: Sec. 3.2.3, Zhang et al. 2018. `efficientnet_lite0` is ours, because its trained filters come with the
    installation; `random` is ours, to show what training them is worth.
    """
    if net not in NETS or weights not in WEIGHTS:
        raise UserError(f"lpips_net = {net!r} with lpips_weights = {weights!r} does not exist: use one of "
                        f"{', '.join(NETS)}, with {' or '.join(WEIGHTS)}.")
    with warnings.catch_warnings(), fresh_weights(seed, "perceptual", net):
        warnings.simplefilter("ignore")
        distance = _lite0(weights) if net == LITE0 else _lpips(net, weights)
    return distance.requires_grad_(False).eval()


def _lite0(weights):
    trained = weights == "imagenet"
    return Lite0Distance(efficientnet.imagenet() if trained else efficientnet.random(), trained)


def _lpips(net, weights):
    try:
        return Lpips(net=net, pnet_rand=weights == "random", verbose=False)
    except OSError as error:
        raise UserError(
            f"The ImageNet weights of {net} are not in the torch hub cache ({torch.hub.get_dir()}) and could not be "
            f"downloaded: copy them there, or set lpips_weights: random, or lpips_net: {LITE0}.") from error
