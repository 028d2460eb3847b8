"""Nothing of a user's is removed or replaced: what stands in a list of ours, as it is, is ours; all else is not."""

import os
from types import SimpleNamespace

import pandas as pd
import pytest
from small_delivery import PARAMS, tables, write_delivery

from namd.data.nlst.build import build_cohort
from namd.data.phantom import delivery
from namd.evaluation.tables import probabilities
from namd.forecasters import drawing
from namd.ground import files, marks, paths
from namd.ground.errors import UserError
from namd.ground.keys import Keyed
from namd.study import notebook
from namd.study.results.course.command import write_course
from namd.study.runner import execute
from namd.study.runner.done import DoneFiles
from namd.study.runner.plan import Plan
from namd.training import checkpoint


def write(path, text="ours"):
    with files.replacing(path) as aside:
        aside.write_text(text)


def write_folder(path, *names):
    with files.replacing(path) as aside:
        (aside / "sub").mkdir(parents=True)
        for name in names:
            (aside / name).write_text(name)


def everything(folder):
    """{name: bytes, or where a link points} of all that a user sees below `folder`."""
    seen = (path for path in sorted(folder.rglob("*")) if path.name != marks.LIST)
    return {str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else
            path.read_bytes() if path.is_file() else None for path in seen}


def alien_file(place):
    place.write_text("a user's")


def alien_folder(place):
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "notes.txt").write_text("a user's")


def alien_link(place):
    write_folder(place.with_name("elsewhere"), "sub/a", "b")
    place.symlink_to("elsewhere")


def dangling_link(place):
    place.symlink_to("another disk that is away")


def edited_file(place):
    write(place)
    place.write_text("ours, and a word")


def file_of_ours_under_another_name(place):
    write(place.with_name("other"))
    place.with_name("other").rename(place)


def added_file(place):
    write_folder(place, "sub/a", "b")
    (place / "sub" / "notes.txt").write_text("a user's")


def added_hidden_file(place):
    write_folder(place, "b")
    (place / ".notes").write_text("a user's")


def added_link(place):
    write_folder(place, "b")
    (place / "scan").symlink_to("/tmp")


def edited_in_a_folder(place):
    write_folder(place, "sub/a", "b")
    (place / "sub" / "a").write_text("a user's")


def same_length(place):
    write_folder(place, "b")
    kept = (place / "b").stat()
    (place / "b").write_text("c")
    os.utime(place / "b", (kept.st_atime, kept.st_mtime))


def a_pipe(place):
    os.mkfifo(place)


ALIEN = (alien_file, alien_folder, alien_link, dangling_link, edited_file, file_of_ours_under_another_name, added_file,
         added_hidden_file, added_link, edited_in_a_folder, same_length, a_pipe)


@pytest.mark.parametrize("make", ALIEN)
@pytest.mark.parametrize("write_anew", [write, write_folder])
def test_what_is_not_ours_is_refused_before_any_work_and_stays(make, write_anew, tmp_path):
    make(tmp_path / "place")
    before = {name: what for name, what in everything(tmp_path).items() if make is not a_pipe}
    with pytest.raises(UserError, match="not written by this program.*move it away"):
        write_anew(tmp_path / "place")
    assert make is a_pipe or everything(tmp_path) == before


def test_what_a_user_puts_there_while_the_block_works_stays_too(tmp_path):
    with pytest.raises(UserError, match="notes.txt was not written by this program"):
        with files.replacing(tmp_path / "place") as aside:
            aside.mkdir()
            alien_folder(tmp_path / "place")
    assert list(everything(tmp_path)) == ["place", "place/deep", "place/deep/notes.txt"]


@pytest.mark.parametrize("first", [write, write_folder])
@pytest.mark.parametrize("then", [write, write_folder])
def test_what_is_ours_is_replaced_again_and_again_and_after_a_copy(first, then, tmp_path):
    first(tmp_path / "place")
    then(tmp_path / "place")
    files.shutil.copytree(tmp_path, tmp_path / "copy", copy_function=files.shutil.copyfile)    # other times and owners
    first(tmp_path / "copy" / "place")
    first(tmp_path / "place")


@pytest.mark.parametrize("torn", ["1234", "00" * 32 + "  a", "\n\n", "\xff\x00"])
def test_a_torn_list_loses_no_more_than_its_last_line(torn, tmp_path):
    write(tmp_path / "a")
    with open(tmp_path / marks.LIST, "a") as handle:
        handle.write(torn)
    write(tmp_path / "b", "one")
    write(tmp_path / "b", "two")
    write(tmp_path / "a", "two")
    assert everything(tmp_path) == {"a": b"two", "b": b"two"}


def test_a_list_grows_with_what_is_written_and_not_with_how_often(tmp_path):
    for text in ("one", "two", "one", "two"):
        write(tmp_path / "a", text)
    assert len((tmp_path / marks.LIST).read_text().splitlines()) == 2


# What the program writes where a user may have something


def begin_run(root):
    notebook.Run("01_data_preparation", dict(run_name="mine", seed=23, device="cpu", threads=1))


def execute_a_notebook(root):
    execute.run_job(SimpleNamespace(values=dict(run_name="mine")),
                    SimpleNamespace(folder="", number="01", label="01", mark="done/01.json"))


def write_a_phantom(root):
    delivery.write_delivery(root, 2, 1, 0.1, 0.1, "none")


def build_a_cohort(root):
    source = write_delivery(root.with_name("source"), tables(n=12))
    build_cohort(source, root, PARAMS, progress=lambda line: None)


def write_the_course(root):
    student = root.with_name("course") / "student"
    student.parent.mkdir()
    root.rename(student)
    try:
        write_course(Plan([paths.REPO / "params" / "smoke.yaml"]))
    finally:
        student.rename(root)


def save_probabilities(root):
    probabilities.save_probabilities(root / "notes.txt", {"namd": [[0.5]]}, ["a"], ["p"])


@pytest.mark.parametrize("work", [begin_run, execute_a_notebook, write_a_phantom, build_a_cohort, write_the_course,
                                  save_probabilities])
def test_a_users_folder_is_left_alone(work, tmp_path, monkeypatch):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("a user's")
    with pytest.raises(UserError, match="not written by this program|begun by somebody else"):
        work(tmp_path / "mine")
    assert everything(tmp_path / "mine") == {"notes.txt": b"a user's"}


def test_a_note_in_our_own_cohort_or_phantom_survives_the_next(tmp_path):
    source, out = write_delivery(tmp_path / "source", tables(n=12)), tmp_path / "cohort"
    build_cohort(source, out, PARAMS, progress=lambda line: None)
    pd.read_csv(out / "pairs.csv").head(1).to_csv(out / "pairs.csv", index=False)
    before = everything(out)
    with pytest.raises(UserError, match="pairs.csv was not written by this program, or was changed"):
        build_cohort(source, out, PARAMS, progress=lambda line: None)
    assert everything(out) == before


def test_checkpoints_leave_a_users_folders_alone(tmp_path):
    (tmp_path / "step-by-step").mkdir()
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, {}, {"key": ""}, keep=1)
    assert checkpoint.latest(tmp_path)[0] == 3 and (tmp_path / "step-by-step").is_dir()


def note_in_a_checkpoint(root):
    for step in (1, 2, 3):
        checkpoint.save(root, step, {}, {"key": "of this run"}, keep=1)
        (root / f"step-{step:08d}" / "notes.txt").write_text("a user's")
    checkpoint.save(root, 4, {}, {"key": "of another"}, keep=1)
    return [root / f"step-{step:08d}" / "notes.txt" for step in (1, 2, 3)]


def note_where_a_damaged_checkpoint_stands(root):
    note = note_in_a_checkpoint(root)[-1]
    note.with_name("state.json").write_text("{")
    checkpoint.save(root, 3, {}, {"key": "of this run"}, keep=1)
    return [root / "step-00000003.damaged" / "notes.txt"]


def note_among_the_pieces_of_a_row(root):
    parts = root / "namd.parts"
    write(parts / "0000.npy")
    (parts / "notes.txt").write_text("a user's")
    with pytest.raises(UserError, match="notes.txt was not written by this program"):
        drawing._begin(Keyed(parts, "a key"))
    files.discard(parts)
    return [parts / "notes.txt"]


def notes_among_the_done_files(root):
    job = SimpleNamespace(number="01", folder="", mark="done/01.json")
    done = DoneFiles(None, root)
    notes = [root / "done" / name for name in ("01-notes.json", "01-0123456789ab.json", "101.json")]
    write(done.file(job), "{}")
    for note in notes:
        note.write_text("a user's")
    done.set_aside(job)
    assert not done.file(job).exists()
    return notes


@pytest.mark.parametrize("work", [note_in_a_checkpoint, note_where_a_damaged_checkpoint_stands,
                                  note_among_the_pieces_of_a_row, notes_among_the_done_files])
def test_what_is_cleared_away_later_is_ours_too(work, tmp_path):
    notes = work(tmp_path)
    assert [note.read_text() for note in notes] == ["a user's"] * len(notes)


@pytest.mark.parametrize("outputs", ["a file", "a file/below", "/proc/nothing/here"])
def test_outputs_that_cannot_be_written_are_one_sentence(outputs, tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / outputs))
    with pytest.raises(UserError, match="Nothing can be written to .* NAMD_OUTPUTS"):
        begin_run(None)


def test_a_run_begins_once_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    begin_run(None)
    (tmp_path / "mine" / "notes.txt").write_text("a user's, beside our files")
    begin_run(None)
    assert (tmp_path / "mine" / "notes.txt").is_file()
