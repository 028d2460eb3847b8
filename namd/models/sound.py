"""What makes settings and weights of a model unusable, each in one sentence, and what a library said of it."""

import math

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from namd.ground.errors import UserError
from namd.ground.text import read_json, read_text

# what the libraries raise on absent, damaged or odd files
UNREADABLE = (OSError, ValueError, RuntimeError, SafetensorError, TypeError, LookupError, AttributeError,
              ArithmeticError, StrictDataclassError)
UNFIT = "its weights do not have the shapes that its config.json tells"


def first_line(error: Exception) -> str:
    """What a library said, without its hints; the error's own name when it said nothing.

    Source: a first line that ends in a colon only introduces the next; transformers tells shapes that do not fit in a
    table, which is not printed.
    """
    if "look at the above report" in str(error):
        return UNFIT
    first, *others = str(error).splitlines() or [type(error).__name__]
    return " ".join([first, *(line.strip() for line in others[:1])]) if first.endswith(":") else first


def settings(file, what: str) -> dict:
    """What a file config.json says.

    Args:
        file: Path; what: begins the sentences, e.g. "autorad_encoder".

    Raises:
        UserError: no JSON, or no object of names and values.
    """
    mend = "write the model again, or fetch it again"
    try:
        told = read_json(read_text(file, str(file)), str(file))
    except UserError as error:
        raise UserError(f"{what}: {str(error).rstrip('.')}; {mend}.") from None
    if not isinstance(told, dict):
        raise UserError(f"{what}: {file} is JSON without names ({str(told)[:20]}), so it describes no model; {mend}.")
    return told


def check_sizes(config, names, path, what: str) -> None:
    """One sentence where a configuration has a size that is no whole number above 0.

    Args:
        config: of transformers; names: of the sizes; path: where it was read; what: as in `settings`.

    Source: ours, because transformers builds a network of 0 pixels or of -2 heads, which fails at its first image.
    """
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or value < 1:
            raise UserError(f"{what}: config.json of '{path}' says {name}: {value}, which is no whole number above 0; "
                            "mend it, or fetch it again.")


def untrained(kind, config, path, what: str):
    """A model of a configuration with drawn weights, or a refusal.

    Args:
        kind: the model's class; config: of transformers; path: where it was read; what: as in `settings`.

    Raises:
        UserError: no model can be made of it.
    """
    try:
        return kind(config)
    except UNREADABLE as error:
        raise unmade(path, error, what) from error


def unmade(path, error: Exception, what: str) -> UserError:
    """The sentence about a config.json at `path` of which nothing can be made."""
    return UserError(f"{what}: config.json of '{path}' describes no model that can be made ({first_line(error)}); "
                     "mend it, or fetch it again.")


def check_complete(missing, path, what: str) -> None:
    """One sentence where the file at `path` lacks weights, whose names are `missing`."""
    if missing:
        raise UserError(f"{what}: '{path}' lacks {len(missing)} weights, the first is {min(missing)}; the file is "
                        "incomplete or belongs to another architecture, so fetch or write it again.")


def check_placed(foreign, path, what: str) -> None:
    """One sentence where the file at `path` holds weights that its configuration has no place for: `foreign`."""
    if foreign:
        raise UserError(f"{what}: '{path}' holds {len(foreign)} weights for which its configuration has no place, the "
                        f"first is {min(foreign)}; one of the two files is of another model, so fetch both again.")


def check_finite(weights, path, what: str) -> None:
    """One sentence where weights of the file at `path`, {name: tensor}, hold NaN or infinity.

    Source: ours, by their sums, because `isfinite` of an embedding of 262,000 words takes another 3 GB.
    """
    wrong = [name for name, weight in weights.items() if not weight.sum().isfinite()]
    if wrong:
        raise UserError(f"{what}: '{path}' holds NaN or infinity in {len(wrong)} weights, the first is {min(wrong)}; "
                        "the file is damaged or its training failed, so fetch or write it again.")


def check_scale(scale, path) -> None:
    """One sentence where config.json scales latents to nothing, or to no numbers."""
    if not (isinstance(scale, int | float) and 0 < scale < math.inf):
        raise UserError(f"vae_path: config.json of '{path}' says scaling_factor: {scale}, which is no number above 0; "
                        "mend it, or fetch it again.")


def check_gemma(model_type, path) -> None:
    """One sentence where the language model at `path` is no Gemma 3; None is a configuration that does not tell."""
    if not str(model_type or "gemma3").startswith("gemma3"):
        raise UserError(f"llm_path: {path} is a model of type {model_type}, where a Gemma 3 is needed: name its"
                        " folder or hub id, or leave llm_path empty and run notebook 01 for the small one.")
