"""The ordering of a latent: an ordered one is told from a shuffled one."""

import numpy as np
import pytest

from namd.evaluation.stats import latent


@pytest.fixture
def ordered():
    rng = np.random.default_rng(0)
    y = rng.normal(size=120)
    return y[:, None] * np.array([1.0, -2.0, 0.5]) + 0.05 * rng.normal(size=(120, 3)), y


def test_views_pool_and_flatten():
    z = np.arange(16.0).reshape(1, 4, 2, 2)
    assert latent.views(z)["pooled"].tolist() == [[1.5, 5.5, 9.5, 13.5]]
    assert latent.views(z)["flat"].shape == (1, 16)


@pytest.mark.parametrize("kind", ["knn", "linear"])
def test_readers_find_order_and_only_order(ordered, kind):
    z, y = ordered
    assert latent.r2(y, latent.out_of_fold(z, y, kind)) > 0.9
    shuffled = np.random.default_rng(1).permutation(y)
    assert latent.r2(shuffled, latent.out_of_fold(z, shuffled, kind)) < 0.1


def test_r2_by_hand():
    assert latent.r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]) == pytest.approx(0.5)  # 1 - 1 / 2
    assert latent.r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == 0


def test_r2_draws_with_weights_one_are_r2():
    y, y_hat = np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.5, 2.0, 2.0, 5.0])
    counts = np.array([[1, 1, 1, 1], [2, 0, 1, 1]])
    draws = latent.r2_draws(y, y_hat, counts)
    assert draws[0] == pytest.approx(latent.r2(y, y_hat))
    assert draws[1] == pytest.approx(latent.r2(y[[0, 0, 2, 3]], y_hat[[0, 0, 2, 3]]))


def test_tsne_repeats_itself_on_a_small_cohort(ordered):
    z, _ = ordered
    first = latent.tsne(z[:20], seed=3)
    assert first.shape == (20, 2)
    assert np.array_equal(first, latent.tsne(z[:20], seed=3))
