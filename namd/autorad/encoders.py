"""Frozen image encoders: AIMv2 by hub id or directory, a small one of its form, EfficientNet-Lite0 of ImageNet."""

import torch
import torch.nn.functional as F
from transformers import Aimv2VisionConfig, Aimv2VisionModel, PreTrainedConfig
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.utils import logging

from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights
from namd.models import efficientnet, hub

LITE0 = "efficientnet_lite0"
LITE0_SIZE = 128                    # px; that of ImageNet's pictures was 224, and a stored crop has 128
AIMV2 = Aimv2VisionConfig.model_type
BATCH = 64
WHAT = "autorad_encoder"


class Aimv2(torch.nn.Module):
    """AIMv2 as a feature extractor: the mean of its patch tokens after the last norm, as it has no class token."""

    def __init__(self, tower: Aimv2VisionModel):
        super().__init__()
        self.tower = tower
        self.register_buffer("mean", torch.tensor(OPENAI_CLIP_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_CLIP_STD).view(3, 1, 1), persistent=False)

    def pixels(self, x) -> torch.Tensor:
        """(N, 3, S, S) as AIMv2 was trained on them, of images (N, 1, S, S) in [-1, 1].

        Source: its preprocessor_config.json (CLIP's mean and standard deviation of 0 .. 1).
        """
        return ((x + 1) / 2 - self.mean) / self.std

    def tokens(self, x, mask=None) -> torch.Tensor:
        """(N, n, P), one token a patch, of images (N, 1, S, S) in [-1, 1].

        Args:
            mask: (N, 1, n, n) bool, which patch sees which; all see all when None.
        """
        return self.tower(self.pixels(x), attention_mask=mask).last_hidden_state

    def forward(self, x) -> torch.Tensor:
        """(N, P) of images (N, 1, S, S) in [-1, 1]."""
        return self.tokens(x).mean(1)


class Encoder:
    """A frozen network from an image to a vector.

    Args:
        net: (N, 1, size, size) in [-1, 1] -> (N, P); width: P; size: side of the images it sees, px.
    """

    @classmethod
    def of(cls, net: Aimv2) -> "Encoder":
        """The encoder that AIMv2's vision tower makes."""
        return cls(net, net.tower.config.hidden_size, net.tower.config.image_size)

    def __init__(self, net, width: int, size: int):
        self.net = net.eval().requires_grad_(False)
        self.width = width
        self.size = size

    def to(self, device) -> "Encoder":
        """Itself, on `device`."""
        self.net.to(device)
        return self

    @torch.no_grad()
    def embed(self, x) -> torch.Tensor:
        """(N, P) float32, on the encoder's device, of images (N, 1, S, S) in [-1, 1] of any side S, brought to `size`.

        Source: bicubic, as AIMv2's own processor.
        """
        device = next(self.net.parameters()).device
        return torch.cat([self.net(resized(part.to(device), self.size)) for part in x.split(BATCH)])


def resized(x, size: int) -> torch.Tensor:
    """Images (N, 1, S, S) in [-1, 1] with another side, smoothed before where that is fewer pixels."""
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)


def load_encoder(path) -> Encoder:
    """The image encoder that `path` names, frozen.

    Args:
        path: "efficientnet_lite0" (its ImageNet weights come with the installation), a directory or hub repository with
            AIMv2's vision tower, e.g. "apple/aimv2-large-patch14-224@<revision>" (1,024 wide, 309.2 M weights).

    Raises:
        UserError: nothing loadable there, no AIMv2, its first layout, a pooling head, or weights missing from the file.

    Source: Fini et al. 2024 (AIMv2; apple-amlr, research only); Lite0: `namd.models.efficientnet`.
    """
    if path == LITE0:
        return Encoder(efficientnet.imagenet(efficientnet.Whole), efficientnet.FEATURES, LITE0_SIZE)
    _settings(path)
    logging.disable_progress_bar()
    return Encoder.of(Aimv2(hub.load(Aimv2VisionModel, path, "", WHAT)))


def random_encoder(path, seed: int) -> Encoder:
    """The architecture that `path` names with random weights of `seed`: what an encoder is worth that learnt nothing.

    Args:
        path: as of `load_encoder`.

    Raises:
        UserError: as `load_encoder`, of the configuration.
    """
    with fresh_weights(seed, "random encoder"):
        if path == LITE0:
            return Encoder(efficientnet.random(efficientnet.Whole), efficientnet.FEATURES, LITE0_SIZE)
        return Encoder.of(Aimv2(Aimv2VisionModel(Aimv2VisionConfig.from_dict(_settings(path)))))


def _settings(path) -> dict:
    """What config.json at `path` says, as `accepted`."""
    name, revision = hub.split(path)
    try:
        told, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
    except hub.UNREADABLE as error:
        raise UserError(f"{WHAT}: nothing can be loaded from '{path}' ({hub.first_line(error)}); {hub.advice(path)}, "
                        f"or use {LITE0}, whose weights come with the installation.") from None
    return accepted(told, path)


def accepted(told: dict, path) -> dict:
    """What a config.json says, `told`, where it is that of AIMv2's vision tower without a head.

    Args:
        path: where it was read, for the sentence.

    Raises:
        UserError: it is another model's, or that of AIMv2's first layout, or it has a pooling head.

    Source: repositories written before transformers knew AIMv2 have other names for every weight, and would be read as
    random ones; use_head is true where a file leaves it out.
    """
    kind = told.get("model_type")
    if kind == "aimv2" and "vision_config" not in told:
        raise UserError(f"{WHAT}: '{path}' is AIMv2 in its first layout (model_type aimv2), of which today's classes "
                        f"read no weight: pin a later revision of it, whose config.json says {AIMV2}.")
    if kind != AIMV2:
        raise UserError(f"{WHAT}: '{path}' is a model of type {kind or 'unknown'} and not AIMv2's vision tower "
                        f"({AIMV2}): give one, or {LITE0}.")
    if told.get("use_head", True):
        raise UserError(f"{WHAT}: config.json of '{path}' says use_head: true, or nothing, which means the same, "
                        "but AutoRad-Lung averages patch tokens and has no pooling head: give a checkpoint without one,"
                        " whose config.json says use_head: false.")
    return told
