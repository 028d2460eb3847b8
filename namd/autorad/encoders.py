"""Frozen image encoders: AIMv2 and CLIP by hub id or directory, a small AIMv2, EfficientNet-Lite0 of ImageNet."""

import torch
import torch.nn.functional as F
from transformers import Aimv2VisionModel, CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.utils import logging

from namd.autorad import settings
from namd.autorad.settings import LITE0, WHAT
from namd.ground.seeding import fresh_weights
from namd.models import efficientnet, hub, sound

LITE0_SIZE = 128                    # px; that of ImageNet's pictures was 224, and a stored crop has 128
BATCH = 16                          # on one core 1.8 times as fast as 64, whose layers leave its cache
PUBLISHED = ("apple/aimv2-", "openai/clip-")        # how repositories of AIMv2 and of CLIP begin


class Seen(torch.nn.Module):
    """A vision tower of transformers that sees images as CLIP's were."""

    def __init__(self, tower):
        super().__init__()
        self.tower = tower
        self.register_buffer("mean", torch.tensor(OPENAI_CLIP_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_CLIP_STD).view(3, 1, 1), persistent=False)

    def pixels(self, x) -> torch.Tensor:
        """(N, 3, S, S) as CLIP and AIMv2 were trained on them, of images (N, 1, S, S) in [-1, 1].

        Source: preprocessor_config.json of both (CLIP's mean and standard deviation of 0 .. 1).
        """
        return ((x + 1) / 2 - self.mean) / self.std


class Aimv2(Seen):
    """AIMv2 as a feature extractor: the mean of its patch tokens after the last norm, as it has no class token."""

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return self.tower.config.hidden_size

    def tokens(self, x, mask=None) -> torch.Tensor:
        """(N, n, P), one token a patch, of images (N, 1, S, S) in [-1, 1].

        Args:
            mask: (N, 1, n, n) bool, which patch sees which; all see all when None.
        """
        return self.tower(self.pixels(x), attention_mask=mask).last_hidden_state

    def forward(self, x) -> torch.Tensor:
        """(N, P) of images (N, 1, S, S) in [-1, 1]."""
        return self.tokens(x).mean(1)


class ClipTower(CLIPVisionModelWithProjection):
    """CLIP's image tower with its projection, read from a file of its own or of the whole model."""

    _keys_to_ignore_on_load_unexpected = [r"^text_model\.", r"^text_projection\.", r"^logit_scale$"]


class Clip(Seen):
    """CLIP's image encoder: its class token, projected to where the text embeddings are.

    Source: Radford et al. 2021, Sec. 2.4.
    """

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return self.tower.config.projection_dim

    def forward(self, x) -> torch.Tensor:
        """(N, P) of images (N, 1, S, S) in [-1, 1]."""
        return self.tower(self.pixels(x)).image_embeds


class Encoder:
    """A frozen network from an image to a vector.

    Args:
        net: (N, 1, size, size) in [-1, 1] -> (N, P); width: P; size: side of the images it sees, px.
    """

    @classmethod
    def of(cls, net: Seen) -> "Encoder":
        """The encoder that a vision tower of AIMv2 or CLIP makes."""
        return cls(net, net.width, net.tower.config.image_size)

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

        Source: bicubic, as the processors of AIMv2 and CLIP.
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
        path: "efficientnet_lite0" (its ImageNet weights come with the installation), or a directory or hub repository
            with the vision tower of AIMv2, e.g. "apple/aimv2-large-patch14-224@<revision>" (1,024 wide, 309.2 M
            weights), or of CLIP, alone or in the whole model, e.g. "openai/clip-vit-large-patch14@<revision>" (768).

    Raises:
        UserError: nothing loadable there, another model, AIMv2 in its first layout or with a pooling head, sizes that
            no network has, or weights that the file lacks, holds beyond the configuration, or holds as NaN or infinity.

    Source: Fini et al. 2024 (AIMv2; apple-amlr, research only); Radford et al. 2021 (CLIP); Lite0:
    `namd.models.efficientnet`.
    """
    if path == LITE0:
        return Encoder(efficientnet.imagenet(efficientnet.Whole), efficientnet.FEATURES, LITE0_SIZE)
    net, tower, _ = _parts(settings.told(path), path)
    logging.disable_progress_bar()
    return Encoder.of(net(hub.load_whole(tower, path, WHAT)))


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
        return unloaded(settings.told(path), path)


def unloaded(told: dict, path) -> Encoder:
    """The encoder of a config.json, `told`, whose weights are drawn and not read.

    Args:
        path: where it was read, for the sentence.

    Raises:
        UserError: as `load_encoder`, of the configuration.
    """
    net, tower, config = _parts(told, path)
    return Encoder.of(net(sound.untrained(tower, config, path, WHAT)))


def unpublished(autoregressive, contrastive) -> str:
    """Why two encoders are not AIMv2 and CLIP as published, in a clause; "" where they are.

    Args:
        autoregressive, contrastive: paths as of `load_encoder`, or empty.

    Source: ours, because the names of arms do not tell whose weights they read; a directory may hold anybody's.
    """
    named = {"autorad_autoregressive": autoregressive, "autorad_contrastive": contrastive}
    found = []
    for start, (key, path) in zip(PUBLISHED, named.items(), strict=True):
        local = hub.directory(path)
        if local or not str(path).startswith(start):
            found.append(f"{key} is {local.name if local else path or 'empty'} and not {start}...@<revision>")
    return ", ".join(found)


def _parts(told: dict, path) -> tuple:
    """The network, the tower in it and its configuration that a config.json, `told`, asks for.

    Raises:
        UserError: as `load_encoder`, of the configuration.
    """
    config = settings.configured(told, path)
    if isinstance(config, CLIPVisionConfig):
        return Clip, ClipTower, config
    return Aimv2, Aimv2VisionModel, config
