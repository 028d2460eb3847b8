"""The layers of a run's parameters, files, `-p key=value` and a notebook's cell: read, checked, the last one wins."""

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, TypeAdapter, ValidationError

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.ground.text import read_text, read_yaml, suggest
from namd.study.params.model import Parameters
from namd.study.params.sentences import refusal

BASE = REPO / "params" / "paper.yaml"
KEYS = tuple(Parameters.model_fields)


@cache
def _adapter(key: str) -> TypeAdapter:
    """The check of one key alone."""
    field = Parameters.model_fields[key]
    return TypeAdapter(Annotated[field.annotation, field], config=ConfigDict(strict=True))


def validate(key: str, value, where: str = "the parameters"):
    """The value of `key` in its type.

    Args:
        key, value: as read; where: the file or cell, for the sentence.

    Raises:
        UserError: no such key, or a value of another type or out of bounds; it says how to mend it.
    """
    if key not in KEYS:
        raise UserError(f"{where}: there is no parameter {key!r};{suggest(key, KEYS)}"
                        " params/paper.yaml lists them all.")
    try:
        return _adapter(key).validate_python(value)
    except ValidationError as error:
        rule = Parameters.model_json_schema()["properties"][key]
        raise UserError(refusal(f"{where}: {key}", rule, error)) from None


def read_layer(path) -> dict:
    """Key-value pairs of one parameter file, not yet validated."""
    path = Path(path)
    if not path.exists():
        names = sorted(str(file.relative_to(REPO)) for file in (REPO / "params").rglob("*.yaml"))
        shown = path.resolve().relative_to(REPO) if path.resolve().is_relative_to(REPO) else path
        raise UserError(f"There is no parameter file {shown}; choose one of {', '.join(names)}.")
    layer = read_yaml(read_text(path, f"The parameter file {path.name}"), path.name)
    if layer is not None and not isinstance(layer, dict):
        raise UserError(f"{path.name} holds no `key: value` lines.")
    return layer or {}


def read_pair(pair: str) -> dict:
    """{key: value} of one `-p key=value`, not yet validated; nothing behind the = is the empty text."""
    key, mark, value = pair.partition("=")
    if not mark:
        raise UserError(f"-p {pair}: write -p key=value.")
    return {key.strip(): read_yaml(value, f"-p {pair}") if value.strip() else ""}


def load(files=(), pairs=(), ablations=()) -> dict:
    """params/paper.yaml, each of `files`, each `key=value` of `pairs`, each of `ablations`: one dict, last wins.

    Raises:
        UserError: a file, a value, or what values are together; one sentence.

    Source: ours, because a file of differences is read as the list of departures from the paper.
    """
    layers = [(Path(file).name, read_layer(file)) for file in (BASE, *files)]
    layers += [(f"-p {pair}", read_pair(pair)) for pair in pairs]
    layers += [(Path(file).name, read_layer(file)) for file in ablations]
    merged = {}
    for where, layer in layers:
        for key, value in layer.items():
            merged[key] = validate(key, value, where)
    return dict(Parameters(**merged))


def declared(scope: dict, where: str) -> Parameters:
    """The parameters that a notebook's parameters cell sets.

    Args:
        scope: the notebook's globals(), of which the names of parameters are taken; where: as in `validate`.

    Raises:
        UserError: a value is wrong, or contradicts another.
    """
    values = {key: validate(key, scope[key], where) for key in KEYS if key in scope}
    return Parameters.part(values)
