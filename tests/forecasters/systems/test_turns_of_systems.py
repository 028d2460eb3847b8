"""What the compared systems learn from: both visits of a pair under one augmentation, images and latents alike."""

import torch
from small_systems import P, write_system_run

from namd.data.images import AUGMENTATIONS
from namd.forecasters import registry
from namd.forecasters.latent import posterior_pair


def test_images_of_both_visits_are_turned_alike(tmp_path):
    pairs = write_system_run(tmp_path)
    x1, x2 = registry.system("mcwgan")(tmp_path, P).images(pairs)
    assert len(x1) == len(x2) == AUGMENTATIONS[P.augment]
    for visit in (x1, x2):
        for k, turned in enumerate(visit):
            expected = torch.rot90(visit[0], k % 4, (-2, -1))
            assert torch.equal(turned, expected.flip(-1) if k >= 4 else expected)


def test_latents_of_both_visits_are_drawn_under_one_augmentation():
    turns = torch.arange(8.0).view(1, 8, 1, 1, 1).expand(30, 8, 4, 8, 8)
    zero = torch.zeros_like(turns)
    latents = dict(z1_mean=turns, z1_std=zero, z2_mean=turns + 100, z2_std=zero)
    z1, z2 = posterior_pair(latents, torch.arange(30), torch.Generator().manual_seed(0))
    assert torch.equal(z2, z1 + 100) and len(z1[:, 0, 0, 0].unique()) > 3


def test_each_visit_has_noise_of_its_own_and_its_own_spread():
    zero, one = torch.zeros(5, 8, 4, 8, 8), torch.ones(5, 8, 4, 8, 8)
    z1, z2 = posterior_pair(dict(z1_mean=zero, z1_std=one, z2_mean=zero, z2_std=3 * one), torch.arange(5),
                            torch.Generator().manual_seed(0))
    assert 0.9 < z1.std() < 1.1 and 2.7 < z2.std() < 3.3 and not torch.allclose(3 * z1, z2)
