"""Whole or not there: a file, a folder, after an error, a kill and on a full disk."""

import errno
import os
import subprocess

import pytest
from safetensors import SafetensorError
from small_disk import largest_file

from namd import files
from namd.errors import UserError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end_and_kept_when_its_writer_fails(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    for text in ("one", "two"):
        with files.replacing(path) as aside:
            aside.write_text(text)
            assert not path.exists() or path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), files.replacing(path) as aside:
        aside.write_text("three")
        raise ZeroDivisionError
    assert path.read_text() == "two" and names(path.parent) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("one", "two"):
        with files.replacing(tmp_path / "model") as aside:
            (aside / "sub").mkdir(parents=True)
            (aside / "sub" / name).write_text(name)
    assert names(tmp_path / "model" / "sub") == ["two"] and names(tmp_path) == ["model"]


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".tmp-{dead.pid}-vae").mkdir()
    for name in (f".old-{dead.pid}-unet", f".tmp-{os.getppid()}-vae", ".tmp-notes"):
        (tmp_path / name).write_text("")
    with files.replacing(tmp_path / "other") as aside:
        aside.write_text("")
    assert names(tmp_path) == sorted([f".tmp-{os.getppid()}-vae", ".tmp-notes", "other"])


@pytest.mark.parametrize(("error", "full"), [
    (OSError(errno.ENOSPC, "No space left on device"), True),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
    (OSError(errno.EFBIG, "File too large"), True),
    (OSError(errno.EACCES, "Permission denied"), False),
    (SafetensorError("Error while serializing: I/O error: Disk quota exceeded (os error 122)"), True),
    (SafetensorError('Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "" })'), True),
    (SafetensorError("Error while deserializing header: incomplete metadata, file not fully covered"), False),
], ids=lambda value: str(value)[:50])
def test_a_full_disk_is_told_from_other_trouble(error, full, tmp_path):
    assert files.says_full(error) is full
    with pytest.raises(UserError if full else type(error)), files.or_disk_full(tmp_path / "weights"):
        raise error


def test_a_full_disk_ends_in_one_sentence_and_leaves_the_old_file(tmp_path):
    (tmp_path / "latents").write_bytes(b"old")
    with largest_file(1000), pytest.raises(UserError) as error, files.replacing(tmp_path / "latents") as aside:
        aside.write_bytes(bytes(2000))
    assert str(error.value) == (f"The disk holding {tmp_path} is full or over its quota, so latents was not written:"
                                " free some space and start again; the run goes on from where it was.")
    assert (tmp_path / "latents").read_bytes() == b"old" and names(tmp_path) == ["latents"]
