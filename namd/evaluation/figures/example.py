"""The arrays of one phantom subject on their way through the shipped pipeline, which the map shows."""

import json

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.paths import REPO

FILE = REPO / "outputs" / "reference" / "example.safetensors"


def write(arrays, record, report, path=FILE) -> None:
    """Keep the arrays and both texts.

    Args:
        arrays: {name: array}: crop HU, x1, z1, context, noise, z2, x2 (K, S, S), prob (K,).
        record: lines of a few of its fields; report: as the language model reads it.
    """
    small = {name: np.ascontiguousarray(values, np.int16 if name == "crop" else np.float16)
             for name, values in arrays.items()}
    with replacing(path) as aside:
        aside.write_bytes(save(small, {"record": json.dumps(record), "report": report}))


def read(path=FILE) -> dict:
    """What `write` kept: {name: array}, `record` and `report`.

    Raises:
        UserError: the file is not there, or is damaged.
    """
    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            said = file.metadata()
        return {**arrays, "record": json.loads(said["record"]), "report": said["report"]}
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}): take it from the repository again, or make it again with"
                        " `python -m namd.predict.example`.") from None
