"""Runs compared with their follow-ups: the numbers of the distance itself, and the means of its features."""

import numpy as np
import pytest
import torch

from namd.evaluation.stats import likeness
from namd.models.perceptual import LITE0, load_perceptual


@pytest.mark.parametrize("net, weights", [("alex", "random"), (LITE0, "imagenet")])
def test_several_runs_are_compared_as_the_network_compares_one_bit_for_bit(net, weights):
    net, g = load_perceptual(net, weights, 0), torch.Generator().manual_seed(0)
    x2 = torch.rand(5, 1, 64, 64, generator=g) * 2 - 1
    x2_hat = (torch.rand(2, 5, 1, 64, 64, generator=g) * 2 - 1).half()
    batches = slice(0, 3), slice(3, 5)
    one_by_one = [torch.cat([net(run[at].float(), x2[at]).reshape(-1) for at in batches]).numpy() for run in x2_hat]
    distance, pooled = likeness.compare_runs(net, x2_hat, x2, batch=3)
    np.testing.assert_array_equal(distance, one_by_one)
    if not net.pools:
        assert pooled is None
        return
    assert pooled.shape == (2, 5, 32 + 16 + 24 + 40)
    assert torch.equal(pooled[1], likeness.pooled_features(net, x2_hat[1], batch=3))


def test_pooled_features_are_means_over_space_side_by_side():
    maps = [torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]]), torch.tensor([[[[7.0], [8.0]]]])]
    assert likeness.pool(maps).tolist() == [[2.0, 5.0, 7.5]]
