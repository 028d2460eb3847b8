"""Where IDC keeps a series: rows of the parquet file that the package idc-index-data ships."""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from namd.data.refused import one_line
from namd.ground.errors import UserError

PACKAGE = "idc-index-data"
COLUMNS = ["SeriesInstanceUID", "PatientID", "Modality", "analysis_result_id", "instanceCount", "series_size_MB",
           "aws_bucket", "crdc_series_uuid", "license_short_name"]
BATCH = 65536                       # rows; a million at once take half a gigabyte
MAX_MB = 1e6                        # of a series


@dataclass(frozen=True)
class Row:
    """One series of IDC: whose, how large, and the place of its objects, `uuid`/ in `bucket`."""

    uid: str                        # SeriesInstanceUID
    patient: str
    files: int
    size: int                       # bytes of all files
    bucket: str
    uuid: str
    licence: str


def version() -> str:
    """IDC's data version as its folders name it, e.g. v25.

    Raises:
        UserError: the package is not installed.
    """
    try:
        return "v" + importlib.metadata.version(PACKAGE).split(".")[0]
    except importlib.metadata.PackageNotFoundError:
        raise _absent() from None


def of_series(uids) -> dict[str, Row]:
    """{SeriesInstanceUID: row} of those series of `uids` that IDC holds."""
    wanted = pa.array(sorted(uids), pa.large_string())
    return _rows(lambda batch: pc.is_in(batch["SeriesInstanceUID"], wanted))


def of_result(name: str, modality: str) -> dict[str, Row]:
    """{SeriesInstanceUID: row} of one of IDC's analysis results, e.g. nlst_sybil."""
    return _rows(lambda batch: pc.and_(pc.equal(batch["analysis_result_id"], name),
                                       pc.equal(batch["Modality"], modality)))


def _rows(keep) -> dict[str, Row]:
    """The rows that `keep`(batch) marks.

    Source: ours, because IDC's own client takes half a minute and 3 GB to open the same file.
    """
    found = {}
    path = _path()
    try:
        for batch in _file(path).iter_batches(BATCH, columns=COLUMNS, use_threads=False):
            found |= {row["SeriesInstanceUID"]: _row(row) for row in batch.filter(keep(batch)).to_pylist()}
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise UserError(f"{path} is no index of IDC that can be read ({one_line(error)}): .venv/bin/pip install "
                        f"--upgrade --force-reinstall {PACKAGE}") from error
    return found


def _row(row: dict) -> Row:
    """One series of the index.

    Raises:
        ValueError: it lacks a value, or a number is none.
    """
    lacking = [name for name in COLUMNS if row[name] is None and name != "analysis_result_id"]
    if lacking or row["instanceCount"] < 0 or not 0 <= row["series_size_MB"] < MAX_MB:
        raise ValueError(f"series {row['SeriesInstanceUID']} has {', '.join(lacking) or 'no size'}"
                         f"{' missing' if lacking else ''}")
    return Row(uid=row["SeriesInstanceUID"], patient=row["PatientID"], files=row["instanceCount"],
               size=round(row["series_size_MB"] * 1e6), bucket=row["aws_bucket"], uuid=row["crdc_series_uuid"],
               licence=row["license_short_name"])


def _path() -> Path:
    """The index of the installed package, which is not imported."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None:
        raise _absent()
    return Path(spec.submodule_search_locations[0]) / "idc_index.parquet"


def _file(path: Path) -> pq.ParquetFile:
    """An index that has all columns."""
    file = pq.ParquetFile(path, buffer_size=1 << 20)
    lacking = sorted(set(COLUMNS) - set(file.schema_arrow.names))
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    return file


def _absent() -> UserError:
    return UserError(f"The index of IDC's series is not installed: .venv/bin/pip install {PACKAGE} (79 MB, the extra"
                     " [open]).")
