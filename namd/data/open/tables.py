"""NLST's open clinical tables, as IDC exports them (parquet), to the CSV files that a delivery holds."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from namd.data.codes import SHAPES
from namd.data.nlst.tables import read_files
from namd.data.open import index
from namd.data.open.bucket import AbsentError, Buckets
from namd.ground import files
from namd.ground.errors import UserError

BUCKET = "idc-open-metadata"
TABLES = {"participant": "nlst_prsn", "abnormalities": "nlst_ctab", "comparison": "nlst_ctabc",
          "screening": "nlst_screen", "cancer": "nlst_canc"}
LARGEST = 256 << 20                     # bytes of a part; all five tables are a few MB


def fetch_tables(root: Path, buckets: Buckets, progress=print) -> None:
    """Write each table whose kind no file below `root` has, so that a table of your own, e.g. CDAS's, stays the one.

    Raises:
        UserError: a table is not in the bucket, is no parquet, or lacks a column; or the server is out of reach.

    Source: IDC's documentation, "Files and metadata": the dataset idc_<version>_clinical of its BigQuery export.
    """
    there = {file.kind for file in read_files(root)}
    for kind in (kind for kind in TABLES if kind not in there):
        name = TABLES[kind]
        table = _table(name, buckets)
        lacking = sorted(SHAPES[kind].required - set(table.column_names))
        if lacking:
            raise UserError(f"IDC's table {name} lacks {', '.join(lacking)}: put the {kind} table of CDAS into {root}"
                            " (CSV) and start again.")
        with files.replacing(root / f"{name}.csv") as aside:
            table.to_pandas(types_mapper=pd.ArrowDtype).to_csv(aside, index=False, lineterminator="\n")
        progress(f"table {name}: {table.num_rows:,} rows")


def _table(name: str, buckets: Buckets) -> pa.Table:
    """All parts of one table, every value as text, column names in lower case."""
    prefix = f"bigquery_export/idc_{index.version()}_clinical/{name}/"
    try:
        stored = [one for one in buckets.objects(BUCKET, prefix) if one.name]
        if max((one.size for one in stored), default=0) > LARGEST:
            raise ValueError("a part of it is larger than any table of NLST")
        tables = [pq.read_table(io.BytesIO(buckets.whole(BUCKET, one))) for one in stored]
        whole = pa.concat_tables(tables, promote_options="permissive")
        text = [whole[column].cast(pa.string()) for column in whole.column_names]
        return pa.table(text, names=[column.lower() for column in whole.column_names])
    except (AbsentError, ValueError, pa.ArrowException) as error:
        raise UserError(f"IDC's table {name} cannot be read from {BUCKET}/{prefix} ({error}): put CDAS's table into the"
                        " delivery (CSV) and start again.") from error
