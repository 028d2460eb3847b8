"""DDL-CXR on cases whose answer is known: its contrast, the way of its gradients, and missing values."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small_systems import P, fitted, write_system_run

from namd.data.report import EHR, record_vector
from namd.forecasters.systems import ddl_cxr
from namd.forecasters.systems.ddl_cxr import COLUMNS, LABEL_WEIGHT, MARGIN, RecordTokens, contrast
from namd.ground import seeding
from namd.models import diffusion

RECORD = dict(sct_pre_att=1, sct_epi_loc=4, sct_long_dia=9., sct_perp_dia=7., sct_margins=2, age=61, diagemph=1,
              gender=2, famfather=0, fammother=1, fambrother=0, famsister=0, famchild=0)
OTHER = dict(sct_pre_att=2, sct_epi_loc=1, sct_long_dia=10., sct_perp_dia=8., sct_margins=3, age=62, gender=1)


@pytest.fixture(scope="module")
def tokens():
    with seeding.fresh_weights("tokens"):
        return RecordTokens().eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


def split(run):
    return (type(run[1])(run[1].table[run[1].table.split == name], run[1]._crops) for name in ("train", "val"))


def untrained(run):
    system = ddl_cxr.System(run[0], P, key="fresh")
    return system, next(system.stages(*split(run)))


def frame(**changed):
    return pd.DataFrame([RECORD | changed])[EHR]


def test_the_contrast_is_zero_where_it_must_be_and_the_margin_without_a_difference():
    error, bar = torch.rand(2, 4, 8, 8), torch.tensor([0.25, 0.5])
    assert (contrast(error, error + MARGIN + 0.01, bar, 1.0) == 0).all()
    assert (contrast(error, error, torch.ones(2), 1.0) == 0).all()
    assert (contrast(error, error, bar, 0.0) == 0).all()
    assert torch.allclose(contrast(error, error, bar, 0.5), 0.5 * MARGIN * torch.tensor([0.75, 0.5]))
    assert torch.allclose(contrast(error, error - 0.1, bar, 1.0), (MARGIN + 0.1) * (1 - bar))


@pytest.mark.parametrize(("right", "wrong", "expected"), [(0.1, 0.5, 0.123), (0.1, 0.3, 0.151), (0.1, 0.1, 0.217)])
def test_the_contrast_compares_number_by_number_before_it_averages(right, wrong, expected):
    rng = np.random.default_rng(0)
    error, error_neg = (size * rng.standard_normal((3, 4, 64, 64)) ** 2 for size in (right, wrong))
    paid = contrast(torch.from_numpy(error), torch.from_numpy(error_neg), torch.zeros(3), 1.0)
    by_hand = [np.mean([max(0.0, a - b + 0.2) for a, b in zip(one.flat, other.flat, strict=True)])
               for one, other in zip(error, error_neg, strict=True)]
    assert paid.tolist() == pytest.approx(by_hand)
    assert paid.mean().item() == pytest.approx(expected, abs=0.004)     # of the pair's two means: 0, 0 and 0.2


def test_the_step_hands_over_errors_that_still_have_their_numbers(run, monkeypatch):
    system, stage = untrained(run)
    seen = []
    monkeypatch.setattr(ddl_cxr, "contrast", lambda *given: seen.append([x.shape for x in given[:3]]) or given[0].sum())
    stage.step(torch.arange(8), seeding.generator("step"), 3)
    assert seen == [[(2, 4, 8, 8), (2, 4, 8, 8), (2,)]]


def test_the_network_its_schedule_and_its_averages_are_the_sources_and_start_from_scratch(run, monkeypatch):
    nowhere = dict(unet_path="nobody/nothing", prediction_type="epsilon", zero_terminal_snr=False,
                   timestep_spacing="leading", ddl_cxr_channels=[32, 64, 128])
    system = ddl_cxr.System(run[0], SimpleNamespace(**vars(P) | nowhere))        # no weights of others are opened
    config = system.nets["unet"].config
    assert (config.in_channels, config.cross_attention_dim, config.block_out_channels) == (8, 128, (32, 64, 128))
    assert all("CrossAttn" in name for name in config.down_block_types)
    beta = np.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2
    assert np.allclose(diffusion.alpha_bar(system.scheduler), np.cumprod(1 - beta), atol=1e-6)
    assert next(system.stages(*split(run))).settings["ema_decay"] == 0.9999


def test_the_noise_of_the_steps_is_drawn_where_eta_asks_for_it(run):
    made, x1, ehr = fitted("ddl_cxr", *run), run[1].images(64, -1000, 400)[0][:3], run[1].ehr.iloc[:3]
    for eta, steps in ((1.0, [0, 1]), (0.0, [])):
        made.p, asked = SimpleNamespace(**vars(P) | dict(ddl_cxr_eta=eta, ddl_cxr_ddim_steps=2)), []
        made.draw(x1, ehr, lambda shape, *keys, asked=asked: asked.append(keys) or torch.randn(3, *shape))
        assert asked == [(), *(("step", i) for i in steps)]


def test_the_loss_is_its_three_terms_and_the_contrast_waits_for_the_second_epoch(run):
    _, stage = untrained(run)
    first, later = (stage.step(torch.arange(4), seeding.generator("step"), step_no) for step_no in (0, 3))
    assert first["contrast"] == 0 and later["contrast"] > 0         # 12 pairs in batches of 4
    for said in (first, later):
        whole = said["mse"] + LABEL_WEIGHT * said["bce"] + said["contrast"]
        assert said["loss"].item() == pytest.approx(whole.item())


def test_the_classifier_teaches_the_transformer_of_the_record(run):
    system, stage = untrained(run)
    stage.step(torch.arange(4), seeding.generator("step"), 0)["bce"].backward()
    reached = {name: weight.grad for name, weight in system.nets["record"].named_parameters()}
    assert all(reached[name].abs().sum() > 0 for name in ("cls", "encoder.layers.0.self_attn.in_proj_weight",
                                                          "embed.0.weight", "embed.12.bias"))
    assert all(weight.grad is None for weight in system.nets["unet"].parameters())


@pytest.mark.parametrize("name", EHR)
def test_a_missing_value_changes_its_own_token_alone(tokens, name):
    place = list(COLUMNS).index(name)
    whole, lacking = (tokens.features(tokens.numbers(frame(**changed))) for changed in ({}, {name: None}))
    changed = (whole != lacking).any(2).squeeze(0)
    assert changed[place] and changed.sum() == 1
    assert torch.equal(lacking[0, place], tokens.unknown[place])


@pytest.mark.parametrize("name", EHR)
def test_every_feature_is_read_by_its_own_token(tokens, name):
    other = OTHER[name] if name in OTHER else 1 - RECORD[name]
    changed = tokens.features(tokens.numbers(frame())) != tokens.features(tokens.numbers(frame(**{name: other})))
    assert changed.any(2).squeeze(0).nonzero().flatten().tolist() == [list(COLUMNS).index(name)]


def test_the_numbers_keep_the_scale_of_the_training_records(run):
    made = fitted("ddl_cxr", *run)
    train = run[1].table[run[1].table.split == "train"][EHR]
    again = ddl_cxr.System(run[0], P, key="k").nets["record"]
    assert torch.allclose(again.numbers(train), torch.from_numpy(record_vector(train)[0]), atol=1e-5)
    assert torch.equal(again.mean, made.nets["record"].mean) and again.std.min() > 0


def test_the_record_reaches_the_draw(run):
    made = fitted("ddl_cxr", *run)
    x1, ehr = run[1].images(64, -1000, 400)[0][:4], run[1].ehr.iloc[:4]
    other = ehr.iloc[::-1].set_index(ehr.index)
    assert (made.sample(x1, ehr, [1]) - made.sample(x1, other, [1])).abs().max() > 1e-5
