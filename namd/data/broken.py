"""A prepared cohort that cannot be used: one sentence, E25, with what is broken and the notebook that mends it."""

from contextlib import contextmanager
from pathlib import Path

from namd.data.refused import one_line
from namd.ground.errors import DamagedError
from namd.ground.provenance import COHORTS
from namd.ground.reading import read_json, reading


def broken(path, what: str) -> DamagedError:
    """E25 in one sentence."""
    return DamagedError(f"E25 prepared cohort broken: {path}: {what}; delete the folder and run notebook "
                        f"{made_by(path)} again")


def made_by(path) -> str:
    """Number of the notebook that builds the cohort in a folder of this name."""
    number, _ = COHORTS.get(path.name, COHORTS["cohort"])
    return number


@contextmanager
def broken_otherwise(path):
    """Turn whatever the block raises into E25; it reads the files of the cohort in the folder `path`."""
    try:
        with reading(path, made_by(path)):
            yield
    except DamagedError as error:
        if str(error).startswith("E25"):
            raise
        raise broken(path, f"a file of it cannot be read ({type(error.__cause__).__name__})") from error


def read_manifest(path, version: int) -> dict:
    """What the cohort in the folder `path` says of itself, with at least sha256 and synthetic.

    Args:
        version: of the schema that the reader knows.

    Raises:
        DamagedError: E25 where it is no manifest of this schema.
    """
    with broken_otherwise(path):
        manifest = read_json(path / "manifest.json", made_by(path), "schema_version")
        schema = manifest["schema_version"]
        if type(schema) is not int or schema != version:
            raise broken(path, f"its schema is {one_line(str(schema)[:20])}, this reader's {version}")
        read_json(path / "manifest.json", made_by(path), "sha256", "synthetic")
        sums = manifest["sha256"]
        if not isinstance(sums, dict) or not {"crops.npy", "pairs.parquet"} <= sums.keys():
            raise broken(path, "manifest.json does not list the sums of crops.npy and pairs.parquet")
        if any(Path(name).name != name for name in sums):
            raise broken(path, "manifest.json lists a file outside the folder")
    return manifest
