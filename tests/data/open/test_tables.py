"""Clinical tables and lists: fetched, recognised, and left where you have your own."""

import io

import pandas as pd
import pyarrow.parquet as pq
import pydicom
import pytest
from box_reports import write_report
from stand_in import METADATA, TABLES, answering, begin, quiet, wanted, write_index

from namd.data.nlst.lists import read_lists
from namd.data.nlst.tables import read_delivery
from namd.data.open import public
from namd.data.open.bucket import Buckets
from namd.data.open.fetch import fetch
from namd.data.open.public import Published, fetch_lists
from namd.data.open.tables import fetch_tables
from namd.ground.errors import UserError


def test_tables_are_those_of_the_trial_without_what_only_cdas_has(whole, tmp_path, idc):
    folder = begin(tmp_path / "open", whole)
    fetch_tables(folder, Buckets(), quiet)
    ours = read_delivery(folder)
    full = read_delivery(whole)
    for kind in ("abnormalities", "comparison", "cancer", "screening"):
        columns = [name for name in full.kept[kind] if name != "_row"]
        pd.testing.assert_frame_equal(ours.kept[kind][columns], full.kept[kind][columns])
    assert "diagemph" not in ours.kept["participant"] and not ours.unread
    assert ours.kept["participant"].age.tolist() == full.kept["participant"].age.tolist()


def test_a_table_of_your_own_is_the_one(whole, tmp_path, idc):
    folder = begin(tmp_path / "open", whole)
    people = (whole / "participant.csv").read_bytes()
    (folder / "from_cdas.csv").write_bytes(people)
    fetch_tables(folder, Buckets(), quiet)
    assert (folder / "from_cdas.csv").read_bytes() == people and not (folder / "nlst_prsn.csv").exists()
    assert len(read_delivery(folder).kept["participant"]) == len(read_delivery(whole).kept["participant"])


@pytest.mark.parametrize("change, words", [
    (lambda table: table.drop(columns="candx_days"), "nlst_canc lacks candx_days: put the cancer table of CDAS into"),
    (None, "nlst_canc cannot be read from idc-open-metadata/bigquery_export/idc_v25_clinical/nlst_canc/")])
def test_a_table_that_cannot_be_used_is_one_sentence(whole, tmp_path, idc, change, words):
    table = pd.read_csv(whole / "lung_cancer.csv", dtype=str)
    if change:
        idc.put_table("nlst_canc", change(table))
    else:
        idc.put("bigquery_export/idc_v25_clinical/nlst_canc/000000000000.parquet", b"PAR1", METADATA)
    try:
        with pytest.raises(UserError, match=words):
            fetch_tables(begin(tmp_path / "open", whole), Buckets(), quiet)
    finally:
        idc.put_table("nlst_canc", table)
    assert TABLES["lung_cancer"] == "nlst_canc"


@pytest.fixture
def lists(monkeypatch):
    """Let the list NLSTx be published at another address."""
    def publish(address):
        monkeypatch.setitem(public.LISTS, "nlstx", Published(address, "nlstx_dataset.csv"))
    return publish


def test_a_list_is_fetched_once_and_known_by_its_columns(whole, tmp_path, lists):
    said = []
    content = (whole / "nodule_centres.csv").read_bytes()
    with answering((200, content)) as (address, calls):
        lists(address)
        fetch_lists(["nlstx"], tmp_path, Buckets(), said.append)
        fetch_lists(["nlstx"], tmp_path, Buckets(), said.append)
    assert len(calls) == 1 and (tmp_path / "nlstx_dataset.csv").read_bytes() == content
    assert said == [f"list nlstx (MIT): nlstx_dataset.csv, from {address}"]


def test_another_file_at_the_address_is_refused_and_not_kept(tmp_path, lists):
    with answering((200, b"fold,PID\n0,100001\n")) as (address, _):
        lists(address)
        with pytest.raises(UserError, match="is not the list nlstx"):
            fetch_lists(["nlstx"], tmp_path, Buckets(), quiet)
    assert not list(tmp_path.glob("*.csv"))


def test_without_a_network_the_sentence_says_where_the_list_is(tmp_path, lists):
    lists("http://127.0.0.1:9/list.csv")
    with pytest.raises(UserError, match="list nlstx is not in the delivery and cannot be fetched: 127.0.0.1:9 cannot be"
                                        " reached .*Or put the file of http://127.0.0.1:9/list.csv there yourself"):
        fetch_lists(["nlstx"], tmp_path, Buckets(), quiet)


def test_sybils_boxes_come_from_the_bucket(whole, tmp_path, idc, package, monkeypatch):
    """A report is a series of one file; with it, its CT series is fetched around its slice."""
    uid, other = list(idc.uuids)[:2]
    keys = idc.keys(uid)
    content = idc.content(keys[3])
    sop = pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID
    rows = pq.read_table(package / "idc_index_data" / "idc_index.parquet").to_pylist()
    for year, (series, slice_) in enumerate([(uid, sop), (other, "1.2.3")]):
        write_report(tmp_path / "report", 100001, year, series, [(slice_, (10.0, 10.0, 20.0, 20.0))])
        report = (tmp_path / "report").read_bytes()
        own = str(pydicom.dcmread(tmp_path / "report").SeriesInstanceUID)
        idc.put(f"report{year}/a.dcm", report)
        rows.append(dict(rows[0], SeriesInstanceUID=own, Modality="SR", analysis_result_id="nlst_sybil",
                         instanceCount=1, series_size_MB=len(report) / 1e6, crdc_series_uuid=f"report{year}"))
    write_index(tmp_path / "index", rows)
    monkeypatch.syspath_prepend(str(tmp_path / "index"))
    root = tmp_path / "open"
    fetch(wanted(root, ["sybil"]), dry_run=True, say=quiet)
    assert len(list(root.glob("sybil/*/a.dcm"))) == 2
    listed, refused = read_lists(root)
    assert {(one.source, one.uid) for one in listed} == {("sybil", uid), ("sybil", other)} and not refused


def test_the_addresses_name_a_commit():
    for published in public.LISTS.values():
        assert published.address.startswith("https://raw.githubusercontent.com/")
        assert len(published.address.split("/")[5]) == 40
