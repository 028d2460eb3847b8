"""The reader of NLST on a dask cluster, as joblib reaches it; only where the extra [cluster] is installed."""

import joblib
import pytest
from small_delivery import PARAMS, tables, write_delivery

from namd.data.nlst.build import build_cohort

distributed = pytest.importorskip("distributed", reason="no dask: install the extra [cluster]")


def test_a_cluster_reads_what_one_process_reads(tmp_path):
    delivery = write_delivery(tmp_path / "delivery", tables(12))
    build_cohort(delivery, tmp_path / "here", PARAMS, lambda line: None)
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
          distributed.Client(cluster) as client, joblib.parallel_config(backend="dask")):
        build_cohort(delivery, tmp_path / "there", PARAMS, lambda line: None)
        assert sum(client.run(lambda dask_worker: dask_worker.state.executed_count).values()) > 1
    for name in ("pairs.parquet", "crops.npy", "refused.csv"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
