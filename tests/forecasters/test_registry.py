"""What every compared system must keep, whatever it is: one class for each file, one contract for all."""

import json
import shutil

import pandas as pd
import pytest
import torch
from small_systems import ALL, P, fitted, write_system_run
from watched import Watched, names_read

from namd.forecasters import registry
from namd.forecasters.base import Forecaster
from namd.forecasters.trained import Description
from namd.ground import keys, order, sources
from namd.ground.errors import UserError
from namd.ground.paper import PAPER


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


@pytest.fixture(scope="module", params=ALL)
def made(request, run):
    return fitted(request.param, *run, p=Watched(P))


def inputs(run, n=5):
    pairs = run[1]
    return pairs.images(64, -1000, 400)[0][:n], pairs.ehr.iloc[:n]


def test_the_description_and_the_rows_are_complete(made):
    assert isinstance(made, Forecaster) and isinstance(made.description, Description) and all(made.description)
    assert made.rows and all(paper in ("", *PAPER["table1"]) for paper, _ in made.rows.values())


def test_draws_have_their_shape_and_range_and_repeat(run, made):
    x1, ehr = inputs(run)
    x2_hat = made.sample(x1, ehr, [1, 2])
    assert x2_hat.shape == (2 if made.stochastic else 1, 5, 1, 64, 64) and x2_hat.abs().max() <= 1
    assert torch.equal(x2_hat, made.sample(x1, ehr, [1, 2]))
    if made.stochastic:
        assert (x2_hat[0] - x2_hat[1]).abs().max() > 1e-4


def test_a_draw_depends_on_its_seed_and_pair_alone(run, made):
    x1, ehr = inputs(run)
    whole = made.sample(x1, ehr, [1, 2])
    assert torch.allclose(made.sample(x1[[4, 2]], ehr.iloc[[4, 2]], [2])[0], whole[-1, [4, 2]], atol=1e-5)


def test_the_baseline_reaches_the_draw(run, made):
    x1, ehr = inputs(run)
    assert (made.sample(x1, ehr, [1]) - made.sample(-x1, ehr, [1])).abs().max() > 1e-6


def test_a_new_object_opens_the_weights_and_draws_the_same(run, made):
    x1, ehr = inputs(run)
    again = registry.system(made.name)(run[0], P, key="k")
    assert again.fitted and torch.equal(again.sample(x1, ehr, [1]), made.sample(x1, ehr, [1]))
    assert made.seconds > 0


def test_training_again_gives_the_same_bytes_and_a_killed_one_goes_on(run, made, tmp_path):
    root, pairs = run
    first = (made.folder / "model.safetensors").read_bytes()
    for part in ("arms", "cohort"):
        shutil.copytree(root / part, tmp_path / part)
    copied = shutil.copytree(made.checkpoints, tmp_path / "systems" / "checkpoints" / made.name)
    shutil.rmtree(next(path for path in sorted(copied.iterdir()) if path.is_dir()))     # as after a kill: some stages
    next(copied.glob("*.json")).unlink()                # and tries are there, some are not
    assert (fitted(made.name, tmp_path, pairs).folder / "model.safetensors").read_bytes() == first
    shutil.rmtree(tmp_path / "systems")
    assert (fitted(made.name, tmp_path, pairs).folder / "model.safetensors").read_bytes() == first


def test_every_stage_was_tuned_over_the_same_rates(made):
    tuned = pd.read_csv(made.folder / "tuning.csv")
    for _, stage in tuned.groupby("stage"):
        assert sorted(stage.lr) == P.system_rates and stage.chosen.sum() == 1
        assert stage.val_loss[stage.chosen].item() == stage.val_loss.min()
    assert all((made.folder / f"history_{name}.csv").is_file() for name in tuned.stage.unique())


def test_the_shares_of_the_stages_sum_to_the_budget(run, made):
    root, pairs = run
    shares = [stage.share for stage in made.stages(*(pairs, pairs))]
    assert sum(shares) == pytest.approx(1)


def test_what_a_stage_says_it_sees_is_what_moves_its_weights(run, made):
    """A pair of the batch counts when another in its place gives the forecaster another gradient."""
    root, pairs = run
    idx = torch.arange(4)
    for stage in made.stages(pairs, pairs):
        nets = [net for net in stage.trained.values() if net in set(made.used)] or list(stage.trained.values())
        weights = [weight for net in nets for weight in net.parameters() if weight.requires_grad]

        def gradient(idx, step_no, stage=stage, weights=weights):
            torch.manual_seed(0)
            loss = stage.step(idx, torch.Generator().manual_seed(0), step_no)["loss"]
            found = torch.autograd.grad(loss, weights, allow_unused=True)
            return torch.cat([part.flatten() for part in found if part is not None] or [torch.zeros(1)])

        moved = []
        for step_no in range(2):
            before = gradient(idx, step_no)
            moved += [not torch.equal(before, gradient(torch.where(idx == i, 9, idx), step_no)) for i in idx]
        assert sum(moved) / len(moved) == stage.seen, stage.name


def test_the_budget_is_what_was_spent_with_namds_beside_it(run, made):
    root, pairs = run
    for number, prefix in (("02", "vae"), ("03", "uncond"), ("04", "cond")):
        for arm in ("namd", P.system_arm):
            file = root / f"arms/{arm}/runs/{number}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(dict(parameters={f"{prefix}_steps": 5, f"{prefix}_batch": 3})))
    table = registry.budget(root, [made.name], "namd", P.system_arm)
    own = table.loc[made.name]
    assert own.steps.sum() == P.system_steps and (own.batch == P.system_batch).all()
    assert all(len(pd.read_csv(made.folder / f"history_{stage}.csv")) == steps for stage, steps in own.steps.items())
    tried = sorted(made.checkpoints.glob("*-*"))        # their losses are kept, not their weights
    assert len(tried) == len(own) * len(P.system_rates) and all(file.suffix == ".json" for file in tried)
    assert own.tuning_steps.sum() == len(P.system_rates) * sum(
        stage.steps(P.system_tune_steps) for stage in made.stages(pairs, pairs)) > 0
    assert table.loc[("namd", "conditional"), ["seen", "item"]].tolist() == [15, "pairs"]
    assert table.loc["shared VAE"].index.tolist() == ["VAE"]


def test_costs_count_every_row(run, made):
    x1, ehr = inputs(run, 1)
    makers, paper = registry.makers(run[0], P, {made.name: "k"})
    table = registry.costs(makers, x1, ehr)
    assert list(table.index) == list(made.rows) == list(paper)
    assert (table > 0).all().all()


def test_an_untrained_or_unknown_system_is_a_user_error(run):
    with pytest.raises(UserError, match="run 08"):
        registry.system("sd15")(run[0], P, key="another").sample(*inputs(run), [1])
    with pytest.raises(UserError, match="choose from .*sd15"):
        registry.system("sd16")


def test_side_by_side_or_one_after_the_other_trains_the_same(run, tmp_path):
    root, pairs = run
    first = fitted("sd15", root, pairs).folder / "model.safetensors"
    shutil.copytree(root / "arms", tmp_path / "arms")
    lines = []
    for _ in range(2):
        registry.fit_all(tmp_path, P, {"sd15": "k"}, pairs, 2, log=lambda line, flush: lines.append(line))
    assert "trained in" in lines[0] and "already" in lines[1]
    assert (tmp_path / "systems" / "sd15" / "model.safetensors").read_bytes() == first.read_bytes()


SIZES = {"augment", "image_size", "window_low", "window_high", "vae_channels", "vae_layers", "unet_layers",
         "unet_heads", "n_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type", "zero_terminal_snr",
         "timestep_spacing", "flux_rank", "flux_dtype"}   # read by code it imports, in a copy of p or with weights


def test_a_key_holds_every_parameter_that_a_system_reads_and_none_of_another_room(run, made):
    made.sample(*inputs(run), [1])
    read = names_read(made.p) & set(order.declared("08"))
    assert {"system_rates", "system_steps", "grad_clip", "seed"} <= read
    derived = set(keys.deciding([type(made).__module__], order.declared("08")))
    assert read - derived <= sources.HOW
    assert derived - read <= SIZES | sources.EVERYWHERE


def test_a_key_names_the_module_and_what_it_reads(run):
    class Run:
        p = P

        def part_key(self, modules, reads, *given):
            return modules, reads, given

    (modules, reads, given), = registry.keys(Run(), ["sd15"]).values()
    assert modules == ["namd.forecasters.systems.sd15"] and given == ("sd15",)
    assert "arms/no_align_no_pred/latents" in reads and "cohort" in reads


def test_a_system_whose_weights_were_deleted_is_trained_again_and_another_key_comes_back(run, tmp_path):
    root, pairs = run
    shutil.copytree(root / "arms", tmp_path / "arms")
    first = fitted("sd15", tmp_path, pairs)
    whole = {name: (first.folder / name).read_bytes() for name in ("model.safetensors", "tuning.csv", "budget.csv")}
    for name in whole:
        (first.folder / name).unlink()
        assert not first.fitted
        first.fit(pairs)
        assert first.fitted and (first.folder / name).read_bytes() == whole[name]
    other = registry.system("sd15")(tmp_path, P, key="other")
    assert not other.fitted and first.fitted
    other.fit(pairs)
    assert other.fitted
    shutil.rmtree(first.checkpoints)
    assert first.fitted and (first.folder / "model.safetensors").read_bytes() == whole["model.safetensors"]
