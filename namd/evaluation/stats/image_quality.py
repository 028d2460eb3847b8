"""Do images look like CT? Their spectrum beside that of real ones, holes in their nodules, each as a plain number."""

import numpy as np
from scipy import ndimage

from namd.evaluation.stats.bootstrap import mean_interval
from namd.evaluation.stats.metrics import fid, nodule_masks, psnr
from namd.evaluation.stats.patients import error_of_mean

CUT_OFF = 1 / 8             # cycles a pixel: 256 numbers of a latent for 4,096 pixels are one for each 4 x 4
NEAR = (2, 4)               # bins from a frequency to its neighbours; the window spreads a pure wave over one bin
WHOSE = {"": "judge's features", "_inception": "Inception", "_lite0": "EfficientNet-Lite0"}   # table1.clouds
BY_CORNERS = np.ones((3, 3))    # pixels of a background touch by their corners too, where those of a nodule do not


def power(x):
    """Mean power of images at each frequency, their mean taken off and their border faded out: (S, S).

    Args:
        x: (N, 1, S, S) array or tensor.

    Source: ours; a Hann window, because the jump from one border to the opposite one has power at every frequency and
        would hide what blur takes away.
    """
    x = np.asarray(x, dtype=np.float64)[:, 0]
    side = x.shape[-1]
    fade = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    x = (x - x.mean((1, 2), keepdims=True)) * fade[:, None] * fade[None, :]
    return (np.abs(np.fft.fft2(x)) ** 2).mean(0)


def spectrum_ratio(x_hat, x):
    """Radial power spectrum of x_hat over that of x.

    Args:
        x_hat, x: (N, 1, S, S) arrays or tensors, the same scenes or draws of the same kind.

    Returns:
        (frequency, ratio), each (S / 2,): cycles a pixel in steps of 1 / S up to half the sampling frequency, and power
        over power on that ring; 1 is as sharp as x, below 1 is blurred.

    Source: ours, after the power spectra by which checkerboards of generators are found (Durall et al. 2020).
    """
    side = x.shape[-1]
    axis = np.fft.fftfreq(side) * side
    ring = np.rint(np.hypot(axis[:, None], axis[None, :])).astype(int)
    rings = np.arange(1, side // 2 + 1)
    of_hat, of_real = (ndimage.sum_labels(power(images), ring, rings) for images in (x_hat, x))
    return rings / side, of_hat / of_real


def half_sampling_peak(x_hat, x):
    """How far the ratio of the two powers stands out at half the sampling frequency; about 1 where nothing does.

    A fold of 2 x 2 pixels whose four channels disagree draws a pattern of period 2: across, down or both. The ratio at
    these three frequencies, over the ratio at the NEAR ones around them.

    Args:
        x_hat, x: (N, 1, S, S) arrays or tensors, S at least 16.

    Returns:
        float, dimensionless; the largest of the three.

    Source: ours, because a peak must be told from a spectrum that is too high or too low as a whole.
    """
    of_hat = power(x_hat)
    of_real = power(x)
    half = x.shape[-1] // 2
    found = []
    for row, column in ((0, half), (half, 0), (half, half)):
        near = _around(x.shape[-1], row, column)
        found.append(of_hat[row, column] / of_real[row, column] / (of_hat[near].mean() / of_real[near].mean()))
    return float(max(found))


def _around(side, row, column):
    """(side, side) bool: the frequencies NEAR one of them, counted around the edge of the spectrum."""
    first, last = NEAR
    away = [np.minimum((np.arange(side) - at) % side, (at - np.arange(side)) % side) for at in (row, column)]
    distance = np.maximum(away[0][:, None], away[1][None, :])
    return (distance >= first) & (distance <= last)


def holes(x):
    """Holes in the nodule of each image, 1 - Euler number of `metrics.nodule_masks`: (N,) int; -1 where there is none.

    Args:
        x: (N, 1, S, S) array or tensor, any brightness unit.

    Source: ours; Euler number of a connected region = 1 - holes, which are the parts of its background that do not
        reach the border of the image.
    """
    found = []
    for mask in nodule_masks(x):
        outer = np.pad(~mask, 1, constant_values=True)
        found.append(ndimage.label(outer, BY_CORNERS)[1] - 1 if mask.any() else -1)
    return np.array(found)


def decoded_rows(x_hat, x, patient=None, clouds_hat=None, clouds=None):
    """What the VAE leaves of real images: rows of image_quality.csv.

    Args:
        x_hat: (N, 1, S, S) decoded, x: (N, 1, S, S) the images themselves, in [-1, 1]; patient: (N,), whose each is;
            clouds_hat, clouds: `table1.clouds` of both, None leaves their FID out.

    Returns:
        list of dict quantity, value, low, high (95 % over patients, NaN where there is none), n: PSNR (dB, peak 2),
        smallest and largest `spectrum_ratio` up to CUT_OFF, `half_sampling_peak`, FID of each cloud.

    Source: ours, because no forecast can be sharper than what the decoder gives back.
    """
    frequency, ratio = spectrum_ratio(x_hat, x)
    held = ratio[frequency <= CUT_OFF]
    decibels = psnr(x_hat, x)
    half = 1.96 * error_of_mean(decibels, patient)
    mean = decibels.mean()
    rows = [quality_row("PSNR after the VAE, dB", (mean, mean - half, mean + half), len(x)),
            quality_row("power after the VAE over real, smallest up to 1/8 a pixel", held.min(), len(x)),
            quality_row("power after the VAE over real, largest up to 1/8 a pixel", held.max(), len(x)),
            quality_row("power after the VAE at half the sampling frequency over its neighbours",
                        half_sampling_peak(x_hat, x), len(x))]
    for end, cloud in (clouds_hat or {}).items():
        rows.append(quality_row(f"FID after the VAE, {WHOSE[end]}", fid(clouds[end], cloud), len(x)))
    return rows


def generated_rows(x2_hat, x2, lpips, beside, counts):
    """Whether generated follow-ups look like real ones: rows of image_quality.csv.

    Args:
        x2_hat: (K, N, 1, S, S), x2: (N, 1, S, S), in [-1, 1]; lpips: (K, N) of them; beside: {what: (K', N)} of other
            rows; counts: (n_boot, N) of `bootstrap.resample_counts`.

    Returns:
        list of dict as `decoded_rows`: share of real and of generated follow-ups without a nodule and with a hole in
        it, holes generated - real, and the perceptual distance of the row minus that of each of `beside`, each nodule
        a pair.

    Source: ours.
    """
    found = holes(x2)
    found_hat = np.stack([holes(run) for run in x2_hat])
    real = found > 0
    drawn = np.mean(found_hat > 0, axis=0)
    named = {"share of real follow-ups without a nodule": found < 0,
             "share of generated follow-ups without a nodule": np.mean(found_hat < 0, axis=0),
             "share of real follow-ups whose nodule has a hole": real,
             "share of generated follow-ups whose nodule has a hole": drawn,
             "holes, generated - real": drawn - real}
    for what, others in beside.items():
        named[f"perceptual distance, generated - {what}"] = np.mean(lpips, axis=0) - np.mean(others, axis=0)
    return [quality_row(name, mean_interval(values, counts), len(x2)) for name, values in named.items()]


def quality_row(quantity, value, n):
    """One line of image_quality.csv; value: a number, or (value, low, high)."""
    value, low, high = value if isinstance(value, tuple) else (value, np.nan, np.nan)
    return dict(quantity=quantity, value=float(value), low=low, high=high, n=n)
