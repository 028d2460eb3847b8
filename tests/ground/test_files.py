"""Whole or not there: a file, a folder, after an error, a kill and on a full disk."""

import errno
import os
import subprocess
import sys
import time

import pytest
from safetensors import SafetensorError
from small_disk import largest_file

from namd.ground import files, marks
from namd.ground.errors import UserError


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != marks.LIST)


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


WRITER = """
import os, signal, sys, time
from pathlib import Path
from namd.ground import files, marks
with files.replacing(Path(sys.argv[1])) as aside:
    aside.mkdir()
    (aside / "part").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is at work on tmp_path/vae, and the names it uses there."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "vae")], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process, set(names(tmp_path))
    process.kill()
    process.wait()


def write_beside(folder):
    with files.replacing(folder / "other") as aside:
        aside.write_text("")
    return set(names(folder)) - {"other"}


def rename(folder, old, new):
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace(old, new)))


def test_what_a_living_writer_writes_stays_and_what_a_killed_one_left_goes(tmp_path, writer):
    process, its = writer
    (tmp_path / ".tmp-notes").write_text("a user's")
    (tmp_path / ".lock-notes").write_text("a user's")
    users = {".tmp-notes", ".lock-notes"}
    assert len(its) == 2 and write_beside(tmp_path) == its | users
    process.kill()
    process.wait()
    assert write_beside(tmp_path) == users


@pytest.mark.parametrize(("days", "stays"), [(0, True), (6, True), (8, False)])
def test_a_writer_of_another_machine_counts_as_dead_after_a_week_without_a_byte(days, stays, tmp_path, writer):
    process, its = writer
    process.kill()          # its lock is free, as a lock of another host may look from here
    process.wait()
    rename(tmp_path, files._machine(), "0123abcd")
    past = time.time() - days * 24 * 3600
    for path in [*tmp_path.rglob("*")]:
        os.utime(path, (past, past))
    if days == 6:
        os.utime(next(tmp_path.glob(".tmp-*")) / "part")
    assert bool(write_beside(tmp_path)) is stays


REMOVER = """
import os, shutil, signal, sys
from pathlib import Path
from namd.ground import files, marks
def killed(folder):
    (Path(folder) / marks.LIST).unlink()
    os.kill(os.getpid(), signal.SIGKILL)
shutil.rmtree = killed
getattr(files, sys.argv[2])(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("act", ["discard", "remove"])
def test_a_folder_killed_while_it_is_deleted_does_not_look_like_a_users(act, tmp_path):
    with files.replacing(tmp_path / "step-2") as aside:
        aside.mkdir()
        (aside / "weights").write_text("")
    subprocess.run([sys.executable, "-c", REMOVER, str(tmp_path / "step-2"), act])
    assert len(names(tmp_path)) == 2 and not (tmp_path / "step-2").exists()
    assert write_beside(tmp_path) == set()


def test_a_process_of_the_same_number_is_not_the_writer(tmp_path, writer):
    process, its = writer
    assert not [name for name in its if str(process.pid) in name]


def test_a_folder_killed_between_two_renames_is_put_back(tmp_path, monkeypatch, writer):
    process, its = writer
    process.kill()
    process.wait()
    lock, aside = sorted(its)
    (tmp_path / aside.replace(".tmp-", ".old-")).mkdir()
    (tmp_path / aside.replace(".tmp-", ".old-") / "old").write_text("")
    assert write_beside(tmp_path) == {"vae"} and names(tmp_path / "vae") == ["old"]


@pytest.mark.parametrize("system", ["that exchanges", "that cannot"])
def test_a_folder_is_never_missing_or_the_old_one_is_put_back(system, tmp_path, monkeypatch):
    folder, seen, rename_ = tmp_path / "model", [], os.replace
    for text in ("one", "two"):
        if text == "two":
            monkeypatch.setattr(os, "replace", lambda old, new: (rename_(old, new), seen.append(folder.is_dir())))
        if system == "that cannot":
            monkeypatch.setattr(files, "_exchange", lambda one, other: False)
        with files.replacing(folder) as aside:
            aside.mkdir()
            (aside / text).write_text(text)
    assert names(folder) == ["two"] and seen == ([] if system == "that exchanges" else [False, True])

    def refuse(old, new):
        if ".tmp-" in str(old):
            raise OSError(errno.EIO, "Input/output error")
        rename_(old, new)
    if system == "that cannot":
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError), files.replacing(folder) as aside:
            aside.mkdir()
        assert names(folder) == ["two"] and names(tmp_path) == ["model"]


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
    with files.replacing(tmp_path / "latents") as aside:
        aside.write_bytes(b"old")
    with largest_file(1000), pytest.raises(UserError) as error, files.replacing(tmp_path / "latents") as aside:
        aside.write_bytes(bytes(2000))
    assert str(error.value) == (f"The disk holding {tmp_path} is full or over its quota, so latents was not written:"
                                " free some space and start again; the run goes on from where it was.")
    assert (tmp_path / "latents").read_bytes() == b"old" and names(tmp_path) == ["latents"]
