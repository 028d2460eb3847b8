"""Every metric against numbers worked out by hand."""

import tracemalloc

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from namd.evaluation.stats import metrics

LABEL = np.array([1, 1, 1, 0, 0, 0])
PROB = np.array([0.9, 0.6, 0.3, 0.7, 0.3, 0.1])   # 6 wins, 1 tie, 2 losses of 9 pairs


def test_auroc_counts_pairs_with_ties_half():
    assert metrics.auroc(LABEL, PROB) == pytest.approx((6 + 0.5) / 9)


def test_auprc_sums_precision_over_recall_steps():
    # thresholds .9 (1/1), .7 (1/2), .6 (2/3), .3 (3/5: the tie is one threshold), .1
    assert metrics.auprc(LABEL, PROB) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_brier_is_the_mean_squared_error():
    assert metrics.brier([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)


def test_over_runs_is_mean_and_population_sd():
    runs = np.stack([PROB, LABEL.astype(float)])
    mean, sd = metrics.over_runs(metrics.auroc, LABEL, runs)
    first = 6.5 / 9
    assert (mean, sd) == (pytest.approx((first + 1) / 2), pytest.approx((1 - first) / 2))
    assert metrics.over_runs(metrics.auroc, LABEL, PROB) == (pytest.approx(first), 0.0)


def test_fid_of_a_shift_and_of_a_stretch():
    g = torch.Generator().manual_seed(0)
    a = torch.randn(4000, 3, generator=g)
    a = (a - a.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(a.T.cov())).T   # exactly mean 0, covariance I
    shift = torch.tensor([3.0, 4.0, 0.0])
    assert metrics.fid(a, a + shift) == pytest.approx(25.0, abs=1e-3)
    assert metrics.fid(a, 2 * a) == pytest.approx(3.0, abs=1e-3)                 # tr (I + 4I - 2 * 2I) = 3
    assert metrics.fid(a, a) == pytest.approx(0.0, abs=1e-6)


def test_kid_by_its_definition_and_repeatable():
    g = torch.Generator().manual_seed(1)
    a, b = torch.randn(7, 4, generator=g).double(), torch.randn(7, 4, generator=g).double() + 1
    kernel = lambda u, v: (u @ v.T / 4 + 1) ** 3                                 # noqa: E731
    off = ~torch.eye(7, dtype=bool)
    by_hand = kernel(a, a)[off].mean() + kernel(b, b)[off].mean() - 2 * kernel(a, b).mean()
    state = torch.get_rng_state()
    assert metrics.kid(a, b) == pytest.approx(by_hand.item(), rel=1e-6)
    assert metrics.kid(a, b) == metrics.kid(a, b)
    assert torch.equal(state, torch.get_rng_state())


def test_floor_is_small_and_falls_with_n():
    features = torch.randn(2000, 8, generator=torch.Generator().manual_seed(2))
    few, many = metrics.floor(metrics.fid, features[:200], 0), metrics.floor(metrics.fid, features, 0)
    assert 0 < many < few < 2
    assert abs(metrics.floor(metrics.kid, features, 0)) < 0.05
    assert np.isnan(metrics.floor(metrics.fid, features[:3], 0)) and metrics.floor(metrics.fid, features[:4], 0) >= 0


def test_delta_rmae_knows_copy_perfect_and_opposite():
    x1 = np.zeros((1, 1, 16, 16))
    x2 = x1 + 0.2
    assert metrics.delta_rmae(x1, x2, x1) == pytest.approx([2.0])               # the copied baseline
    assert metrics.delta_rmae(x1, x2, x2) == pytest.approx([0.0])
    assert metrics.delta_rmae(x1, x2, -x2) == pytest.approx([2.0])              # |.4| / (.5 * .4)
    assert metrics.delta_rmae(x1, x2, x1 + 0.1) == pytest.approx([0.1 / 0.15])
    assert metrics.delta_rmae(x1, x1, x1) == pytest.approx([0.0])


def test_delta_rmae_ignores_what_lies_outside_the_disc():
    x1 = np.zeros((1, 1, 16, 16))
    x2, corner = x1 + 0.2, x1 + 0.2
    corner[..., 0, 0] = 1.0
    assert metrics.delta_rmae(x1, x2, corner) == pytest.approx([0.0])


def test_psnr_of_a_known_error():
    x2 = np.zeros((2, 1, 4, 4))
    assert metrics.psnr(x2 + 0.2, x2) == pytest.approx([20.0, 20.0])            # 10 log10(4 / .04)
    assert np.isinf(metrics.psnr(x2, x2)).all()


def test_ssim_of_flat_images_compares_means_only():
    flat = torch.tensor([-0.5, 0.5, 0.5]).reshape(3, 1, 1, 1) * torch.ones(3, 1, 16, 16)
    other = torch.full((3, 1, 16, 16), 0.5)
    c1 = (0.01 * 2) ** 2
    assert metrics.ssim(flat, other) == pytest.approx([(c1 - 0.5) / (c1 + 0.5), 1, 1], abs=1e-5)


def test_ssim_by_its_definition_one_image_at_a_time():
    rng = np.random.default_rng(0)
    x2 = np.clip(gaussian_filter(rng.normal(size=(23, 1, 24, 24)), (0, 0, 2, 2)) * 3, -1, 1)
    x2_hat = np.clip(x2 + 0.2 * rng.normal(size=x2.shape), -1, 1)
    here = lambda x: gaussian_filter(x[:, 0], (0, 1.5, 1.5), truncate=3.5, mode="mirror")    # noqa: E731
    m, m_hat, c1, c2 = here(x2), here(x2_hat), (0.01 * 2) ** 2, (0.03 * 2) ** 2
    var, var_hat, cov = here(x2**2) - m**2, here(x2_hat**2) - m_hat**2, here(x2 * x2_hat) - m * m_hat
    by_hand = (2 * m * m_hat + c1) * (2 * cov + c2) / ((m**2 + m_hat**2 + c1) * (var + var_hat + c2))
    assert metrics.ssim(x2_hat, x2) == pytest.approx(by_hand.mean((1, 2)), abs=1e-5)
    assert metrics.ssim(x2_hat[22:], x2[22:]) == pytest.approx(metrics.ssim(x2_hat, x2)[22:], abs=1e-6)
    assert metrics.ssim(x2, x2) == pytest.approx(np.ones(23))


@pytest.mark.parametrize("diameter", [6.0, 12.0, 20.0])
def test_diameter_of_a_drawn_disc(diameter):
    axis = (np.arange(64) - 31.5) * 0.6
    image = np.where(axis[:, None] ** 2 + axis[None] ** 2 <= (diameter / 2) ** 2, 0.4, -0.8)
    vessel = image.copy()
    vessel[:8, :8] = 1.0                                                        # bright, but not in the middle
    assert metrics.diameter_mm(np.stack([image, vessel])[:, None]) == pytest.approx([diameter] * 2, rel=0.05)


def test_diameter_is_zero_without_a_nodule():
    assert metrics.diameter_mm(np.full((1, 1, 64, 64), -0.8)) == pytest.approx([0.0])


def test_an_image_without_a_nodule_is_outlined_by_the_central_disc():
    x = torch.full((2, 1, 64, 64), -0.8)
    x[0, 0, 28:36, 28:36] = 0.5
    found = metrics.outlined(x)
    assert np.array_equal(found[0], metrics.nodule_masks(x)[0]) and found[0].sum() == 64
    assert np.array_equal(found[1], metrics.disc(64))


def test_outlines_of_many_images_take_less_memory_than_the_images():
    x = np.random.default_rng(0).normal(size=(300, 1, 64, 64)).astype(np.float32)
    tracemalloc.start()
    metrics.nodule_masks(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes
