"""What the lists come to: pairs, samples, series, bytes."""

import shutil
from collections import Counter

import pytest
from small_delivery import REAL, needs_real
from stand_in import write_index

from namd.data.nlst.lists import Listed, read_lists
from namd.data.open import index, plan
from namd.data.open.index import Row
from namd.data.open.series import Job
from namd.ground.errors import UserError


def listed(pid, year, lesion="a", malignant=None, source="gmae", point=(1.0, 2.0, 3.0)):
    return Listed(pid=pid, year=year, uid=f"1.{pid}.{year}", source=source, lesion=lesion, malignant=malignant,
                  point=point)


def row(uid, files=100, size=50_000_000):
    return Row(uid, "100001", files, size, "b", "u" + uid, "CC BY 4.0")


def test_a_pair_is_one_lesion_of_one_list_in_both_years():
    rows = [listed(1, 0), listed(1, 1), listed(2, 0), listed(2, 1, lesion="b"), listed(3, 1), listed(3, 2),
            listed(4, 0), listed(4, 1, source="luna25")]
    assert [(pair.pid, pair.lesion) for pair in plan.pairs(rows, second_year=False)] == [(1, "a")]
    assert [(pair.pid, pair.year) for pair in plan.pairs(rows, second_year=True)] == [(1, 0), (3, 1)]


def test_a_sample_keeps_the_shares_and_grows():
    rows = [listed(pid, year, malignant=[True, False, False, None][pid % 4]) for pid in range(80) for year in (0, 1)]
    found = plan.pairs(rows, False)
    small = {pair.pid for pair in plan.sample(found, 8)}
    large = {pair.pid for pair in plan.sample(found, 20)}
    assert small < large
    assert Counter(pid % 4 for pid in large) == {0: 5, 1: 5, 2: 5, 3: 5} or \
        Counter("mbbu"[pid % 4] for pid in large) == Counter(m=5, b=10, u=5)
    assert plan.sample(found, 1000) == found


def test_a_series_has_every_place_and_its_share_of_the_bytes():
    rows = [listed(1, 0), listed(1, 1), listed(1, 0, "b", point=(4.0, 5.0, 6.0)), listed(1, 1, "b")]
    found = plan.pairs(rows, False)
    known = {uid: row(uid) for uid in ("1.1.0", "1.1.1")}
    first, second = plan.jobs(found, known, whole=False)
    assert first.places == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)) and second.places == ((1.0, 2.0, 3.0),)
    assert (first.kept, second.kept) == (5_000_000, 2_500_000)
    assert second.read == 2_500_000 + 100 * 4096
    assert [job.read for job in plan.jobs(found, known, whole=True)] == [50_000_000] * 2
    assert str(first.folder) == "dicom/1/1.1.0"
    count = plan.count(found, known, {1})
    assert (count.subjects, count.malignant, count.cancers, count.pairs, count.series) == (1, None, 1, 2, 2)
    assert isinstance(first, Job)


def test_the_index_is_read_by_series_and_by_result(whole, server):
    found = index.of_series(["1.2.3", *list(server.uuids)[:3]])
    assert len(found) == 3 and index.version() == "v25"
    some = found[next(iter(found))]
    assert (some.bucket, some.files, some.licence) == ("idc-open-data", 7, "CC BY 4.0")
    assert index.of_result("nlst_sybil", "SR") == {}


def test_an_index_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if "index" not in path])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"\.venv/bin/pip install idc-index-data"):
        index.of_series(["1"])


@pytest.mark.parametrize("content, words", [(b"PAR1", "is no index of IDC"), (None, "it lacks aws_bucket")])
def test_an_index_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch, content, words):
    write_index(tmp_path, [{name: 1 for name in index.COLUMNS if content or name != "aws_bucket"}])
    if content:
        (tmp_path / "idc_index_data" / "idc_index.parquet").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=words):
        index.of_series(["1"])


ROW = dict(SeriesInstanceUID="1", PatientID="100001", Modality="CT", analysis_result_id=None, instanceCount=3,
           series_size_MB=1.5, aws_bucket="b", crdc_series_uuid="u", license_short_name="CC BY 4.0")


@pytest.mark.parametrize("change, words", [
    (dict(series_size_MB=None), "series 1 has series_size_MB missing"), (dict(aws_bucket=None), "aws_bucket missing"),
    (dict(instanceCount="three"), "is no index of IDC"), (dict(series_size_MB=float("inf")), "series 1 has no size"),
    (dict(series_size_MB=-1.0), "series 1 has no size"), (None, "is no index of IDC")])
def test_an_index_whose_rows_are_damaged_is_one_sentence(tmp_path, monkeypatch, change, words):
    write_index(tmp_path, [ROW | (change or {})])
    if change is None:                                                      # zeros where the pages of the columns are
        path = tmp_path / "idc_index_data" / "idc_index.parquet"
        path.write_bytes(path.read_bytes()[:4] + b"\0" * 40 + path.read_bytes()[44:])
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=words) as caught:
        index.of_series(["1"])
    assert "\n" not in str(caught.value)


@needs_real
def test_the_real_lists_have_the_pairs_that_were_counted_by_hand(tmp_path):
    for name in ("nlstx_dataset.csv", "gmae_original_coordinates.csv"):
        shutil.copy(REAL / "nlst_tables" / name, tmp_path)
    found = plan.pairs(read_lists(tmp_path)[0], False)
    nlstx = plan.count([pair for pair in found if pair.source == "nlstx"], {})
    gmae = [pair for pair in found if pair.source == "gmae"]
    assert (nlstx.subjects, nlstx.malignant, nlstx.pairs) == (398, 152, 398)
    assert len(plan.uids([pair for pair in found if pair.source == "nlstx"])) == 796
    assert abs(len(gmae) - 1259) <= 1                                       # one row names two participants
