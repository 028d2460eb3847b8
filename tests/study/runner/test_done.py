"""Which jobs of a run are finished: after another delivery, another cohort, or a notebook run by hand."""

import json

import pytest
from small_home import write_cohort

from namd.data.nlst.fingerprint import fingerprint, record
from namd.ground import paths
from namd.ground.contents import Contents
from namd.ground.order import Job
from namd.study.runner.done import DoneFiles, with_trained
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
FIRST = Job("01", None)


@pytest.fixture
def run(home):
    """(marks, root) of a finished run on a phantom's delivery of one file; every notebook after 01 reads the cohort."""
    root = home / "outputs" / "smoke"
    marks = DoneFiles(Plan([SMOKE]), root)
    (root / "delivery").mkdir(parents=True)
    build(root)
    for job in marks.plan.jobs():
        finish(marks, job)
    assert all(map(marks.holds, marks.plan.jobs()))
    return marks, root


def build(root, **cohort):
    """What notebook 01 leaves of the delivery as it is."""
    write_cohort(root, **cohort)
    record(root / "cohort", fingerprint(root / "delivery"))


def finish(marks, job, **numbers):
    """What the notebook of `job` and its runner leave."""
    reads = {} if job.number <= FIRST.number else {"cohort": Contents().digest(marks.root / "cohort")}
    stamp = marks.root / job.folder / "runs" / f"{job.number}.json"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(dict(numbers=numbers, reads=reads, made=[])))
    marks.write(job, 1.0)


def holding(marks):
    return [job.number for job in marks.plan.jobs() if marks.holds(job)]


def test_a_changed_delivery_asks_for_01_and_sets_aside_what_follows(run):
    marks, root = run
    marks.settle()
    assert marks.finished() == (11, 11)
    (root / "delivery" / "late.dcm").write_text("")
    assert marks.why(FIRST) == ["files of the delivery were added, replaced or removed"]
    assert marks.finished() == (10, 11)
    marks.settle()
    assert holding(marks) == ["00"] and len(list(root.rglob("done/0*.json"))) == 1


def test_a_changed_delivery_of_lidc_asks_for_09_alone(run, tmp_path):
    marks, root = run
    own = root / "lidc_delivery"
    own.mkdir()
    (root / "lidc").mkdir()
    (root / "lidc" / "manifest.json").write_text("{}")
    record(root / "lidc", fingerprint(own))
    assert stale(marks) == []
    (own / "late.dcm").write_text("")
    assert stale(marks) == ["09"]
    assert marks.why(Job("09", None)) == ["files of the delivery were added, replaced or removed"]
    values = marks.plan.by_arm[marks.plan.main]
    values |= dict(lidc_source="delivery", lidc_delivery=str(tmp_path / "lidc-idri"))
    (tmp_path / "lidc-idri").mkdir()
    record(root / "lidc", fingerprint(tmp_path / "lidc-idri"))
    assert "files of the delivery" not in " ".join(marks.why(Job("09", None)))
    (tmp_path / "lidc-idri" / "late.xml").write_text("")
    assert "files of the delivery" in " ".join(marks.why(Job("09", None)))


def stale(marks):
    return [job.number for job in marks.plan.jobs() if not marks.current(job)]


@pytest.mark.parametrize("crops, back", [("c", True), ("other", False)], ids=["the same", "another"])
def test_an_equal_cohort_renews_nothing_and_another_one_everything(run, crops, back):
    marks, root = run
    (root / "delivery" / "late.dcm").write_text("")
    marks.settle()
    build(root, crops=crops)
    finish(marks, FIRST)
    later = [job for job in marks.plan.jobs() if job.number > FIRST.number]
    assert [marks.restored(job) for job in later] == [back] * len(later)
    assert [marks.holds(job) for job in later] == [back] * len(later) and marks.holds(FIRST)


def test_a_change_that_is_taken_back_brings_the_marks_back(run):
    marks, root = run
    sound = (root / "cohort" / "manifest.json").read_text()
    write_cohort(root, crops="other")
    marks.settle()
    assert holding(marks) == ["00", "01"]
    (root / "cohort" / "manifest.json").write_text(sound)
    marks.settle()
    assert len(holding(marks)) == len(marks.plan.jobs())


def test_a_cohort_that_was_deleted_or_replaced_by_hand_is_noticed(run):
    marks, root = run
    write_cohort(root, pairs="of another run")
    assert holding(marks) == ["00", "01"] and marks.why(Job("05", None)) == ["cohort changed"]
    (root / "cohort" / "manifest.json").unlink()
    assert holding(marks) == ["00", "01"]


def test_a_stage_that_was_trained_by_hand_with_another_result_is_not_up_to_date(run):
    marks, root = run
    stamp = root / "arms" / "namd" / "runs" / "03.json"
    told = json.loads(stamp.read_text())
    stamp.write_text(json.dumps(told | dict(seconds=99)))
    assert marks.finished() == (11, 11)
    stamp.write_text(json.dumps(told | dict(numbers=dict(val_loss=1))))
    assert marks.finished() == (10, 11) and not marks.holds(Job("03", "namd"))


def test_a_mark_of_another_version_of_the_program_holds_nothing(run):
    marks, _ = run
    file = marks.file(Job("05", None))
    file.write_text(json.dumps({"key": "old"}))
    assert marks.why(Job("05", None)) == ["it has not finished yet"]      # it is not as it was written
    file.with_name(".namd").unlink()
    assert "another version" in marks.why(Job("05", None))[0]


def test_trained_arms_stay_compared_while_01_has_to_run_again(run):
    marks, root = run
    wide = DoneFiles(Plan([SMOKE], ["compare_arms=[namd, no_text]"]), root)
    for number in ("02", "03", "04"):
        finish(wide, Job(number, "no_text"))
    (root / "delivery" / "late.dcm").write_text("")
    DoneFiles(with_trained(Plan([SMOKE]), root), root).settle()
    assert with_trained(Plan([SMOKE]), root).values["compare_arms"] == ["namd", "no_align_no_pred", "no_text"]
    build(root, crops="other")
    assert with_trained(Plan([SMOKE]), root).values["compare_arms"] == ["namd", "no_align_no_pred"]
