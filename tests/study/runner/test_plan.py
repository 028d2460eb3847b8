from pathlib import Path

import pytest

from namd.ground import order, paths
from namd.ground.errors import UserError
from namd.study import params
from namd.study.runner.done import DoneFiles, with_trained
from namd.study.runner.plan import Job, Plan

BASE = params.BASE
SMOKE = paths.REPO / "params" / "smoke.yaml"
NO_ALIGN = paths.REPO / "params" / "ablations" / "no_align_no_pred.yaml"


def done_files(*pairs):
    made = Plan([SMOKE], pairs)
    return {job.label: made.done_file(job) for job in made.jobs()}


def changed(before, after):
    return {label for label in before if before[label] != after[label]}


def test_a_run_is_eight_notebooks_three_of_them_once_per_arm(home):
    labels = [job.label for job in Plan([SMOKE]).jobs()]
    arms = ["namd", "no_align_no_pred"]
    per_arm = [f"{name} · {arm}" for name in ("02_vae", "03_prior", "04_follow_up") for arm in arms]
    assert labels == ["01_data", *per_arm, "05_judge", "06_variance", "07_ablations", "08_others"]


def test_an_arm_differs_from_the_main_one_only_where_its_file_says(home):
    plan = Plan([SMOKE])
    main, ablation = (plan.parameters(Job("02", arm)) for arm in ("namd", "no_align_no_pred"))
    assert {k for k in main if main[k] != ablation[k]} == {"arm", "lambda_align", "lambda_pred"}
    assert (ablation["lambda_align"], ablation["lambda_pred"]) == (0.0, 0.0)


def test_asking_for_an_arm_by_its_file_plans_the_same_job(home):
    job = Job("02", "no_align_no_pred")
    assert Plan([SMOKE, NO_ALIGN]).done_file(job) == Plan([SMOKE]).done_file(job)


def test_an_arm_joins_the_files_of_its_name_and_they_win_over_pairs(home):
    plan = Plan([SMOKE], ["compare_arms=[namd, namd-seed24, no_align-epsilon-seed24]", "lambda_align=0.3", "seed=7"])
    told = {arm: [values[key] for key in ("seed", "lambda_align", "prediction_type", "arm")]
            for arm, values in plan.by_arm.items()}
    assert told == {"namd": [7, 0.3, "v_prediction", "namd"], "namd-seed24": [24, 0.3, "v_prediction", "namd-seed24"],
                    "no_align-epsilon-seed24": [24, 0.0, "epsilon", "no_align-epsilon-seed24"]}
    assert [f.stem for f in plan.files_of(Job("03", "namd-seed24"))[1:]] == ["seed24"]


@pytest.mark.parametrize("stems, arm", [
    (["no_align"], "no_align"), (["seed24"], "namd-seed24"), (["seed24", "no_align"], "no_align-seed24"),
])
def test_files_of_ablations_name_the_arm_they_make(home, stems, arm):
    files = [paths.ABLATIONS / f"{stem}.yaml" for stem in stems]
    asked = Plan([SMOKE, *files])
    assert asked.values["arm"] == arm
    job = Job("04", arm)
    assert Plan([SMOKE], [f"compare_arms=[namd, {arm}]"]).done_file(job) == asked.done_file(job)


def test_an_arm_whose_files_change_nothing_is_left_out(home, write):
    write("05_judge", parameters='compare_arms: list = ["namd"]\n')
    plan = Plan([SMOKE], ["compare_arms=[namd, flat_latent, pooled_latent]"])
    assert list(plan.by_arm) == ["namd", "pooled_latent"]
    assert plan.parameters(Job("05", None))["compare_arms"] == ["namd", "pooled_latent"]


def finish(plan, root, arm):
    for number in order.PER_ARM:
        file = root / plan.done_file(Job(number, arm))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")


def test_a_trained_arm_stays_compared_until_it_is_out_of_date(home, tmp_path):
    layer = tmp_path / "ablations.yaml"
    layer.write_text("compare_arms: [namd, no_pred, no_align, namd-seed24]\n")
    wide = Plan([SMOKE, layer])
    for arm in ("namd", "no_pred", "namd-seed24"):
        finish(wide, tmp_path, arm)
    (tmp_path / "arms" / "somebody_elses").mkdir()
    study = with_trained(Plan([SMOKE]), tmp_path)
    assert study.values["compare_arms"] == ["namd", "namd-seed24", "no_align_no_pred", "no_pred"]
    assert study.done_file(Job("04", "no_pred")) == wide.done_file(Job("04", "no_pred"))
    assert with_trained(Plan([SMOKE, NO_ALIGN.with_stem("no_align")]), tmp_path).values["arm"] == "no_align"
    assert with_trained(Plan([SMOKE], ["image_size=32"]), tmp_path).values["compare_arms"] == [
        "namd", "no_align_no_pred"]


def test_the_order_of_asking_does_not_matter_once_all_are_trained(home, tmp_path):
    layers = [tmp_path / f"{name}.yaml" for name in "ab"]
    layers[0].write_text("compare_arms: [namd, no_pred, no_align]\n")
    layers[1].write_text("compare_arms: [namd, namd-seed24]\n")
    for layer in layers:
        plan = Plan([SMOKE, layer])
        for arm in plan.by_arm:
            finish(plan, tmp_path, arm)
    assert len({tuple(with_trained(Plan([SMOKE, layer]), tmp_path).values["compare_arms"]) for layer in layers}) == 1


@pytest.mark.parametrize("file", sorted(paths.ABLATIONS.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_ablation_says_why_and_leaves_run_and_arm_alone(file):
    layer = params.read_layer(file)
    assert file.read_text().startswith("# ") and not {"arm", "run_name", "compare_arms", "phantom_seed"} & set(layer)
    for profile in ("quick", "paper"):
        base = params.load([SMOKE.with_stem(profile)])
        arm = params.load([SMOKE.with_stem(profile)], ablations=[file])
        assert {key for key in base if base[key] != arm[key]} <= set(layer)


@pytest.mark.parametrize("layer, arms", [("ablations", 17), ("seeds", 12), ("alignment", 24)])
def test_the_arms_of_a_layer_can_be_planned_under_every_profile(layer, arms):
    file = SMOKE.with_stem(layer)
    assert {len(Plan([SMOKE.with_stem(name), file]).by_arm) for name in ("smoke", "quick", "full")} == {arms}
    listed = params.read_layer(file)["compare_arms"]
    assert listed == [listed[0], *sorted(listed[1:])] and "no_align_no_pred" in Plan([BASE, file]).by_arm


def test_an_arm_waits_for_the_first_one_that_does_the_same_work():
    plan = Plan([SMOKE.with_stem("quick"), SMOKE.with_stem("ablations")])
    shared = {(job.number, job.arm): plan.twin(job).arm for job in plan.jobs() if plan.twin(job) != job}
    prompts = ("frozen_prompts", "no_text", "prompts_every_step")
    assert shared == {("02", arm): "namd" for arm in ("epsilon", "linear_schedule", "no_pretraining", *prompts)} | {
        ("03", arm): "namd" for arm in prompts}
    assert Job("02", "namd") in plan.waits_for(Job("02", "epsilon"))
    assert plan.waits_for(Job("02", "no_align")) == plan.parents(Job("02", "no_align")) == [Job("01", None)]
    assert plan.waits_for(Job("05", None)) == plan.parents(Job("05", None))


def test_arms_with_most_to_train_come_first_and_stage_by_stage():
    plan = Plan([SMOKE.with_stem("quick"), SMOKE.with_stem("ablations")])
    order = [("02", "no_align"), ("03", "no_pred"), ("04", "no_align"), ("03", "epsilon"), ("04", "epsilon"),
             ("04", "no_text")]
    urgency = [plan.urgency(Job(*link)) for link in order]
    assert urgency == sorted(urgency, reverse=True) and len(set(urgency)) == len(order)


def test_a_parameter_reruns_its_notebook_and_what_follows_but_nothing_before(home):
    before = done_files()
    arms = {"02_vae · namd", "03_prior · namd", "04_follow_up · namd"}
    after = {"05_judge", "06_variance", "07_ablations", "08_others"}
    assert changed(before, done_files("lambda_align=0.3")) == arms | after
    assert changed(before, done_files("judge_steps=7")) == set()       # declared by no notebook of this home
    assert changed(before, done_files("data_source=delivery")) == set(before)


def test_how_a_result_is_reached_is_no_part_of_its_key(home, write):
    write("01_data", parameters='run_name: str = "smoke"\ndata_workers: int = 1\n')
    before = done_files()
    assert changed(before, done_files("data_workers=2")) == set()


def test_an_edited_exercise_or_sentence_keeps_the_results_that_follow(home, write):
    write("05_judge", "x = 1", "## Exercises", "# text", "y = 2")
    before = done_files()
    write("05_judge", "x = 1", "## Exercises", "# other text", "y = 3")
    assert changed(before, done_files()) == {"05_judge"}
    write("05_judge", "x = 2", "## Exercises", "# other text", "y = 3")
    assert changed(before, done_files()) == {"05_judge", "06_variance", "07_ablations", "08_others"}


def test_parents_stay_within_their_arm_until_the_evaluation_joins_them(home):
    plan = Plan([SMOKE])
    assert plan.parents(Job("03", "no_align_no_pred")) == [Job("02", "no_align_no_pred")]
    assert plan.parents(Job("05", None)) == [Job("04", "namd"), Job("04", "no_align_no_pred")]


def test_finished_counts_the_files_of_this_very_plan(home, tmp_path):
    plan = Plan([SMOKE])
    file = tmp_path / plan.done_file(Job("01", None))
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert DoneFiles(plan, tmp_path).finished() == (1, 10)
    assert DoneFiles(Plan([SMOKE], ["seed=5"]), tmp_path).finished() == (0, 10)
    later = tmp_path / plan.done_file(Job("08", None))
    later.parent.mkdir(parents=True, exist_ok=True)
    later.write_text("{}")
    assert DoneFiles(plan, tmp_path).finished() == (1, 10)               # 08 has a command of its own


def test_what_does_not_exist_is_named(home, write):
    with pytest.raises(UserError, match="no notebook 12; choose one of 01_data"):
        order.notebook("12")
    with pytest.raises(UserError, match="ablations/nowhere.yaml"):
        Plan([SMOKE], ["compare_arms=[namd, nowhere]"])
    write("05_judge", parameters="speed: int = 3\n")
    with pytest.raises(UserError, match="declares speed"):
        Plan([SMOKE]).parameters(Job("05", None))


def test_job_folders():
    assert Job("02", "namd").folder == Path("arms/namd") and Job("05", None).folder == Path()
