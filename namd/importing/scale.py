"""The factor on the latents, which the authors' code keeps in a YAML file and not in a checkpoint."""

import math
from pathlib import Path

from namd.ground.errors import UserError
from namd.ground.text import read_text, read_yaml


def latent_scale(folder, p) -> float:
    """The scale_factor of the YAML files of a folder; the parameter `latent_scale` where none tells it.

    Raises:
        UserError: neither tells it, two files differ, or it is still the authors' placeholder.

    Source: authors' code (configs/ldm: model.params.scale_factor, printed by a script and pasted in by hand).
    """
    told = {}
    for file in sorted(file for file in Path(folder).iterdir() if file.suffix in (".yaml", ".yml")):
        value = _scale_factor(read_yaml(read_text(file, str(file)), str(file)))
        if value is not None:
            told[file.name] = _number(value, file)
    if len(set(told.values())) > 1:
        raise UserError(f"{folder}: {' and '.join(told)} tell different scale factors"
                        f" ({', '.join(f'{value:g}' for value in told.values())}): leave the one of these checkpoints.")
    if told:
        return next(iter(told.values()))
    if p.latent_scale > 0:
        return p.latent_scale
    raise UserError(f"No YAML file in {folder} tells model.params.scale_factor: put that of the authors' conditional"
                    " stage there, or give the number, -p latent_scale=0.18215.")


def _scale_factor(said):
    """What a file says under model.params.scale_factor; None where it has no such place."""
    for name in ("model", "params", "scale_factor"):
        said = said.get(name) if isinstance(said, dict) else None
    return said


def _number(value, file) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < value < 1000 and math.isfinite(value)):
        raise UserError(f"{file}: scale_factor is {value!r}: write the number that these checkpoints were trained"
                        " with.")
    return float(value)
