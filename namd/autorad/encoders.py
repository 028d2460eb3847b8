"""Frozen image encoders: AIMv2 and CLIP by hub id or directory, a small AIMv2, EfficientNet-Lite0 of ImageNet."""

import torch
import torch.nn.functional as F
from transformers import (
    Aimv2VisionConfig,
    Aimv2VisionModel,
    CLIPConfig,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedConfig,
)
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.utils import logging

from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights
from namd.models import efficientnet, hub

LITE0 = "efficientnet_lite0"
LITE0_SIZE = 128                    # px; that of ImageNet's pictures was 224, and a stored crop has 128
AIMV2 = Aimv2VisionConfig.model_type
WHOLE_CLIP = CLIPConfig.model_type
CLIP = CLIPVisionConfig.model_type
BATCH = 64
WHAT = "autorad_encoder"
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
        UserError: nothing loadable there, another model, AIMv2 in its first layout or with a pooling head, or weights
            missing from the file.

    Source: Fini et al. 2024 (AIMv2; apple-amlr, research only); Radford et al. 2021 (CLIP); Lite0:
    `namd.models.efficientnet`.
    """
    if path == LITE0:
        return Encoder(efficientnet.imagenet(efficientnet.Whole), efficientnet.FEATURES, LITE0_SIZE)
    net, tower, _ = _parts(_settings(path), path)
    logging.disable_progress_bar()
    return Encoder.of(net(hub.load(tower, path, "", WHAT)))


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
        return unloaded(_settings(path), path)


def unloaded(told: dict, path) -> Encoder:
    """The encoder of a config.json, `told`, whose weights are drawn and not read.

    Args:
        path: where it was read, for the sentence.

    Raises:
        UserError: as `load_encoder`, of the configuration.
    """
    net, tower, config = _parts(told, path)
    return Encoder.of(net(tower(config)))


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
    kind = told.get("model_type")
    if kind in (CLIP, WHOLE_CLIP):
        return Clip, ClipTower, CLIPVisionConfig(**told.get("vision_config", told))
    _refuse_other(told, path)
    return Aimv2, Aimv2VisionModel, Aimv2VisionConfig.from_dict(told)


def _settings(path) -> dict:
    """What config.json at `path` says.

    Raises:
        UserError: there is none to read.
    """
    name, revision = hub.split(path)
    try:
        told, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
    except hub.UNREADABLE as error:
        raise UserError(f"{WHAT}: nothing can be loaded from '{path}' ({hub.first_line(error)}); {hub.advice(path)}, "
                        f"or use {LITE0}, whose weights come with the installation.") from None
    return told


def _refuse_other(told: dict, path) -> None:
    """One sentence where a config.json, `told`, is not that of AIMv2's vision tower without a head.

    Source: repositories written before transformers knew AIMv2 have other names for every weight, and would be read as
    random ones; use_head is true where a file leaves it out.
    """
    kind = told.get("model_type")
    if kind == "aimv2" and "vision_config" not in told:
        raise UserError(f"{WHAT}: '{path}' is AIMv2 in its first layout (model_type aimv2), of which today's classes "
                        f"read no weight: pin a later revision of it, whose config.json says {AIMV2}.")
    if kind != AIMV2:
        raise UserError(f"{WHAT}: '{path}' is a model of type {kind or 'unknown'} and not AIMv2's vision tower "
                        f"({AIMV2}) or CLIP ({WHOLE_CLIP}, {CLIP}): give one, or {LITE0}.")
    if told.get("use_head", True):
        raise UserError(f"{WHAT}: config.json of '{path}' says use_head: true, or nothing, which means the same, "
                        "but AutoRad-Lung averages patch tokens and has no pooling head: give a checkpoint without one,"
                        " whose config.json says use_head: false.")
