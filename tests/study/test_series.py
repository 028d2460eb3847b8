from pathlib import Path

import pytest

from namd.errors import UserError
from namd.study import params, series
from namd.study.series import Job, Plan

SMOKE = params.REPO / "params" / "smoke.yaml"
NO_ALIGN = params.REPO / "params" / "ablations" / "no_align_no_pred.yaml"


def keys(*pairs):
    plan = Plan([SMOKE], pairs)
    return {job.label: plan.done_file(job) for job in plan.jobs()}


def changed(before, after):
    return {label for label in before if before[label] != after[label]}


def test_a_run_is_seven_notebooks_three_of_them_once_per_arm(home):
    labels = [job.label for job in Plan([SMOKE]).jobs()]
    arms = ["namd", "no_align_no_pred"]
    per_arm = [f"{name} · {arm}" for name in ("02_vae", "03_prior", "04_follow_up") for arm in arms]
    assert labels == ["01_data", *per_arm, "05_judge", "06_variance", "07_ablations"]


def test_an_arm_differs_from_the_main_one_only_where_its_file_says(home):
    plan = Plan([SMOKE])
    main, ablation = (plan.parameters(Job("02", arm)) for arm in ("namd", "no_align_no_pred"))
    assert {k for k in main if main[k] != ablation[k]} == {"arm", "lambda_align", "lambda_pred"}
    assert (ablation["lambda_align"], ablation["lambda_pred"]) == (0.0, 0.0)


def test_asking_for_an_arm_by_its_file_plans_the_same_job(home):
    job = Job("02", "no_align_no_pred")
    assert Plan([SMOKE, NO_ALIGN]).done_file(job) == Plan([SMOKE]).done_file(job)


def test_a_parameter_reruns_its_notebook_and_what_follows_but_nothing_before(home):
    before = keys()
    arms = {"02_vae · namd", "03_prior · namd", "04_follow_up · namd"}
    after = {"05_judge", "06_variance", "07_ablations"}
    assert changed(before, keys("lambda_align=0.3")) == arms | after
    assert changed(before, keys("judge_steps=7")) == set()       # declared by no notebook of this home
    assert changed(before, keys("data_source=delivery")) == set(before)


def test_how_a_result_is_reached_is_no_part_of_its_key(home, write):
    write("01_data", parameters='run_name: str = "smoke"\ndata_workers: int = 1\n')
    before = keys()
    assert changed(before, keys("data_workers=2")) == set()


def test_an_edited_exercise_or_sentence_keeps_the_results_that_follow(home, write):
    write("05_judge", "x = 1", "## Exercises", "# text", "y = 2")
    before = keys()
    write("05_judge", "x = 1", "## Exercises", "# other text", "y = 3")
    assert changed(before, keys()) == {"05_judge"}
    write("05_judge", "x = 2", "## Exercises", "# other text", "y = 3")
    assert changed(before, keys()) == {"05_judge", "06_variance", "07_ablations"}


def test_reached_follows_imports_through_modules_and_leaves_study_out(tmp_path, monkeypatch):
    package = tmp_path / "namd"
    (package / "study").mkdir(parents=True)
    (package / "a.py").write_text("def f():\n    from namd import b\n")
    (package / "b.py").write_text("import namd.study.run\n")
    (package / "c.py").write_text("")
    (package / "study" / "run.py").write_text("")
    monkeypatch.setattr(params, "REPO", tmp_path)
    assert series.reached("from namd.a import f\nimport numpy") == {
        "namd.a": b"def f():\n    from namd import b\n", "namd.b": b"import namd.study.run\n"}


def test_a_changed_module_reruns_the_notebook_that_imports_it(home, write, monkeypatch):
    write("05_judge", "from namd.errors import UserError")
    before = keys()
    monkeypatch.setattr(series, "reached", lambda source: {"namd.errors": b"new"} if "errors" in source else {})
    assert {"05_judge", "06_variance", "07_ablations"} == changed(before, keys())


def test_parents_stay_within_their_arm_until_the_evaluation_joins_them(home):
    plan = Plan([SMOKE])
    assert plan.parents(Job("03", "no_align_no_pred")) == [Job("02", "no_align_no_pred")]
    assert plan.parents(Job("05", None)) == [Job("04", "namd"), Job("04", "no_align_no_pred")]


def test_finished_counts_the_files_of_this_very_plan(home, tmp_path):
    plan = Plan([SMOKE])
    file = tmp_path / plan.done_file(Job("01", None))
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert plan.finished(tmp_path) == (1, 10)
    assert Plan([SMOKE], ["seed=5"]).finished(tmp_path) == (0, 10)


def test_what_does_not_exist_is_named(home, write):
    with pytest.raises(UserError, match="no notebook 12; choose one of 01_data"):
        series.notebook("12")
    with pytest.raises(UserError, match="ablations/nowhere.yaml"):
        Plan([SMOKE], ["compare_arms=[namd, nowhere]"])
    write("05_judge", parameters="speed: int = 3\n")
    with pytest.raises(UserError, match="declares speed"):
        Plan([SMOKE]).parameters(Job("05", None))


def test_job_folders():
    assert Job("02", "namd").folder == Path("arms/namd") and Job("05", None).folder == Path()
