"""The small VAE's turns are those of a cohort; the small U-Net learns from drawn latents, not from their means."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from namd.data.images import augment
from namd.ground.paths import REPO
from namd.ground.seeding import numpy_rng
from namd.pretrain import unet, vae
from namd.study import params

SMALL = ["unet_channels=[8,16]", "unet_heads=2", "uncond_steps=1", "uncond_batch=4", "uncond_warmup=0"]


@pytest.mark.parametrize("k", range(8))
def test_turn_k_is_that_of_a_cohorts_images(k):
    x = numpy_rng("turns").normal(size=(2, 1, 5, 5)).astype(np.float32)
    assert np.array_equal(vae.turned(torch.from_numpy(x), k).numpy(), augment(x, "square", k))


def test_the_unet_learns_from_latents_drawn_about_their_means(tmp_path):
    p = SimpleNamespace(**params.load([REPO / "params" / "pretrain.yaml"], SMALL))
    mean = torch.from_numpy(numpy_rng("latents").normal(size=(8, 4, 8, 8)).astype(np.float32))
    learnt = {}
    for spread in (0, 1):
        z = {"train": (mean, torch.full_like(mean, spread)), "val": (mean, torch.zeros_like(mean))}
        net, *_ = unet.train_unet(tmp_path / str(spread), str(spread), z, p, log=lambda *a, **k: None)
        learnt[spread] = net.conv_in.weight
    assert not torch.equal(learnt[0], learnt[1])
