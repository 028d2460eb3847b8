"""A killed reading goes on where it was, with the bytes of one that nobody killed."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_delivery import PARAMS, tables, write_delivery
from two_participants import scan

from namd.data.cohort import Cohort
from namd.data.nlst import pieces
from namd.data.nlst.build import build_cohort, check_refused_share
from namd.data.nlst.crops import PairRead
from namd.data.nlst.pieces import load_piece
from namd.data.refused import RefusedError
from namd.ground.errors import UserError

FILES = ("crops.npy", "pairs.parquet", "pairs.csv", "refused.csv", "manifest.json", "delivery.sha256")
CHILD = """
import os, signal, sys
sys.path.insert(0, {here!r})
from small_delivery import PARAMS
from namd.data.nlst import build, pieces

opened = open(sys.argv[3], "a", buffering=1)
sys.addaudithook(lambda event, given: event == "open" and str(given[0]).endswith(".dcm")
                 and opened.write(f"{{given[0]}}\\n"))
save = pieces._save
left = int(sys.argv[4])


def save_and_die(file, done):
    global left
    save(file, done)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


pieces._save = save_and_die
pieces.WORTH = 0
build.build_cohort(sys.argv[1], sys.argv[2], PARAMS)
"""


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    folder = write_delivery(tmp_path_factory.mktemp("delivery"), tables(n=12))
    shutil.rmtree(folder / "images" / "100007_1")
    (folder / "images" / "100005_0" / "1.dcm").write_bytes(b"\0" * 128 + b"DICM")
    return folder


@pytest.fixture(scope="module")
def whole(delivery, tmp_path_factory):
    return build_cohort(delivery, tmp_path_factory.mktemp("whole") / "cohort", PARAMS, progress=lambda line: None)


def in_a_process(delivery, out, opened, saves):
    """Build in a process that kills itself after so many saves; its exit status, and the DICOM files it opened."""
    script = CHILD.format(here=str(Path(__file__).parents[1]))
    opened.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", script, delivery, out, opened, str(saves)], stdout=subprocess.DEVNULL)
    return done.returncode, opened.read_text().split()


def folders(files):
    return {Path(file).parent for file in files}


def test_a_killed_reading_goes_on_and_opens_nothing_twice(delivery, whole, tmp_path):
    out = tmp_path / "cohort"
    status, before = in_a_process(delivery, out, tmp_path / "opened", 5)
    assert status == -signal.SIGKILL and not out.exists() and (tmp_path / "cohort.parts").is_dir()
    status, after = in_a_process(delivery, out, tmp_path / "opened", -1)
    assert status == 0 and {file.name for file in tmp_path.iterdir()} == {"cohort", "opened"}
    read_before, read_after = ({file for file in files if file.endswith("1.dcm")} for files in (before, after))
    assert len(read_before) == 9 and not folders(read_before) & folders(read_after)     # the index opens 0 and 2.dcm
    assert len(folders(read_after)) == 12 and after.count(min(after)) == 1      # once, whether it is a report of boxes
    for name in FILES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def interrupt(*args):
    """As Ctrl-C does, also where the shell has SIGINT ignored."""
    raise KeyboardInterrupt


@pytest.fixture
def begun(delivery, tmp_path, monkeypatch):
    """A cohort whose pairs are all read, and which is not written; returns its folder and what counts the reading."""
    out = tmp_path / "cohort"
    monkeypatch.setattr("namd.data.nlst.build.write_cohort", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_cohort(delivery, out, PARAMS, progress=lambda line: None)
    monkeypatch.undo()
    read = []
    monkeypatch.setattr(pieces, "read_pair", lambda *args, whole=pieces.read_pair: read.append(1) or whole(*args))
    return SimpleNamespace(out=out, read=read, parts=tmp_path / "cohort.parts")


def test_what_was_read_is_not_read_again(delivery, whole, begun):
    assert not begun.out.exists() and len(list(begun.parts.glob("*.npz"))) == 12
    build_cohort(delivery, begun.out, PARAMS, progress=lambda line: None)
    assert not begun.read and not begun.parts.exists()
    assert (begun.out / "pairs.parquet").read_bytes() == (whole / "pairs.parquet").read_bytes()


def test_a_disk_that_goes_on_the_way_ends_the_reading_and_costs_nothing(delivery, whole, tmp_path, monkeypatch):
    images = delivery / "images"
    read = []

    def then_unplugged(*given, read_pair=pieces.read_pair):
        read.append(1)
        if len(read) == 8:
            images.rename(delivery / ".unplugged")
        return read_pair(*given)

    monkeypatch.setattr(pieces, "read_pair", then_unplugged)
    with pytest.raises(UserError, match="100008_0 was there when the reading began, and is gone: see that its disk"):
        build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=lambda line: None)
    (delivery / ".unplugged").rename(images)
    build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=lambda line: None)
    assert len(read) == 8 + 5
    assert (tmp_path / "cohort" / "refused.csv").read_bytes() == (whole / "refused.csv").read_bytes()


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw[:500] + b"\1" + raw[501:]],
                         ids=["torn", "empty", "a byte"])
def test_a_damaged_piece_is_read_again_and_no_other(delivery, whole, begun, damage):
    piece = begun.parts / "00003.npz"
    piece.write_bytes(damage(piece.read_bytes()))
    build_cohort(delivery, begun.out, PARAMS, progress=lambda line: None)
    assert len(begun.read) == 1
    assert (begun.out / "crops.npy").read_bytes() == (whole / "crops.npy").read_bytes()


@pytest.mark.parametrize("text", [
    "[]", "{", "null", '{"1.2.100001.0": 5}', "[" * 100_000, '{"1.2.100001.0": ["/nowhere"]}'])
def test_a_damaged_index_is_made_again(delivery, whole, begun, text):
    (begun.parts / "index.json").write_text(text)
    build_cohort(delivery, begun.out, PARAMS, progress=lambda line: None)
    assert not begun.read and (begun.out / "refused.csv").read_bytes() == (whole / "refused.csv").read_bytes()


def test_a_folder_of_yours_is_refused_before_anything_is_read(delivery, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "index_series", None)
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "mine").write_text("x")
    with pytest.raises(UserError, match="mine was not written by this program"):
        build_cohort(delivery, tmp_path / "cohort", PARAMS, progress=lambda line: None)
    assert [file.name for file in tmp_path.iterdir()] == ["cohort"]


def test_another_delivery_is_read_from_its_first_series(delivery, begun, tmp_path):
    shutil.copytree(delivery, tmp_path / "other")
    build_cohort(tmp_path / "other", begun.out, PARAMS, progress=lambda line: None)
    assert len(begun.read) == 12 and not begun.parts.exists()


def test_no_pair_leaves_nothing_behind(tmp_path):
    folder = write_delivery(tmp_path / "delivery", tables(n=3))
    shutil.rmtree(folder / "images")
    with pytest.raises(UserError, match="delivery gives no pair: its 3 nodules are refused: 3 x E15"):
        build_cohort(folder, tmp_path / "cohort", PARAMS, progress=lambda line: None)
    assert [file.name for file in tmp_path.iterdir()] == ["delivery"]


def test_a_piece_holds_pairs_and_refusals_in_their_order(tmp_path):
    crops = np.arange(2 * 128 * 128, dtype=np.int16).reshape(2, 128, 128)
    scan = dict(spacing_mm=np.float64(0.1) + 0.2, thickness_mm=None, lossy=False, kernel="B\u00e9")
    refused = PairRead(refusal=RefusedError("E23", "no"))
    pieces._save(tmp_path / "a.npz", [refused, PairRead(crops, (scan, scan)), refused])
    first, second, third = load_piece(tmp_path / "a.npz")
    assert str(first.refusal) == str(third.refusal) == str(refused.refusal) and second.scans == (scan, scan)
    np.testing.assert_array_equal(second.crops, crops)


@pytest.mark.parametrize("reading_s, n_saves", [(1, 10), (.02, 2)])
def test_whole_series_are_kept_one_by_one_and_small_ones_some_at_a_time(tmp_path, monkeypatch, reading_s, n_saves):
    clock = [0.0]
    saves = []

    def read(*given):
        clock[0] += reading_s
        return PairRead(refusal=RefusedError("E23", "no"))

    def save(file, done):
        clock[0] += .04
        saves.append(len(done))

    monkeypatch.setattr(pieces, "read_both", read)
    monkeypatch.setattr(pieces, "_save", save)
    monkeypatch.setattr(pieces, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    assert pieces.read_piece(tmp_path / "a.npz", [(SimpleNamespace(folders=[]),) * 2] * 10) == 10
    assert len(saves) == n_saves and saves[-1] == 10


def test_nodules_of_one_scan_read_its_headers_once(two, tmp_path_factory, monkeypatch):
    opened = []
    monkeypatch.setattr(pieces, "read_series", lambda folder, whole=pieces.read_series: opened.append(folder)
                        or whole(folder))
    jobs = [(scan(two, 100001, 0), scan(two, 100001, 1))] * 3 + [(scan(two, 100002, 0), scan(two, 100002, 1))]
    file = tmp_path_factory.mktemp("pieces") / "a.npz"
    assert pieces.read_piece(file, jobs) == 4 == len(opened) == len(set(opened))
    first, again, _, other = load_piece(file)
    assert (first.crops == again.crops).all() and first.scans == again.scans != other.scans


def test_too_many_refused_images_end_a_run_and_absent_ones_do_not(whole):
    cohort = Cohort.open(whole)
    refused = pd.read_csv(whole / "refused.csv").set_index("source_id")
    assert refused.stage.to_dict() == {"100005 T0 nodule 1": "series", "100007 T0 nodule 1": "fetch"}
    assert cohort.manifest["counts"]["refused_for_images"] == 1 and len(cohort.pairs) == 10
    check_refused_share(cohort, 1 / 11)
    with pytest.raises(UserError, match=r"1 of 11 nodules \(9%\) were refused for their images, over data_refu"):
        check_refused_share(cohort, 0.09)
