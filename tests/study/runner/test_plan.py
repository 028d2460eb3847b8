from pathlib import Path

import pytest

from namd.ground import order, paths
from namd.ground.arms import Arm
from namd.ground.components import WRITERS
from namd.ground.errors import UserError
from namd.ground.order import Job
from namd.study import params
from namd.study.runner.done import DoneFiles, with_trained
from namd.study.runner.plan import Plan

BASE = params.BASE
SMOKE = paths.REPO / "params" / "smoke.yaml"
NO_ALIGN = paths.REPO / "params" / "ablations" / "no_align_no_pred.yaml"


def components(*pairs):
    """{label: key of what decides a job before anything has run}."""
    made = Plan([SMOKE], pairs)
    return {job.label: made.components(job).key for job in made.jobs()}


def changed(before, after):
    return {label for label in before if before[label] != after[label]}


def test_a_run_is_ten_notebooks_three_of_them_once_per_arm(home):
    labels = [job.label for job in Plan([SMOKE]).jobs()]
    arms = ["namd", "no_align_no_pred"]
    per_arm = [f"{name} · {arm}" for name in ("02_vae", "03_prior", "04_follow_up") for arm in arms]
    after = ["05_judge", "06_variance", "07_ablations", "08_others", "09_autorad"]
    assert labels == ["00_start", "01_data", *per_arm, *after]


def test_an_arm_differs_from_the_main_one_only_where_its_file_says(home):
    plan = Plan([SMOKE])
    main, ablation = (plan.parameters(Job("02", arm)) for arm in ("namd", "no_align_no_pred"))
    assert {k for k in main if main[k] != ablation[k]} == {"arm", "lambda_align", "lambda_pred"}
    assert (ablation["lambda_align"], ablation["lambda_pred"]) == (0.0, 0.0)


def test_asking_for_an_arm_by_its_file_plans_the_same_job(home):
    job = Job("02", "no_align_no_pred")
    assert Plan([SMOKE, NO_ALIGN]).components(job) == Plan([SMOKE]).components(job)


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
    assert Plan([SMOKE], [f"compare_arms=[namd, {arm}]"]).components(job) == asked.components(job)


def test_an_arm_whose_files_change_nothing_is_left_out(home, write):
    write("05_judge", parameters='compare_arms: list = ["namd"]\n')
    plan = Plan([SMOKE], ["compare_arms=[namd, flat_latent, pooled_latent]"])
    assert list(plan.by_arm) == ["namd", "pooled_latent"]
    assert plan.parameters(Job("05", None))["compare_arms"] == ["namd", "pooled_latent"]


def finish(plan, root, arm):
    for number in order.PER_ARM:
        DoneFiles(plan, root).write(Job(number, arm), 1.0)


def test_a_trained_arm_stays_compared_until_it_is_out_of_date(home, tmp_path):
    layer = tmp_path / "ablations.yaml"
    layer.write_text("compare_arms: [namd, no_pred, no_align, namd-seed24]\n")
    wide = Plan([SMOKE, layer])
    for arm in ("namd", "no_pred", "namd-seed24"):
        finish(wide, tmp_path, arm)
    (tmp_path / "arms" / "somebody_elses").mkdir()
    study = with_trained(Plan([SMOKE]), tmp_path)
    assert study.values["compare_arms"] == ["namd", "namd-seed24", "no_align_no_pred", "no_pred"]
    assert study.components(Job("04", "no_pred")) == wide.components(Job("04", "no_pred"))
    assert with_trained(Plan([SMOKE, NO_ALIGN.with_stem("no_align")]), tmp_path).values["arm"] == "no_align"
    assert with_trained(Plan([SMOKE], ["image_size=32"]), tmp_path).values["compare_arms"] == [
        "namd", "no_align_no_pred"]


def test_the_main_arm_comes_first_wherever_the_files_name_it(home, tmp_path):
    plan = with_trained(Plan([SMOKE], ["compare_arms=[no_align, namd]"]), tmp_path)
    assert plan.values["compare_arms"] == ["namd", "no_align"]


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


# what flat_latent changes is how some profiles are: the arm would be NAMD itself there
@pytest.mark.parametrize("layer, arms", [("ablations", {19, 20}), ("seeds", {12}), ("alignment", {24})])
def test_the_arms_of_a_layer_can_be_planned_under_every_profile(layer, arms):
    file = SMOKE.with_stem(layer)
    assert {len(Plan([SMOKE.with_stem(name), file]).by_arm) for name in ("smoke", "quick", "full")} <= arms
    assert "flat_latent" not in Plan([SMOKE.with_stem("quick"), file]).by_arm
    listed = params.read_layer(file)["compare_arms"]
    assert listed == [listed[0], *sorted(listed[1:])] and "no_align_no_pred" in Plan([BASE, file]).by_arm


def test_an_arm_waits_for_the_first_one_that_does_the_same_work():
    plan = Plan([SMOKE.with_stem("quick"), SMOKE.with_stem("ablations")])
    shared = {(job.number, job.arm): plan.twin(job).arm for job in plan.jobs() if plan.twin(job) != job}
    prompts = ("frozen_prompts", "no_llm", "no_text", "prompts_every_step")
    assert shared == {("02", arm): "namd" for arm in ("epsilon", "linear_schedule", "no_pretraining", *prompts)} | {
        ("03", arm): "namd" for arm in prompts}
    assert Job("02", "namd") in plan.waits_for(Job("02", "epsilon"))
    assert plan.waits_for(Job("02", "no_align")) == plan.parents(Job("02", "no_align")) == [Job("01", None)]
    assert plan.waits_for(Job("05", None)) == plan.parents(Job("05", None))


def test_a_parameter_changes_the_notebooks_that_declare_it(home):
    before = components()
    assert changed(before, components("lambda_align=0.3")) == {"02_vae · namd"}         # the other arm sets it itself
    assert changed(before, components("judge_steps=7")) == set()       # declared by no notebook of this home
    assert changed(before, components("data_source=delivery", "data_delivery=elsewhere")) == {"01_data"}


def test_how_a_result_is_reached_decides_nothing(home, write):
    write("01_data", parameters='run_name: str = "smoke"\ndata_workers: int = 1\n')
    assert changed(components(), components("data_workers=2")) == set()


def test_a_notebook_counts_up_to_its_exercises(home, write):
    write("05_judge", "x = 1", "## Exercises", "# text", "y = 2")
    before = components()
    write("05_judge", "x = 1      # why", "# other text", "## Exercises", "y = 3")
    assert changed(before, components()) == set()
    write("05_judge", "x = 2", "## Exercises", "y = 3")
    assert changed(before, components()) == {"05_judge"}


def test_a_notebook_counts_with_the_modules_that_it_imports(home, write):
    write("05_judge", "from namd.ground.paper import PAPER\nimport namd.study.benchmark")
    modules = Plan([SMOKE]).components(Job("05", None)).modules
    assert "namd.ground.paper" in modules
    assert {name for name in modules if name.startswith("namd.study")} == set(WRITERS)      # they write its tables


def test_parents_stay_within_their_arm_until_the_evaluation_joins_them(home):
    plan = Plan([SMOKE])
    assert plan.parents(Job("03", "no_align_no_pred")) == [Job("02", "no_align_no_pred")]
    assert plan.parents(Job("05", None)) == [Job("04", "namd"), Job("04", "no_align_no_pred")]


def test_finished_counts_the_marks_of_this_very_plan(home, tmp_path):
    plan = Plan([SMOKE])
    marks = DoneFiles(plan, tmp_path)
    marks.write(Job("01", None), 1.0)
    assert marks.finished() == (1, 11)
    assert DoneFiles(Plan([SMOKE], ["seed=5"]), tmp_path).finished() == (0, 11)
    marks.write(Job("08", None), 1.0)
    assert marks.finished() == (1, 11)               # 08 has a command of its own


@pytest.mark.parametrize("number", ["99", "5", "*", "", "10", "../01"])
def test_a_notebook_that_is_none_is_refused_with_those_there_are(home, number):
    with pytest.raises(UserError, match="There is no notebook .* to run; choose .* 01_data, .*, 09_autorad"):
        Plan([SMOKE]).asked(number)


@pytest.mark.parametrize("name, arm", [
    ("namd", Arm()), ("namd-seed24", Arm((), 24)), ("no_align", Arm(("no_align",))),
    ("my-arm", Arm(("my-arm",))), ("my-arm-no_align-seed3", Arm(("my-arm", "no_align"), 3)),
    ("seed-layer", Arm(("seed-layer",))),
])
def test_an_arm_is_read_as_it_is_written(tmp_path, monkeypatch, name, arm):
    for stem in ("my-arm", "no_align", "seed24", "seed3", "seed-layer"):
        (tmp_path / f"{stem}.yaml").touch()
    monkeypatch.setattr(paths, "ABLATIONS", tmp_path)
    assert Arm.parse(name, "namd") == arm and arm.format("namd") == name
    assert [file.stem for file in arm.files] == [*arm.layers, *([f"seed{arm.seed}"] if arm.seed else [])]


def test_a_name_that_may_be_two_arms_is_refused(tmp_path, monkeypatch):
    for stem in ("a", "b", "a-b"):
        (tmp_path / f"{stem}.yaml").touch()
    monkeypatch.setattr(paths, "ABLATIONS", tmp_path)
    with pytest.raises(UserError, match="a-b may mean the arm of a.yaml and b.yaml or that of a-b.yaml"):
        Arm(("a", "b")).format("namd")


def test_an_ablation_kept_elsewhere_is_no_main_run_of_its_own(home, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("lambda_align: 0.0\n")
    with pytest.raises(UserError, match="mine.yaml changes how smoke.yaml trains .lambda_align. .*params/ablations/"):
        Plan([SMOKE, mine])
    assert Plan([SMOKE, mine], ["run_name=mine"]).values["lambda_align"] == 0
    mine.write_text("lambda_align: 0.0\nrun_name: mine\n")
    assert Plan([SMOKE, mine]).values["run_name"] == "mine"


def test_what_does_not_exist_is_named(home, write):
    with pytest.raises(UserError, match="no notebook 12; choose one of 00_start"):
        order.notebook("12")
    with pytest.raises(UserError, match="ablations/nowhere.yaml"):
        Plan([SMOKE], ["compare_arms=[namd, nowhere]"])
    write("05_judge", parameters="speed: int = 3\n")
    with pytest.raises(UserError, match="declares speed"):
        Plan([SMOKE]).parameters(Job("05", None))


def test_job_folders():
    assert Job("02", "namd").folder == Path("arms/namd") and Job("05", None).folder == Path()


def test_where_others_models_draw_nothing_is_trained_and_05_follows_01(home):
    plan = Plan([SMOKE], ["pipeline_path=elsewhere", "compare_arms=[namd]"])
    assert [job.number for job in plan.jobs()] == ["00", "01", "05", "09"]
    parents = {number: [each.number for each in plan.parents(Job(number, None))] for number in ("01", "05", "09")}
    assert parents == {"01": [], "05": ["01"], "09": ["01", "05"]}
    for number in ("03", "06", "08"):
        with pytest.raises(UserError, match=r"this run has none: the models of pipeline_path \(elsewhere\) draw"):
            plan.asked(number)
    assert plan.asked("05") == Job("05", None)
