"""What config.json says of an image encoder, and why it is none of AIMv2 or CLIP that can be used."""

from transformers import Aimv2VisionConfig, CLIPConfig, CLIPVisionConfig, PreTrainedConfig

from namd.ground.errors import UserError
from namd.models import hub, sound

LITE0 = "efficientnet_lite0"
WHAT = "autorad_encoder"
AIMV2 = Aimv2VisionConfig.model_type
WHOLE_CLIP = CLIPConfig.model_type
CLIP = CLIPVisionConfig.model_type
CHANNELS = 3                        # of what a tower sees, grey three times
SIZES = ("image_size", "patch_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def told(path) -> dict:
    """What config.json at `path` says.

    Raises:
        UserError: there is none to read, or it is no JSON object.
    """
    file = hub.file_of(path, "config.json")
    if file and hub.directory(path):
        return sound.settings(file, WHAT)
    name, revision = hub.split(path)
    try:
        if hub.directory(path):
            raise FileNotFoundError(hub.NO_CONFIG)
        found, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
    except sound.UNREADABLE as error:
        raise UserError(f"{WHAT}: nothing can be loaded from '{path}' ({sound.first_line(error)}); {hub.advice(path)}, "
                        f"or use {LITE0}, whose weights come with the installation.") from None
    return found


def configured(said: dict, path) -> CLIPVisionConfig | Aimv2VisionConfig:
    """The configuration of the vision tower that a config.json, `said`, asks for; its own or that of a whole CLIP.

    Args:
        path: where it was read, for the sentence.

    Raises:
        UserError: another model, AIMv2 in its first layout or with a pooling head, or sizes that no network has.
    """
    clip = said.get("model_type") in (CLIP, WHOLE_CLIP)
    if not clip:
        _refuse_other(said, path)
    try:
        config = CLIPVisionConfig(**said.get("vision_config", said)) if clip else Aimv2VisionConfig.from_dict(said)
    except sound.UNREADABLE as error:
        raise sound.unmade(path, error, WHAT) from error
    sound.check_sizes(config, SIZES, path, WHAT)
    _refuse_unseen(config, path)
    return config


def _refuse_unseen(config, path) -> None:
    """One sentence where a tower sees no whole patch, or other channels than it is shown."""
    if config.num_channels != CHANNELS or config.image_size < config.patch_size:
        raise UserError(f"{WHAT}: config.json of '{path}' says num_channels: {config.num_channels}, image_size: "
                        f"{config.image_size} and patch_size: {config.patch_size}, but a tower is shown {CHANNELS} "
                        "channels of one patch or more; mend it, or fetch it again.")


def _refuse_other(said: dict, path) -> None:
    """One sentence where a config.json, `said`, is not that of AIMv2's vision tower without a head.

    Source: repositories written before transformers knew AIMv2 have other names for every weight, and would be read as
    random ones; use_head is true where a file leaves it out.
    """
    kind = said.get("model_type")
    if kind == "aimv2" and "vision_config" not in said:
        raise UserError(f"{WHAT}: '{path}' is AIMv2 in its first layout (model_type aimv2), of which today's classes "
                        f"read no weight: pin a later revision of it, whose config.json says {AIMV2}.")
    if kind != AIMV2:
        raise UserError(f"{WHAT}: '{path}' is a model of type {kind or 'unknown'} and not AIMv2's vision tower "
                        f"({AIMV2}) or CLIP ({WHOLE_CLIP}, {CLIP}): give one, or {LITE0}.")
    if said.get("use_head", True):
        raise UserError(f"{WHAT}: config.json of '{path}' says use_head: true, or nothing, which means the same, "
                        "but AutoRad-Lung averages patch tokens and has no pooling head: give a checkpoint without one,"
                        " whose config.json says use_head: false.")
