"""params/paper.yaml is Appendix B: its numbers, and what the loop and the data do with them."""

from types import SimpleNamespace

import pytest
import torch

from namd.data.images import AUGMENTATIONS
from namd.ground.paper import PAPER
from namd.models import diffusion
from namd.study import params
from namd.training import loop

P = SimpleNamespace(**params.load())
ASKED = PAPER["training"]


@pytest.mark.parametrize("key", [key for key in ASKED if key in params.KEYS])
def test_the_base_file_holds_the_papers_number(key):
    assert getattr(P, key) == ASKED[key]


def test_the_unconditional_rate_warms_up_over_4000_steps_and_falls_to_a_tenth_at_100000():
    rate = loop.warmup_cosine(P.uncond_lr, P.uncond_lr_start, P.uncond_lr_end, P.uncond_warmup, P.uncond_steps)
    seen = [rate(step) for step in (0, 2000, 4000, 52_000, 100_000)]
    assert seen == pytest.approx([1e-6, (1e-6 + 1e-4) / 2, 1e-4, (1e-4 + 1e-5) / 2, 1e-5])


def test_the_conditional_rate_never_moves():
    rate = loop.SCHEDULES[P.cond_lr_schedule](P.cond_lr, P.cond_steps)
    assert {rate(step) for step in (0, 1, P.cond_steps - 1)} == {2e-5}


@pytest.mark.parametrize(("stage", "images"), [("vae", 2), ("cond", 1)])
def test_sixty_epochs_are_counted_one_way(stage, images):
    """Each training pair in each of its turns once; the VAE sees both images of it."""
    pairs = round(PAPER["cohort"]["train_val_pairs"] * (1 - P.data_val_share))
    seen = ASKED["cond_epochs"] * pairs * AUGMENTATIONS[P.augment] * images
    assert getattr(P, f"{stage}_steps") == round(seen / getattr(P, f"{stage}_batch"))


def test_a_compared_system_has_the_steps_of_the_conditional_stage():
    assert P.system_steps == P.cond_steps and P.system_tune_steps == round(P.system_steps / 10)


def test_four_rotations_beside_the_image_itself():
    assert AUGMENTATIONS[P.augment] == 1 + len((45, 90, 135, 180))


def test_one_thousand_steps_between_the_papers_betas():
    betas = diffusion.schedule(P).betas
    assert len(betas) == 1000
    torch.testing.assert_close(betas[[0, -1]], torch.tensor([8.5e-4, 1.2e-2]))


def test_full_precision_clipping_and_no_average():
    assert (P.precision, P.llm_dtype, P.grad_clip, P.ema_decay) == ("float32", "float32", 1.0, 0.0)
