"""A server where IDC's bucket is, with a phantom delivery under uuids, its clinical tables, and an index package."""

import hashlib
import http.server
import logging
import shutil
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from moto.server import ThreadedMotoServer

from namd.data.dicom.header import Header
from namd.data.phantom import delivery, scanner
from namd.data.phantom.registry import CDAS_ONLY

DATA = "idc-open-data"
METADATA = "idc-open-metadata"
TABLES = {"participant": "nlst_prsn", "sct_abnormalities": "nlst_ctab", "sct_comparison_abnorm": "nlst_ctabc",
          "screening": "nlst_screen", "lung_cancer": "nlst_canc"}
N_SLICES = 7


def write_phantom(folder, n_subjects):
    """A delivery whose series have N_SLICES slices."""
    before = scanner.N_SLICES
    scanner.N_SLICES = N_SLICES
    try:
        return delivery.write_delivery(folder, n_subjects, 5, .45, .8, "none", progress=lambda line: None)
    finally:
        scanner.N_SLICES = before


class StandIn:
    """The server and what it holds.

    Args:
        whole: a delivery; its images and tables go to the buckets, and `index` becomes a package that names them.
        index: folder of that package.
    """

    def __init__(self, whole, index):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        host, port = self.server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1",
                                   aws_access_key_id="a", aws_secret_access_key="b")
        for bucket in (DATA, METADATA):
            self.client.create_bucket(Bucket=bucket, ACL="public-read")
        folders = sorted({file.parent for file in whole.rglob("*.dcm")})
        self.rows = [self._upload(Path(folder)) for folder in folders]
        self.uuids = {row["SeriesInstanceUID"]: row["crdc_series_uuid"] for row in self.rows}
        write_index(index, self.rows)
        for file, name in TABLES.items():
            self.put_table(name, pd.read_csv(whole / f"{file}.csv", dtype=str))

    def _upload(self, folder):
        files = sorted(folder.glob("*.dcm"))
        header = Header(files[0])
        uid = header.stored("SeriesInstanceUID")
        series = str(uuid.uuid5(uuid.NAMESPACE_OID, uid))
        for file in files:
            self.put(f"{series}/{uuid.uuid5(uuid.NAMESPACE_OID, uid + file.name)}.dcm", file.read_bytes())
        size = sum(file.stat().st_size for file in files)
        return dict(SeriesInstanceUID=uid, PatientID=folder.parent.name, Modality="CT", analysis_result_id=None,
                    instanceCount=len(files), series_size_MB=size / 1e6, aws_bucket=DATA, crdc_series_uuid=series,
                    license_short_name="CC BY 4.0")

    def put(self, key, content, bucket=DATA, acl="public-read"):
        self.client.put_object(Bucket=bucket, Key=key, Body=content, ACL=acl)

    def put_table(self, name, table):
        """A clinical table in two parts of text columns, without what only CDAS gives."""
        table = table.drop(columns=[*CDAS_ONLY, "rndgroup"], errors="ignore").assign(source_batch=0)
        for part, rows in enumerate((table[:3], table[3:])):
            path = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path)
            self.put(f"bigquery_export/idc_v25_clinical/{name}/{part:012d}.parquet", path.getvalue().to_pybytes(),
                     METADATA)

    def keys(self, uid):
        """Keys of the objects of a series."""
        found = self.client.list_objects_v2(Bucket=DATA, Prefix=self.uuids[uid] + "/")
        return [item["Key"] for item in found["Contents"]]

    def content(self, key):
        return self.client.get_object(Bucket=DATA, Key=key)["Body"].read()

    def delete(self, key):
        self.client.delete_object(Bucket=DATA, Key=key)


def write_index(folder, rows):
    """A package idc-index-data of IDC v25 with these rows, as pip installs it."""
    package = Path(folder, "idc_index_data")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('raise ImportError("never imported")\n')
    pq.write_table(pa.Table.from_pylist(rows), package / "idc_index.parquet")
    info = Path(folder, "idc_index_data-25.0.5.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: idc-index-data\nVersion: 25.0.5\n")


def wanted(folder, lists=()):
    """Parameters of a fetch into `folder`."""
    return SimpleNamespace(data_source="open", data_delivery=str(folder), open_lists=list(lists),
                           data_second_year=False)


def begin(folder, whole):
    """A delivery that holds nothing but the list of `whole`."""
    folder.mkdir(parents=True)
    shutil.copy(whole / "nodule_centres.csv", folder)
    return folder


def tree(folder):
    """{path: MD5} of every slice below a delivery."""
    return {str(file.relative_to(folder)): hashlib.md5(file.read_bytes()).hexdigest()
            for file in sorted(Path(folder).rglob("*.dcm"))}


def quiet(line):
    """Say nothing."""


def thread(call, *arguments):
    """Start a call beside this one."""
    started = threading.Thread(target=call, args=arguments, daemon=True)
    started.start()
    return started


@contextmanager
def answering(*answers):
    """A server that gives these (status, body, headers ...) one after another, the last for ever; address, calls."""
    calls = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):                                                   # noqa: N802
            status, body, *headers = answers[min(len(calls), len(answers) - 1)]
            calls.append(self.path)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + 5 * (status == 206)))    # 206 breaks off
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", calls
    finally:
        server.shutdown()
        server.server_close()
