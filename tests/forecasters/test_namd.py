import shutil
from types import SimpleNamespace

import pytest
import torch
from small_llm import records

from namd.data.report import report_texts
from namd.errors import UserError
from namd.forecasters.base import Forecaster
from namd.forecasters.namd import NAMD
from namd.models import llm, unet, vae
from namd.models.prompts import SoftPrompts
from namd.training import seeding

P = SimpleNamespace(
    seed=23, device="cpu", image_size=64, vae_path="", vae_channels=[8, 8, 8], vae_layers=1, llm_path="",
    llm_dtype="float32", llm_hidden=32, llm_layers=2, llm_steps=0, unet_path="", unet_channels=[16, 32], unet_layers=1,
    unet_heads=2, n_timesteps=1000, beta_start=8.5e-4, beta_end=1.2e-2, beta_schedule="scaled_linear",
    prediction_type="v_prediction", zero_terminal_snr=True, timestep_spacing="trailing", ddim_steps=2, eval_batch=5,
)


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    """A run's folder with one arm of untrained toy models whose input reaches the output."""
    root = tmp_path_factory.mktemp("run")
    folder, ehr = root / "arms" / "namd", records(40)
    llm.build_llm(root / "llm", llm.pretraining_texts(ehr), P)
    lm, tokenizer = llm.load_llm(root / "llm")
    vae.build_vae(root / "vae0", P)
    vae.load_vae(root / "vae0").save(folder / "vae")
    unet.build_unet(root / "unet0", P)
    model = unet.load_unet(root / "unet0")
    unet.widen_context(model, 32, seed=23)
    unet.widen_input(model)
    with torch.no_grad():
        model.conv_in.weight[:, 4:] = 0.1 * seeding.noise((16, 4, 3, 3), "test")
    model.save_pretrained(folder / "namd" / "unet")
    prompts = SoftPrompts.from_vocabulary(lm, 2, 2, 23)
    prompts.fit_standardisation(lm, tokenizer, report_texts(ehr))
    prompts.save(folder / "namd")
    return folder


@pytest.fixture(scope="module")
def namd(arm):
    return NAMD(arm, P)


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


def test_an_untrained_arm_is_a_user_error(arm, tmp_path):
    folder = tmp_path / "arms" / "namd"
    with pytest.raises(UserError, match="run 01"):
        NAMD(folder, P)
    shutil.copytree(arm.parent.parent / "llm", tmp_path / "llm")
    with pytest.raises(UserError, match="run 02"):
        NAMD(folder, P)
