import os
import shutil
from pathlib import Path

import pytest

from namd.data.nlst.fingerprint import fingerprint, record, unchanged


@pytest.fixture
def delivery(tmp_path):
    folder = tmp_path / "delivery"
    for name in ("people.csv", "images/a/1.dcm", "images/a/2.dcm", "images/b/1.dcm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    os.symlink("nowhere", folder / "images" / "dangling")
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", folder / "images" / "linked")
    os.symlink("..", folder / "images" / "loop")
    return folder


def other_bytes_same_size_and_time(file):
    before = file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "a series added": lambda d: (d / "images" / "c").mkdir() or (d / "images" / "c" / "1.dcm").write_bytes(b"c"),
    "a series removed": lambda d: shutil.rmtree(d / "images" / "b"),
    "a slice renamed": lambda d: (d / "images" / "a" / "2.dcm").rename(d / "images" / "a" / "3.dcm"),
    "a series moved": lambda d: (d / "images" / "b").rename(d / "images" / "z"),
    "a slice cut off": lambda d: os.truncate(d / "images" / "a" / "1.dcm", 3),
    "a slice replaced": lambda d: other_bytes_same_size_and_time(d / "images" / "a" / "1.dcm"),
    "a table replaced": lambda d: other_bytes_same_size_and_time(d / "people.csv"),
    "a slice added behind a link": lambda d: (d.parent / "elsewhere" / "2.dcm").write_bytes(b"c"),
    "a link repaired": lambda d: (d / "images" / "nowhere").write_bytes(b"now somewhere"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_below_a_delivery_is_seen(delivery, tmp_path, change):
    record(tmp_path, fingerprint(delivery))
    assert unchanged(tmp_path, delivery)
    CHANGES[change](delivery)
    assert not unchanged(tmp_path, delivery)


def test_reading_a_delivery_or_moving_it_as_a_whole_changes_nothing(delivery, tmp_path):
    record(tmp_path, fingerprint(delivery))
    (delivery / "people.csv").read_bytes()
    moved = delivery.rename(tmp_path / "moved")
    assert unchanged(tmp_path, moved)
    assert unchanged(tmp_path, delivery)            # out of reach: nothing can be built anew


def test_a_cohort_without_a_record_is_built_again(delivery, tmp_path):
    assert not unchanged(tmp_path, delivery) and not unchanged(tmp_path, Path("nowhere"))
