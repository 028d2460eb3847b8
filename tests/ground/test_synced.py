"""What `files.replacing` has renamed is on the disk: the file, or every file and folder of a tree, and the name."""

import os

import pytest

from namd.ground import files


@pytest.fixture
def synced(monkeypatch):
    """Inodes that were flushed while the test ran, in order."""
    seen, real = [], os.fsync

    def fsync(handle):
        seen.append(os.fstat(handle).st_ino)
        real(handle)
    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def inode(path):
    return path.stat().st_ino


def test_a_file_and_the_folder_with_its_new_name_are_flushed(tmp_path, synced):
    with files.replacing(tmp_path / "a.txt") as aside:
        aside.write_text("a")
        assert not synced
    assert inode(tmp_path / "a.txt") in synced and synced[-1] == inode(tmp_path)


def test_every_file_and_folder_of_a_tree_is_flushed(tmp_path, synced):
    with files.replacing(tmp_path / "model") as aside:
        (aside / "deep" / "er").mkdir(parents=True)
        for name in ("config.json", "deep/a", "deep/er/b"):
            (aside / name).write_text(name)
    model = tmp_path / "model"
    assert {inode(path) for path in (model, *model.rglob("*"))} <= set(synced) and synced[-1] == inode(tmp_path)


def test_a_file_is_flushed_before_it_has_its_name(tmp_path, monkeypatch, synced):
    real, order = os.replace, []

    def replace(source, target):
        order.append((inode(source), list(synced)))
        real(source, target)
    monkeypatch.setattr(os, "replace", replace)
    with files.replacing(tmp_path / "a.txt") as aside:
        aside.write_text("a")
    (moved, flushed), *_ = order
    assert moved in flushed
