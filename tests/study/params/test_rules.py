"""What parameters must be together is refused before anything runs, by load, `check`, `run` and a notebook's start."""

import re

import pytest

from namd.__main__ import main
from namd.forecasters import system_names
from namd.ground import paths
from namd.ground.errors import UserError
from namd.study import params
from namd.study.notebook import start
from namd.study.params.rules import FOLDERS, RULES

QUICK = paths.REPO / "params" / "quick.yaml"
BROKEN = [
    (["systems=[sd15, nosuch]"], "one of them does not exist; choose from brlp"),
    (["systems=[trained]"], "does not exist"),
    (["systems=[sd15, flux, sd15]"], "names one of them twice"),
    (["data_val_share=0"], "outside 0.01"),
    (["data_test_share=0"], "outside 0.01"),
    (["compare_arms=[namd, no_pred, namd]"], "names one of them twice"),
    (["compare_arms=[no_pred]"], "lacks the run's own arm namd"),
    (["arm=no_align", "compare_arms=[no_align]"], "the name of an ablation"),
    (["arm=no_align-seed24", "compare_arms=[no_align-seed24]"], "the name of an ablation"),
    (["compare_arms=[namd, namd-no_align]"], "another name of an arm"),
    (["compare_arms=[namd, seed24]"], "another name of an arm"),
    (["compare_arms=[namd, no_align-seed024]"], "another name of an arm"),
    (["compare_arms=[namd, namd-]"], "another name of an arm"),
    (["compare_arms=[namd, no_align-no_align]"], "names a layer twice"),
    (["arm=mine"], "lacks the run's own arm mine"),
    (["system_arm=no_aling"], "there is no arm no_aling"),
    (["system_rates=[1.0e-3, 1.0e-3]"], "names one of them twice"),
    (["system_rates=[0.0]"], "outside 1e-08"),
    (["system_rates=[.nan]"], "outside 1e-08"),
    (["system_tune_steps=641"], "larger than system_steps (640)"),
    (["vae_channels=[0, 8, 8]"], "outside 1"),
    (["vae_channels=[16, 32]"], "has 3 or 4 widths"),
    (["vae_channels=[32, 48, 64]"], "multiples of 32"),
    (["unet_channels=[-8, 16]"], "outside 1"),
    (["unet_path=", "unet_channels=[48, 98]"], "multiples of it"),
    (["unet_path=", "unet_channels=[8, 8, 8, 8, 8]"], "use fewer widths"),
    (["system_channels=[8, 8, 8, 8, 8]"], "use fewer widths"),
    (["system_channels=[30, 60]"], "multiples of 8"),
    (["image_size=16"], "outside 32"),
    (["image_size=40", "unet_channels=[48]", "system_channels=[64]"], "halve the image four times"),
    (["image_size=56", "systems=[flux]", "unet_channels=[48]", "system_channels=[64]"], "halve the image four times"),
    (["flux_path=", "system_channels=[16, 8]"], "a small flux needs a last width of 16"),
    (["vae_path=elsewhere", "vae_channels=[6, 6]"], "has 3 or 4 widths"),
    (["phantom_seed=7001"], "choose another"),
    (["lidc_seed=23", "phantom_seed=23"], "have the same nodules"),
    (["lidc_seed=7001"], "have the same nodules"),
    (["lidc_seed=7001", "pretrain_seed=7002"], "trained a model of AutoRad-Lung"),
    (["phantom_seed=7001", "pretrain_seed=7002"], "as their MANIFEST.json says"),
    (["phantom_seed=7001", "pretrain_seed=7002", "vae_path=", "unet_path=", "flux_path="], "the second judge would"),
    (["data_source=delivery"], "data_delivery is empty: name its folder, or set data_source: phantom"),
    (["data_source=open", "data_delivery=~/nlst"], "data_delivery (~/nlst) begins with ~"),
    *(([f"{key}=~/there"], f"{key} (~/there) begins with ~") for key in FOLDERS),
    (["lidc_source=delivery"], "lidc_delivery is empty: name its folder, or set lidc_source: phantom"),
    (["lidc_source=delivery", 'lidc_delivery=" "'], "lidc_delivery is empty"),
    (["ddl_cxr_channels=[48, 98]"], "multiples of it"),
    (["ddl_cxr_channels=[8, 8, 8, 8, 8]"], "use fewer widths"),
    (["ddl_cxr_ddim_steps=1000"], "smaller than n_timesteps"),
    (["image_size=60"], "multiple of 8"),
    (["image_size=136"], "128, the pixels of a stored crop"),
    (["image_size=96", "augment=rotations"], "empty corners"),
    (["judge_patch=7"], "no multiple of judge_patch"),
    (["llm_path=", "llm_hidden=60"], "four heads of even width"),
    (["align_perplexity=30"], "below vae_batch - 1 (16 - 1)"),
    (["align_perplexity=1"], "above 1"),
    (["text_report=numbers", "text_prompt_steps=40"], "uses no prompts"),
    (["beta_start=0.02"], "larger than beta_end"),
    (["beta_end=0.5"], "leave nothing of the image"),
    (["beta_schedule=linear", "beta_end=0.2"], "leave nothing of the image"),
    (["ddim_steps=1000"], "smaller than n_timesteps"),
    (["ddim_skip=5"], "leaves none of ddim_steps"),
    (["vae_tanh=true"], "are read of imported models alone"),
    (["text_wording=authors"], "are read of imported models alone"),
    (["ddim_skip=1"], "are read of imported models alone"),
    (["pipeline_path=data/authors"], "are the only row that draws: write [namd]"),
    (["prediction_type=epsilon"], "set prediction_type: v_prediction"),
    (["uncond_lr_start=0.5"], "larger than uncond_lr"),
    (["uncond_lr_end=0.5"], "larger than uncond_lr"),
    (["uncond_warmup=251"], "larger than uncond_steps"),
    (["processes=3"], "does not divide vae_batch (16)"),
    (["window_low=400"], "must be smaller than window_high"),
    (["run_name=reference"], "outputs/reference is no folder of a run"),
    (["run_name=course"], "is no folder of a run"),
    (["run_name=rehearsal"], "is no folder of a run"),
    (["run_name=" + "a" * 101], "up to 100 lower-case letters"),
]


@pytest.mark.parametrize(("pairs", "words"), BROKEN)
def test_a_contradiction_is_refused_in_one_sentence_that_names_the_mend(pairs, words):
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        params.load([QUICK], pairs)
    assert "\n" not in str(caught.value)


def test_a_model_inside_a_folder_has_seen_what_the_folder_has(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "MANIFEST.json").write_text('{"phantom_seed": 5}')
    for path in (tmp_path, tmp_path / "text"):
        with pytest.raises(UserError, match="lidc_seed .5. is that of the subjects whose images trained a model"):
            params.load([QUICK], [f"autorad_text={path}", "lidc_seed=5"])
    assert params.load([QUICK], [f"autorad_text={tmp_path}", "lidc_seed=6"])["lidc_seed"] == 6


def test_the_runs_own_arm_may_have_another_name():
    arms = ["mine", "mine-seed24", "no_align", "no_align-seed24"]
    values = params.load([QUICK], ["arm=mine", f"compare_arms=[{', '.join(arms)}]"])
    assert values["arm"] == "mine" and values["compare_arms"] == arms


def test_every_rule_is_broken_by_some_example_above():
    said = set()
    for pairs, _ in BROKEN:
        try:
            params.load([QUICK], pairs)
        except UserError as error:
            said |= {rule.says for rule in RULES if str(error).startswith(rule.says.partition("{")[0])}
    quiet = [rule.keys for rule in RULES if rule.says not in said]
    assert set(quiet) <= {"processes uncond_batch", "processes cond_batch"}     # as processes vae_batch


def test_every_rule_speaks_of_keys_that_exist_and_that_its_sentence_can_print():
    values = params.load([QUICK])
    for rule in RULES:
        assert set(rule.keys.split()) <= set(params.KEYS)
        assert rule.says.format(**values)


@pytest.mark.parametrize("command", [["check"], ["run", "01"], ["page"]])
def test_every_command_refuses_before_anything_is_written(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    assert main([*command, "--params", str(QUICK), "-p", "systems=[sd15,nosuch]"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "nosuch" in said
    assert not (tmp_path / "outputs").exists()


def test_a_notebook_started_by_hand_refuses_too(monkeypatch, tmp_path):
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path))
    scope = {name: params.load([QUICK])[name] for name in ("run_name", "seed", "device", "threads", "beta_start")}
    with pytest.raises(UserError, match="larger than beta_end"):
        start("03_diffusion_pretraining", scope | {"beta_start": 0.5, "beta_end": 0.02})
    assert not list(tmp_path.iterdir())


def test_the_names_of_the_systems_are_those_of_their_files():
    assert {"sd15", "mcwgan", "flux"} <= set(system_names()) and "trained" not in system_names()
