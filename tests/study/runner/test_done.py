"""Which jobs of a run are finished: after another delivery, another cohort, or a notebook run by hand."""

import json

import pytest
from small_home import write_cohort

from namd.data.nlst.fingerprint import fingerprint, record
from namd.ground import paths
from namd.study.runner.done import FIRST, DoneFiles, with_trained
from namd.study.runner.plan import Job, Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"


@pytest.fixture
def run(home):
    """(marks, root) of a finished run on a phantom's delivery of one file."""
    root = home / "outputs" / "smoke"
    marks = DoneFiles(Plan([SMOKE]), root)
    (root / "delivery").mkdir(parents=True)
    build(root)
    for job in marks.plan.jobs():
        write_stamp(marks, job, job.label)
        marks.write(job, 1.0, [])
    assert all(map(marks.holds, marks.plan.jobs()))
    return marks, root


def build(root, **cohort):
    """What notebook 01 leaves of the delivery as it is."""
    write_cohort(root, **cohort)
    record(root / "cohort", fingerprint(root / "delivery"))


def write_stamp(marks, job, key):
    stamp = marks.root / job.folder / "runs" / f"{job.number}.json"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(dict(key=key)))


def holding(marks):
    return [job.number for job in marks.plan.jobs() if marks.holds(job)]


def test_a_changed_delivery_asks_for_01_and_sets_aside_what_follows(run):
    marks, root = run
    marks.set_aside()
    assert marks.finished() == (10, 10)
    (root / "delivery" / "late.dcm").write_text("")
    assert not marks.holds(FIRST) and marks.finished() == (9, 10)
    marks.set_aside()
    assert holding(marks) == [] and not list(root.rglob("done/0*.json"))


@pytest.mark.parametrize("crops, back", [("c", True), ("other", False)], ids=["the same", "another"])
def test_an_equal_cohort_renews_nothing_and_another_one_everything(run, crops, back):
    marks, root = run
    (root / "delivery" / "late.dcm").write_text("")
    marks.set_aside()
    build(root, crops=crops)
    marks.withdraw(FIRST)
    marks.write(FIRST, 1.0, [])
    later = [job for job in marks.plan.jobs() if job != FIRST]
    assert [marks.restored(job) for job in later] == [back] * len(later)
    assert [marks.holds(job) for job in later] == [back] * len(later) and marks.holds(FIRST)


def test_a_cohort_that_was_deleted_or_replaced_by_hand_is_noticed(run):
    marks, root = run
    write_cohort(root, pairs="of another run")
    assert holding(marks) == []
    (root / "cohort" / "manifest.json").unlink()
    assert holding(marks) == []


def test_a_stage_that_was_trained_by_hand_with_other_values_is_not_up_to_date(run):
    marks, _ = run
    write_stamp(marks, Job("03", "namd"), "another key")
    assert marks.finished() == (9, 10) and not marks.holds(Job("03", "namd"))


def test_trained_arms_stay_compared_while_01_has_to_run_again(run):
    marks, root = run
    wide = Plan([SMOKE], ["compare_arms=[namd, no_text]"])
    for number in ("02", "03", "04"):
        DoneFiles(wide, root).write(Job(number, "no_text"), 1.0, [])
    (root / "delivery" / "late.dcm").write_text("")
    DoneFiles(with_trained(Plan([SMOKE]), root), root).set_aside()
    assert with_trained(Plan([SMOKE]), root).values["compare_arms"] == ["namd", "no_align_no_pred", "no_text"]
    build(root, crops="other")
    assert with_trained(Plan([SMOKE]), root).values["compare_arms"] == ["namd", "no_align_no_pred"]
