"""BrLP on cases whose answer is known: a silent ControlNet, a frozen U-Net, a linear law, an average."""

import numpy as np
import pytest
import torch
from small_systems import P, fitted, write_system_run

from namd.data.report import DIAMETERS
from namd.forecasters.systems import brlp
from namd.forecasters.systems.brlp import INTERVAL, Covariates, stabilised
from namd.ground import seeding
from namd.models import diffusion


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


@pytest.fixture(scope="module")
def made(run):
    return fitted("brlp", *run)


def of_split(pairs, name):
    return type(pairs)(pairs.table[pairs.table.split == name].copy(), pairs._crops)


def z_and_conditions():
    z, z1 = (seeding.noise((3, 4, 8, 8), name) for name in ("z", "z1"))
    return z, torch.tensor([999, 500, 3]), seeding.noise((3, brlp.N_NUMBERS), "at2"), z1


def grown(pairs, slope, offset):
    """`pairs` whose follow-up diameters are exp(offset) d ** slope of the baseline's."""
    table = pairs.table.copy()
    for name in DIAMETERS:
        table[f"t1_{name}"] = (offset + slope * np.log(table[name].astype(float))).map(np.exp).astype("float32")
    return type(pairs)(table, pairs._crops)


@torch.no_grad()
def test_a_fresh_controlnet_changes_nothing(run):
    system = brlp.System(run[0], P, key="fresh")
    z, t, at2, z1 = z_and_conditions()
    control = system.control_map(z1, at2)
    assert control.shape == (3, 5, 8, 8) and torch.equal(control[:, 4, 2, 5], at2[:, 2])
    assert torch.equal(system.predict(z, t, at2, control), system.predict(z, t, at2))


@torch.no_grad()
def test_a_trained_controlnet_reads_the_baseline_and_its_age(made):
    z, t, at2, z1 = z_and_conditions()
    answers = [made.predict(z, t, at2, made.control_map(*given)) for given in ((z1, at2), (-z1, at2), (z1, at2 + 5))]
    assert (answers[0] - answers[1]).abs().max() > 1e-6 and (answers[0] - answers[2]).abs().max() > 1e-6
    assert (answers[0] - made.predict(z, t, at2)).abs().max() > 1e-6


def test_the_second_stage_starts_from_the_first_and_leaves_its_weights(run):
    system = brlp.System(run[0], P, key="fresh")
    net, control = system.nets["unet"], system.nets["control"]
    stages = system.stages(of_split(run[1], "train"), of_split(run[1], "val"))
    visits = next(stages)
    with torch.no_grad():
        net.conv_in.weight.add_(1)          # as if it had learnt
    stage = next(stages)
    assert list(visits.trained) == ["unet"] and list(stage.trained) == ["control"]
    assert torch.equal(control.conv_in.weight, net.conv_in.weight)
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    optimizer = torch.optim.AdamW(system.nets.parameters(), lr=0.1)
    stage.step(torch.arange(4), seeding.generator("step"), 0)["loss"].backward()
    optimizer.step()
    assert all(torch.equal(weight, before[name]) for name, weight in net.named_parameters())
    assert control.controlnet_mid_block.weight.abs().max() > 0
    assert next(stages, None) is None and all(weight.requires_grad for weight in net.parameters())


def test_the_linear_model_finds_a_linear_law_that_holds_on_other_pairs(run):
    pairs, rng = of_split(run[1], "train"), seeding.numpy_rng("law")
    table = pairs.table.iloc[np.arange(120) % len(pairs)].copy()
    for name in DIAMETERS:
        table[name] = rng.uniform(4, 20, len(table)).astype("float32")
    wide = grown(type(pairs)(table, None), 1.3, -0.1)
    train, rest = (type(pairs)(wide.table.iloc[part], None) for part in (slice(60), slice(60, None)))
    known = Covariates()
    known.fit(train)
    assert torch.allclose(known.follow_up(known.numbers(rest.ehr))[:, :2], known.sizes(rest), atol=1e-4)


def test_the_follow_up_is_the_baseline_one_year_on(run):
    known, train = Covariates(), of_split(run[1], "train")
    known.fit(train)
    first, second = known.numbers(train.ehr), known.follow_up(known.numbers(train.ehr))
    older = known.numbers(train.ehr.assign(age=train.ehr.age + 1))
    assert INTERVAL == 1 and torch.allclose(second[:, 2], older[:, 2], atol=1e-5)
    assert torch.equal(second[:, 3:], first[:, 3:])


def test_an_unmeasured_follow_up_takes_the_foretold_diameters(run):
    train, known = of_split(run[1], "train"), Covariates()
    train.table["t1_sct_long_dia"] = train.table["t1_sct_long_dia"].where(np.arange(len(train)) > 1)
    known.fit(train)
    baseline = known.numbers(train.ehr)
    told, measured = known.follow_up(baseline), known.follow_up(baseline, known.sizes(train))
    assert torch.equal(measured[:2, 0], told[:2, 0]) and torch.equal(measured[:, 1], known.sizes(train)[:, 1])


def test_one_latent_averaged_is_plain_ddim(run, made, monkeypatch):
    monkeypatch.setattr(brlp, "M", 1)
    x1, ehr = run[1].images(64, -1000, 400)[0][:3], run[1].ehr.iloc[:3]
    z_T = torch.stack([seeding.noise((4, 8, 8), 5, "sample", pair, "las", 0) for pair in ehr.index])
    with torch.no_grad():
        z1, baseline = made.vae.encode(x1), made.nets["covariates"].numbers(ehr)
        at2, control = made.nets["covariates"].follow_up(baseline), made.control_map(z1, baseline)
        z2 = diffusion.ddim_sample(lambda z, t: made.predict(z, t, at2, control), z_T, made.scheduler, P.ddim_steps)
        plain = made.vae.decode_scaled(z2).clamp(-1, 1)
    assert torch.equal(made.sample(x1, ehr, [5])[0], plain)


@pytest.mark.parametrize("m", [1, 4, 16])
def test_the_variance_between_seeds_falls_as_one_by_m(m):
    def noise(shape, *keys):
        return seeding.noise((4000, *shape), "linear", *keys)

    z = stabilised(lambda z_T: 3 * z_T + 2, noise, (2,), m)
    assert z.var(0).mean().item() == pytest.approx(9 / m, rel=0.05)
    assert z.mean().item() == pytest.approx(2, abs=0.1)


def test_a_draw_averages_as_many_latents_as_it_says(run, made, monkeypatch):
    x1, ehr = run[1].images(64, -1000, 400)[0][:2], run[1].ehr.iloc[:2]
    asked = []
    monkeypatch.setattr(brlp, "M", 3)
    made.draw(x1, ehr, lambda shape, *keys: asked.append(keys) or seeding.noise((2, *shape), *keys))
    assert asked == [("las", 0), ("las", 1), ("las", 2)]
