from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small_llm import records
from tiny_run import P, write_arm
from watched import Watched, names_read

from namd.data.cohort import Pairs
from namd.forecasters import drawing, registry
from namd.forecasters.base import Forecaster
from namd.forecasters.controls import MeanFollowUp
from namd.forecasters.namd import NAMD
from namd.ground import keys, order, seeding
from namd.ground.errors import UserError


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    return write_arm(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def namd(arm):
    return NAMD(arm, P)


def test_the_rows_of_a_notebook_share_one_language_model(arm):
    one, other = NAMD(arm, P), NAMD(arm, P)
    assert one.pipe.llm[0] is other.pipe.llm[0] and one.unet is not other.unet


def test_the_key_of_a_row_holds_every_parameter_that_draws_it(arm, baseline):
    p = Watched(P)
    NAMD(arm, p).sample(*baseline, [1])
    mean = MeanFollowUp(p)
    mean.fit(Pairs(pd.DataFrame(dict(t0_index=[0], t1_index=[0])), np.zeros((1, 128, 128), np.int16)))
    declared = order.declared("05")
    derived = set(keys.deciding(drawing.FORECASTERS, declared))
    assert {"ddim_steps", "eval_batch", "llm_path", "window_low"} <= names_read(p) & set(declared) <= derived
    assert not [name for name in derived if name.startswith("judge_")] and not derived & {"n_boot", "k_runs"}


@pytest.fixture(scope="module")
def baseline():
    return seeding.noise((7, 1, 64, 64), "x1").clamp(-1, 1), records(7, seed=1)


def test_samples_have_k_runs_in_range_and_repeat(namd, baseline):
    assert isinstance(namd, Forecaster)
    x2_hat = namd.sample(*baseline, [1, 2])
    assert x2_hat.shape == (2, 7, 1, 64, 64) and x2_hat.abs().max() <= 1
    assert torch.equal(x2_hat, namd.sample(*baseline, [1, 2]))
    assert (x2_hat[0] - x2_hat[1]).abs().max() > 1e-3


def test_a_draw_depends_on_its_seed_and_pair_alone(arm, namd, baseline):
    x1, ehr = baseline
    whole = namd.sample(x1, ehr, [1, 2])
    assert torch.allclose(namd.sample(x1[[5, 2]], ehr.iloc[[5, 2]], [2])[0], whole[1, [5, 2]], atol=1e-5)
    other_batch = NAMD(arm, SimpleNamespace(**{**vars(P), "eval_batch": 3}))
    assert torch.allclose(other_batch.sample(x1, ehr, [1, 2]), whole, atol=1e-5)


def test_baseline_and_record_both_reach_the_sample(namd, baseline):
    x1, ehr = baseline
    here = namd.sample(x1, ehr, [1])
    other_record = ehr.iloc[::-1].set_index(ehr.index)
    assert (namd.sample(x1, other_record, [1]) - here).abs().max() > 1e-5
    assert (namd.sample(-x1, ehr, [1]) - here).abs().max() > 1e-5


def test_one_sample_is_section_332_by_hand(namd, baseline):
    x1, ehr = baseline[0][:1], baseline[1].iloc[:1]
    with torch.no_grad():
        z1, ctx = namd.vae.encode(x1), namd.context(ehr)
        z_t = seeding.noise((1, 4, 8, 8), 1, "sample", ehr.index[0])
        bar = namd.scheduler.alphas_cumprod
        for t, t_next in ((999, 499), (499, 0)):
            v = namd.unet(torch.cat([z_t, z1], 1), t, encoder_hidden_states=ctx).sample
            z_0 = bar[t].sqrt() * z_t - (1 - bar[t]).sqrt() * v
            eps = bar[t].sqrt() * v + (1 - bar[t]).sqrt() * z_t
            z_t = bar[t_next].sqrt() * z_0 + (1 - bar[t_next]).sqrt() * eps
        by_hand = namd.vae.decode_scaled(z_t).clamp(-1, 1)
    assert torch.allclose(namd.sample(x1, ehr, [1])[0], by_hand, atol=1e-5)


def test_the_same_records_are_encoded_once_and_others_never_change_them(arm, namd, baseline):
    new, ehr = NAMD(arm, P), baseline[1]
    namd.context(ehr.iloc[[3, 0]])                                        # another history than that of `new`
    first = new.context(ehr.iloc[:3])
    assert torch.equal(namd.context(ehr.iloc[:3]), first)
    new.pipe.opened_llm = new.pipe.soft_prompts = None                    # nothing left to encode with
    assert torch.equal(new.context(ehr.iloc[:3]), first)


def test_schedule_and_language_model_are_those_of_the_training(arm):
    other = SimpleNamespace(**{**vars(P), "prediction_type": "epsilon", "zero_terminal_snr": False})
    assert NAMD(arm, other).scheduler.config.prediction_type == "v_prediction"
    with pytest.raises(UserError, match="llm_path"):
        NAMD(arm, SimpleNamespace(**{**vars(P), "llm_path": str(arm / "absent")}))


def test_an_untrained_arm_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="run 04"):
        NAMD(tmp_path / "arms" / "namd", P)


def test_what_namd_costs_stands_under_the_name_of_its_arm(namd, baseline, tmp_path):
    x1, ehr = baseline
    folder = tmp_path / "arms" / "mine" / "runs"
    folder.mkdir(parents=True)
    for stage in registry.NAMD_STAGES:
        (folder / f"{stage.number}.json").write_text('{"seconds": 2}')
    table = registry.costs_of_namd(lambda: namd, tmp_path, "mine", x1[:1], ehr[:1])
    assert table["train_seconds"].to_dict() == {"mine": 6}
