"""`namd fetch` against a stand-in bucket: whole, stopped, damaged, denied, twice at once, on a full disk."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import time

import numpy as np
import pandas as pd
import pytest
from small_delivery import PARAMS
from small_disk import largest_file
from stand_in import DATA, N_SLICES, begin, quiet, thread, tree, wanted, write_index

from namd.data.nlst.build import build_cohort
from namd.data.nlst.fingerprint import fingerprint
from namd.data.open import work
from namd.data.open.fetch import fetch
from namd.ground.errors import UserError


@pytest.fixture
def folder(whole, tmp_path):
    """A delivery that holds only the list."""
    return begin(tmp_path / "open", whole)


@pytest.fixture(scope="module")
def right(server, whole, package, tmp_path_factory):
    """A delivery that was fetched in peace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAMD_OPEN_ENDPOINT", server.endpoint)
        patch.syspath_prepend(str(package))
        made = begin(tmp_path_factory.mktemp("right") / "open", whole)
        assert get(made) == 0
    return made


def get(folder, **how):
    """Fetch four participants."""
    return fetch(wanted(folder), n_subjects=4, **dict(say=quiet) | how)


def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith((".tmp-", ".lock-", ".old-"))]


def n_slices(folder):
    """How many slices lie below a delivery that is being written; none is opened, for it may be renamed just then."""
    return len(list(folder.rglob("*.dcm")))


def one_line(text):
    assert "\n" not in text and "Traceback" not in text
    return text


def test_the_cohort_of_what_was_fetched_is_the_cohort_of_the_whole_delivery(folder, whole, tmp_path, idc):
    """Five slices of seven give the same crops, the same pairs, and the same refusals."""
    assert fetch(wanted(folder), say=quiet) == 0
    fetched = build_cohort(folder, tmp_path / "fetched", PARAMS, quiet)
    full = build_cohort(whole, tmp_path / "full", PARAMS, quiet)
    assert 7 * len(tree(folder)) <= 5 * len(tree(whole))
    pairs = [pd.read_parquet(cohort / "pairs.parquet").set_index("pair_id") for cohort in (fetched, full)]
    codes = [sorted(pd.read_csv(cohort / "refused.csv").code) for cohort in (fetched, full)]
    assert codes[0] == [code for code in codes[1] if code != "E08"]         # IDC does not tell the X-ray arm
    assert pairs[0].diagemph.isna().all()                                   # nor emphysema
    ours = pairs[0].loc[pairs[1].index]
    assert len(ours) == 6 and len(pairs[0]) == 7
    same = ["label", "t0_sop_uid", "t1_sop_uid", "t0_gap_mm", "t1_center_z_mm", "sct_long_dia", "age"]
    pd.testing.assert_frame_equal(ours[same], pairs[1][same])
    crops = [np.load(cohort / "crops.npy") for cohort in (fetched, full)]
    assert np.array_equal(crops[0][ours.t0_index], crops[1][pairs[1].t0_index])
    assert np.array_equal(crops[0][ours.t1_index], crops[1][pairs[1].t1_index])


def test_what_is_whole_needs_no_server_and_stays_as_it_is(right, tmp_path, monkeypatch):
    made = copy(right, tmp_path)
    before = fingerprint(made)
    monkeypatch.setenv("NAMD_OPEN_ENDPOINT", "http://127.0.0.1:9")
    assert get(made) == 0
    assert fingerprint(made) == before


def test_damaged_files_of_the_same_size_and_lost_ones_are_mended(right, tmp_path, idc):
    made = copy(right, tmp_path)
    files = sorted(made.rglob("*.dcm"))
    content = bytearray(files[3].read_bytes())
    content[-7] ^= 1
    files[3].write_bytes(content)
    files[20].unlink()
    os.truncate(files[30], 100)
    times = {file: file.stat().st_mtime_ns for file in files if file.exists()}
    assert get(made) == 0
    assert tree(made) == tree(right) and not leftovers(made)
    changed = {file for file, before in times.items() if file.stat().st_mtime_ns != before}
    assert changed == {files[3], files[30]}


def run_quietly(folder):
    """A fetch in a process of its own, which writes nowhere but in its delivery."""
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
        os._exit(get(folder, at_once=2))


def start(folder):
    process = multiprocessing.get_context("fork").Process(target=run_quietly, args=(folder,))
    process.start()
    return process


def test_a_fetch_that_is_killed_at_any_moment_goes_on(right, folder, idc):
    draw = random.Random(7)
    n_files = []
    for _ in range(4):
        process = start(folder)
        before = n_slices(folder)
        while n_slices(folder) == before and process.is_alive():
            time.sleep(.01)
        time.sleep(draw.uniform(0, .05))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        n_files.append(len(tree(folder)))
    assert 0 < n_files[-1] < len(tree(right)), n_files
    assert get(folder) == 0
    assert tree(folder) == tree(right)
    assert not [path for path in leftovers(folder) if not path.name.startswith(".lock-")]


def interrupted(folder):
    """A fetch that Ctrl-C reaches, also where the shell that started the tests ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run_quietly(folder)


def test_an_interrupted_fetch_waits_for_no_dead_network(right, tmp_path, monkeypatch):
    made = copy(right, tmp_path)
    shutil.rmtree(made / "dicom")
    with socket.create_server(("127.0.0.1", 0)) as silent:              # it takes calls and says nothing
        monkeypatch.setenv("NAMD_OPEN_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        process = multiprocessing.get_context("fork").Process(target=interrupted, args=(made,))
        process.start()
        while not list(made.glob("dicom/*/*")) and process.is_alive():
            time.sleep(.01)
        os.kill(process.pid, signal.SIGINT)
        process.join(30)
    try:
        assert process.exitcode == 1
    finally:
        process.kill()


def test_two_fetches_at_once_do_not_hurt_each_other(right, folder, idc):
    both = [start(folder), start(folder)]
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert tree(folder) == tree(right) and not leftovers(folder)


def test_a_missing_object_costs_its_series_and_is_fetched_when_it_is_there(right, folder, idc):
    uid = next(iter(right.glob("dicom/*/*"))).name
    key = idc.keys(uid)[4]
    content = idc.content(key)
    idc.delete(key)
    said = []
    try:
        assert get(folder, say=said.append) == 2
    finally:
        idc.put(key, content)
    assert one_line(said[-2]).startswith(f"series {uid}: the bucket holds 6 files of")
    assert said[-1].startswith("7 of 8 series are in")
    assert uid not in str(tree(folder).keys()) and len(tree(folder)) == len(tree(right)) - 5
    assert get(folder) == 0
    assert tree(folder) == tree(right)


def test_a_file_of_another_series_is_not_taken(folder, right, idc):
    one, other = (path.name for path in sorted(right.glob("dicom/*/*"))[:2])
    key = next(key for key in idc.keys(one) if list(right.rglob(key.rpartition("/")[2])))
    before = idc.content(key)
    wrong = before.replace(one.encode(), other.encode().ljust(len(one), b"\0")[:len(one)])
    idc.put(key, wrong)
    said = []
    try:
        assert get(folder, say=said.append) == 2
    finally:
        idc.put(key, before)
    assert f"series {one}: " in said[-2] and "is a slice of the series" in said[-2]


def test_a_dead_server_is_one_sentence(folder, idc, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("NAMD_OPEN_ENDPOINT", f"http://{address}")
    with pytest.raises(UserError, match=f"^{address} cannot be reached .*Connection refused.*start again") as caught:
        get(folder)
    one_line(str(caught.value))


def test_a_server_that_dies_on_the_way_ends_all_threads(right, folder, idc, monkeypatch):
    fetch_one = work.series.fetch
    address = "http://127.0.0.1:9"

    def then_dies(job, root, buckets):
        fetched = fetch_one(job, root, buckets)
        buckets.endpoint = address
        return fetched

    monkeypatch.setattr(work.series, "fetch", then_dies)
    with pytest.raises(UserError, match="^127.0.0.1:9 cannot be reached"):
        get(folder, at_once=3)
    assert 0 < len(tree(folder)) < len(tree(right))
    assert tree(folder).items() <= tree(right).items()


def test_denied_access_is_one_sentence(right, folder, idc):
    uid = sorted(right.glob("dicom/*/*"))[0].name
    key = next(key for key in idc.keys(uid) if list(right.rglob(key.rpartition("/")[2])))
    content = idc.content(key)
    idc.put(key, content, acl="private")
    try:
        with pytest.raises(UserError, match=f"denies access to /{DATA}/.*proxy") as caught:
            get(folder)
    finally:
        idc.put(key, content)
    one_line(str(caught.value))


def test_a_full_disk_is_one_sentence_and_the_next_fetch_goes_on(right, folder, idc):
    sizes = sorted(file.stat().st_size for file in right.rglob("*.dcm"))
    with largest_file(sizes[len(sizes) // 2]), pytest.raises(UserError, match="is full or over its quota") as caught:
        get(folder, at_once=2)
    one_line(str(caught.value))
    assert tree(folder).items() <= tree(right).items() and not leftovers(folder)
    assert get(folder) == 0
    assert tree(folder) == tree(right)


def test_too_little_space_is_said_before_anything_is_fetched(folder, idc, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 5000))
    with pytest.raises(UserError, match="needs about 0.0 GB more, and 0.0 GB are free"):
        get(folder)
    assert not (folder / "dicom").exists()


def test_the_disk_that_slices_go_to_counts_also_behind_a_link(folder, idc, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (folder / "dicom").symlink_to(tmp_path / "disk")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(
        10**13, 0, 5 * 10**12 if path.resolve() == tmp_path / "disk" else 0))
    said = []
    assert get(folder, say=said.append) == 0
    assert "5000.0 GB are free" in "\n".join(said) and list((tmp_path / "disk").rglob("*.dcm"))


def test_a_file_of_yours_stays_and_costs_its_series(right, folder, idc):
    path = sorted(right.rglob("*.dcm"))[0].relative_to(right)
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes(b"mine")
    said = []
    assert get(folder, say=said.append) == 2
    assert "was not written by this program and is not what IDC has: move it away" in said[-2]
    assert (folder / path).read_bytes() == b"mine"


@pytest.mark.parametrize("where", ["", "folder"])
def test_a_file_where_a_folder_belongs_costs_what_lies_in_it(right, folder, idc, where):
    path = sorted(right.glob("dicom/*/*"))[0].relative_to(right)
    place = folder / (path if where else path.parent)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    said = []
    assert get(folder, say=said.append) == 2
    assert any("cannot be used" in line and "nothing is in its way" in line for line in said)
    assert place.read_bytes() == b"mine" and 0 < len(tree(folder)) < len(tree(right))


def test_a_slice_that_you_have_is_not_fetched_again(right, folder, idc):
    path = sorted(right.rglob("*.dcm"))[0].relative_to(right)
    (folder / path).parent.mkdir(parents=True)
    shutil.copy(right / path, folder / path)
    before = (folder / path).stat().st_mtime_ns
    assert get(folder) == 0
    assert (folder / path).stat().st_mtime_ns == before and tree(folder) == tree(right)


def test_whole_series_adds_the_rest_and_slices_are_content_with_it(right, whole, tmp_path, idc):
    made = copy(right, tmp_path)
    kept = sorted(made.rglob("*.dcm"))[0]
    before = kept.stat().st_mtime_ns
    assert get(made, whole=True) == 0
    assert len(tree(made)) == 8 * N_SLICES and set(tree(made).values()) < set(tree(whole).values())
    assert kept.stat().st_mtime_ns == before
    marked = fingerprint(made)
    assert get(made) == 0
    assert fingerprint(made) == marked


def test_a_new_version_of_a_series_takes_the_place_of_the_old_one(right, tmp_path, idc):
    made = copy(right, tmp_path)
    record = sorted(made.rglob(".fetched.json"))[0]
    held = json.loads(record.read_text())
    old = sorted(record.parent.glob("*.dcm"))[0].rename(record.parent / "old.dcm")
    name, kept = next(iter(held["files"].items()))
    record.write_text(json.dumps(held | dict(uuid="an older one", files={"old.dcm": kept} | held["files"])))
    (record.parent / ".namd").write_text((record.parent / ".namd").read_text().replace(name, "old.dcm"))
    assert get(made) == 0
    assert not old.exists() and tree(made) == tree(right)


@pytest.mark.parametrize("change", [
    lambda record: "{", lambda record: json.dumps(record | dict(places="all")), lambda record: "[1]",
    lambda record: json.dumps(record | dict(files={"../../../x.dcm": dict(bytes=1, md5="0" * 32)})),
    lambda record: json.dumps(record | dict(files={"a.dcm": dict(bytes="x", md5=3)})), lambda record: "[" * 100_000])
def test_a_record_that_is_none_is_made_again(right, tmp_path, idc, change):
    made = copy(right, tmp_path)
    record = sorted(made.rglob(".fetched.json"))[2]
    record.write_text(change(json.loads(record.read_text())))
    assert get(made) == 0
    assert tree(made) == tree(right) and record.read_text() == (right / record.relative_to(made)).read_text()


def test_names_that_lead_elsewhere_are_refused(right, folder, idc):
    uid = sorted(right.glob("dicom/*/*"))[0].name
    key = idc.keys(uid)[0]
    content = idc.content(key)
    idc.delete(key)
    odd = key.rpartition("/")[0] + "/.hidden"
    idc.put(odd, content)
    said = []
    try:
        assert get(folder, say=said.append) == 2
    finally:
        idc.delete(odd)
        idc.put(key, content)
    assert "holds names that are no file names" in said[-2]


def test_dry_run_says_how_much_it_is_and_fetches_nothing(folder, idc):
    said = []
    assert fetch(wanted(folder), dry_run=True, say=said.append) == 0
    text = "\n".join(said)
    assert "CT: IDC v25, CC BY 4.0" in text and "nlstx     MIT" in text and "GB are free" in text
    assert "luna25    its licence was not found, so it is not fetched" in text
    assert "1 listed series are not in IDC v25" in text
    assert "11 " in text.splitlines()[-3]
    assert sorted(path.name for path in folder.iterdir()) == ["nodule_centres.csv"]


def test_dry_run_names_the_annotations_of_nlst_that_are_not_fetched(folder, idc, tmp_path, monkeypatch):
    def row(i, modality, size):
        return dict(SeriesInstanceUID=f"9.9.{i}", PatientID=str(100 + i // 4), Modality=modality,
                    analysis_result_id="lidc_annot_nlst501", instanceCount=1, series_size_MB=size,
                    aws_bucket="idc-open-data", crdc_series_uuid=f"u{i}", license_short_name="CC BY 4.0")
    write_index(tmp_path / "other", [*idc.rows, *(row(i, "SEG", 500.0) for i in range(8)), row(8, "CT", 90.0)])
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    said = []
    assert fetch(wanted(folder), dry_run=True, say=said.append) == 0
    assert "LIDC-annot-NLST501 (CC BY 4.0, doi:10.7937/y2dx-e334)" in said[-1]
    assert "8 segmentations of 2 participants, 4.0 GB" in said[-1] and "notebook 09" in said[-1]
    assert sorted(path.name for path in folder.iterdir()) == ["nodule_centres.csv"]


def test_a_sample_is_a_part_of_the_whole(right, folder, idc):
    assert fetch(wanted(folder), n_subjects=2, say=quiet) == 0
    assert len(list(folder.glob("dicom/*"))) == 2
    assert tree(folder).items() < tree(right).items()


def test_only_an_open_delivery_is_fetched(folder):
    p = wanted(folder)
    p.data_source = "delivery"
    with pytest.raises(UserError, match="fetch is for `data_source: open`, as in params/open.yaml"):
        fetch(p)


def test_a_folder_without_a_list_is_told_where_lists_are(tmp_path, idc):
    with pytest.raises(UserError, match="places a nodule in two years: name nlstx or gmae in open_lists"):
        get(tmp_path / "empty")


def test_a_waiting_fetch_ends_when_it_is_stopped(folder, right, idc, monkeypatch):
    """Another process holds a series; a fault of another thread still ends this one."""
    import fcntl
    target = folder / sorted(right.glob("dicom/*/*"))[0].relative_to(right)
    target.mkdir(parents=True)
    handle = os.open(target, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    uid = sorted(right.glob("dicom/*/*"))[5].name
    key = idc.keys(uid)[0]
    content = idc.content(key)
    idc.put(key, content, acl="private")
    caught = []

    def run():
        try:
            get(folder, at_once=2)
        except UserError as error:
            caught.append(error)

    try:
        started = thread(run)
        started.join(20)
        assert not started.is_alive() and "denies access" in str(caught[0])
    finally:
        os.close(handle)
        idc.put(key, content)
