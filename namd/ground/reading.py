"""Files of a run, read again: whatever is wrong with one is a sentence that names the notebook which makes it."""

import json
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from namd.ground import marks
from namd.ground.errors import DamagedError


@contextmanager
def reading(path, number, again=None):
    """Turn whatever goes wrong while the block reads `path` into one sentence; a changed file is not read at all.

    Args:
        path: a file or folder of a run; number: of the notebook that makes it; again: how to have it again where no
            notebook of the reader's makes it.

    Raises:
        DamagedError: it is damaged, incomplete or out of reach.

    Source: ours, because what reads a damaged file (JSON, parquet, safetensors, a model's own code) may raise anything.
    """
    try:
        changed = marks.changed(path)
        if changed:
            raise ValueError(f"{changed.name} is not as it was written")
        yield
    except DamagedError:
        raise
    except Exception as error:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        mend = again or (f"delete it and run notebook {number} again (`python -m namd run {number} --params <your"
                         " parameter file>`)")
        raise DamagedError(f"{path} is damaged, incomplete or out of reach ({said.rstrip('.')}): {mend}.") from error


def read_table(path, number, *columns) -> pd.DataFrame:
    """A CSV or parquet file of a run, with `columns` filled in every line; `number` and errors as in `reading`."""
    with reading(path, number):
        if not path.is_file():              # pandas would read a folder as a table in parts
            raise ValueError("it is no file")
        found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        lacking = [name for name in columns if name not in found or found[name].isna().any()]
        if lacking:
            raise ValueError(f"it lacks {', '.join(lacking)}")
        return found


def read_json(path, number, *keys, again=None) -> dict:
    """The object in a JSON file of a run, with at least `keys`; `number`, `again` and errors as in `reading`."""
    with reading(path, number, again):
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        lacking = [key for key in keys if key not in found]
        if lacking:
            raise ValueError(f"it lacks {', '.join(lacking)}")
        return found
