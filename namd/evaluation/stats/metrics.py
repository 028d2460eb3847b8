"""The columns of Table 1 and their controls, each a plain function of arrays (Sec. 4.1.2)."""

import warnings

import numpy as np
import torch
from scipy import ndimage
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from namd.evaluation.stats.patients import numbered
from namd.ground.seeding import fresh_weights, generator


def auroc(label, prob) -> float:
    """Area under the ROC curve: P(a malignant nodule scores above a benign one), ties half; .5 is chance.

    Args:
        label: (N,) in {0, 1}; prob: (N,) scores, any monotone scale.

    Source: Sec. 4.1.2; scikit-learn.
    """
    return float(roc_auc_score(label, prob))


def auprc(label, prob) -> float:
    """Area under the precision-recall curve (average precision); chance is the share of malignant nodules.

    Args:
        label: (N,) in {0, 1}; prob: (N,) scores, any monotone scale.

    Source: Sec. 4.1.2; scikit-learn's average precision, as in the authors' code.
    """
    return float(average_precision_score(label, prob))


def brier(label, prob) -> float:
    """Brier score: mean squared error of the probabilities; 0 is perfect, prevalence (1 - prevalence) is chance.

    Source: ours, because a probability that ranks well may still be badly calibrated.
    """
    return float(brier_score_loss(label, prob))


def over_runs(metric, label, prob_runs) -> tuple[float, float]:
    """Mean and standard deviation of a metric over K runs; 0 spread for K = 1.

    Args:
        metric: (label, prob) -> float; label: (N,); prob_runs: (K, N).

    Source: Sec. 4.1.2 and the authors' code (population standard deviation). The spread is that of the sampling
    noise alone: it says nothing about test patients or training seeds.
    """
    values = [metric(label, prob) for prob in np.atleast_2d(prob_runs)]
    return float(np.mean(values)), float(np.std(values))


class _Features(nn.Module):
    """Stands where torchmetrics expects a network: the features were computed once, elsewhere."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, features):
        return features


def fid(features_a, features_b) -> float:
    """Frechet distance between two sets of features; 0 for equal means and covariances.

    Args:
        features_a, features_b: (N, dim) and (M, dim) float tensors; real first.

    Returns:
        Squared feature units. Biased upwards for small N, so read it beside `floor` and never across N or dim.

    Source: Sec. 4.1.2; torchmetrics. The features are ours to choose: the judge's class token always, because N = 450
    images cannot fill Inception's 2048 x 2048 covariance, and Inception's as well where its weights are there.
    """
    metric = FrechetInceptionDistance(feature=_Features(features_a.shape[1])).set_dtype(torch.float64)
    metric.update(features_a.double(), real=True)
    metric.update(features_b.double(), real=False)
    return float(metric.compute())


def kid(features_a, features_b) -> float:
    """Kernel distance (cubic-kernel MMD, unbiased) between two sets of features; about 0 for equal distributions.

    Args:
        features_a, features_b: (N, dim) and (M, dim) float tensors; one subset of min(N, M) is used.

    Returns:
        Dimensionless; may be slightly negative, because the estimator is unbiased.

    Source: ours, beside FID, because it does not grow as N shrinks; torchmetrics.
    """
    with warnings.catch_warnings(), fresh_weights("kid"):
        warnings.simplefilter("ignore")                       # torchmetrics warns that it keeps the features
        size = min(len(features_a), len(features_b))
        metric = KernelInceptionDistance(feature=_Features(features_a.shape[1]), subsets=1, subset_size=size)
        metric.update(features_a.double(), real=True)
        metric.update(features_b.double(), real=False)
        return float(metric.compute()[0])


def floor(distance, features, *keys, patient=None) -> float:
    """What a perfect generator scores: `distance` between the real follow-ups of two random halves of the patients.

    Args:
        distance: `fid` or `kid`; features: (N, dim) float tensor; keys: name the random split; patient: (N,), None
            makes each image a patient of its own.

    Returns:
        Units of `distance`. Halves have N/2 images, so the FID floor is a little too high; NaN where one has not two.

    Source: ours, because an FID without its floor cannot be read.
    """
    number = numbered(patient, len(features))
    place = torch.randperm(number.max() + 1, generator=generator(*keys, "floor")).argsort().numpy()[number]
    half = (number.max() + 1) // 2
    order = place.argsort(kind="stable")
    which = place[order] // half
    halves = [features[order[which == k]] for k in (0, 1)]
    return distance(*halves) if min(map(len, halves)) > 1 else float("nan")


def disc(size, share=0.375):
    """(size, size) boolean mask of the central disc whose radius is `share` of the image side (14.4 mm of 38.4)."""
    axis = np.arange(size) - (size - 1) / 2
    return axis[:, None] ** 2 + axis[None, :] ** 2 <= (share * size) ** 2


def delta_rmae(x1, x2, x2_hat):
    """Relative error of the CHANGE since baseline, which a copy of the baseline cannot hide.

    Per image, over the pixels of the central disc: sum |d - d_hat| / (half of sum (|d| + |d_hat|)), with
    d = x2 - x1 and d_hat = x2_hat - x1. 0 is perfect; 2 is reached by the copied baseline (d_hat = 0).

    Args:
        x1, x2, x2_hat: (N, 1, S, S) arrays or tensors, any common unit.

    Returns:
        (N,) float64 numpy array in [0, 2]; 0 where nothing changed and nothing was predicted to.

    Source: Delta-LFM (arXiv 2512.09185) defines it on volumes; sums over pixels of the central disc are ours.
    """
    x1, x2, x2_hat = (np.asarray(x, dtype=np.float64)[:, 0] for x in (x1, x2, x2_hat))
    inside = disc(x1.shape[-1])
    d = (x2 - x1)[:, inside]
    d_hat = (x2_hat - x1)[:, inside]
    size = 0.5 * (np.abs(d) + np.abs(d_hat)).sum(1)
    return np.divide(np.abs(d - d_hat).sum(1), size, out=np.zeros(len(d)), where=size > 0)


def psnr(x2_hat, x2):
    """Peak signal-to-noise ratio per image, dB, for images in [-1, 1]; infinite for equal images.

    Args:
        x2_hat, x2: (N, 1, S, S) arrays or tensors.

    Source: ours; the authors' code logs it during training.
    """
    error = (np.asarray(x2_hat, dtype=np.float64) - np.asarray(x2, dtype=np.float64)) ** 2
    with np.errstate(divide="ignore"):
        return 10 * np.log10(4 / error.mean(axis=(1, 2, 3)))


def ssim(x2_hat, x2, batch=20):
    """Structural similarity per image, in [-1, 1]: 1 for equal images, about 0 for unrelated noise.

    Compares mean, contrast and pattern under a Gaussian window of 11 x 11 pixels (sigma 1.5; k1 .01, k2 .03, range 2),
    mirrored at the border, and averages over all its places.

    Args:
        x2_hat, x2: (N, 1, S, S) arrays or tensors in [-1, 1], S > 5; batch: images of one call.

    Returns:
        (N,) float32 numpy array.

    Source: Wang et al. 2004; torchmetrics, 20 images a call because they fit the cache: about three times as fast.
    """
    parts_hat = torch.as_tensor(x2_hat, dtype=torch.float32).split(batch)
    parts = torch.as_tensor(x2, dtype=torch.float32).split(batch)
    found = [structural_similarity_index_measure(a, b, reduction="none", data_range=2.0)
             for a, b in zip(parts_hat, parts, strict=True)]
    return torch.cat(found).numpy()


def nodule_masks(x):
    """The nodule in the middle of each image: (N, S, S) bool, empty where the centre is no brighter than its surround.

    It is the connected region around the centre that is brighter than halfway between the mean of the central 3 x 3
    pixels and the median outside the central disc; pixels touch by their sides.

    Args:
        x: (N, 1, S, S) array or tensor, any brightness unit.

    Source: ours, because neither a record nor a generated image holds an outline.
    """
    x = np.asarray(x)[:, 0]
    outside = ~disc(x.shape[-1])
    c = x.shape[-1] // 2
    middle = (slice(c - 1, c + 2), slice(c - 1, c + 2))
    masks = np.zeros(x.shape, dtype=bool)
    for mask, image in zip(masks, x, strict=True):
        image = image.astype(np.float64)            # one at a time: all of them in double precision are a gigabyte
        high = image[middle].mean()
        low = np.median(image[outside])
        region, _ = ndimage.label(image > (high + low) / 2)
        here = region[middle].max()
        if high > low and here:
            mask[:] = region == here
    return masks


def outlined(x):
    """As `nodule_masks`, (N, S, S) bool, but the central disc where that finds no nodule: some readers need one."""
    found = nodule_masks(x)
    found[~found.any((1, 2))] = disc(x.shape[-1])
    return found


def diameter_mm(x, mm_per_px=0.6):
    """Diameter of the disc with the area of the nodule in the middle of each image (`nodule_masks`), mm.

    Args:
        x: (N, 1, S, S) array or tensor, any brightness unit; mm_per_px: pixel side, mm.

    Returns:
        (N,) float64 numpy array, mm; 0 where there is no nodule.

    Source: ours, because growth in millimetres is what a reader of CT looks at.
    """
    areas = nodule_masks(x).sum((1, 2))
    return 2 * np.sqrt(areas / np.pi) * mm_per_px
