"""Random fields of the phantom: parenchyma, and the noise and sharpness of a CT kernel."""

from functools import lru_cache

import numpy as np
from scipy import fft


def random_field(rng, shape, steps_mm, slope: float, scale_mm: float) -> np.ndarray:
    """Smooth random field of unit variance, shape (layers, n, n) float32.

    Args:
        steps_mm: node spacing along z and in plane.
        slope: amplitude falls as frequency^-slope; scale_mm: and as a Gaussian of this width.

    Source: ours; a power-law spectrum looks like lung parenchyma between vessels.
    """
    white = rng.standard_normal((*shape[:2], shape[2] // 2 + 1, 2), dtype=np.float32).view(np.complex64)[..., 0]
    field = fft.irfftn(white * _field_amplitude(tuple(shape), tuple(steps_mm), slope, scale_mm), s=shape)
    return field / field.std()


@lru_cache
def _field_amplitude(shape, steps_mm, slope, scale_mm) -> np.ndarray:
    """Amplitude per frequency, float32; the mean is left out."""
    fz, fy = np.meshgrid(fft.fftfreq(shape[0], steps_mm[0]), fft.fftfreq(shape[1], steps_mm[1]), indexing="ij")
    f = np.sqrt(fz[..., None] ** 2 + fy[..., None] ** 2 + fft.rfftfreq(shape[2], steps_mm[1]) ** 2)
    amplitude = np.exp(-(np.pi * scale_mm * f) ** 2 / 4) / np.maximum(f, .02) ** slope
    amplitude[0, 0, 0] = 0
    return amplitude.astype(np.float32)


def sample_fields(fields, x, y, z, layer_mm: float, grid_mm: float) -> np.ndarray:
    """Fields (k, layers, n, n) at the points (x, y) of the planes z, mm, linear; (k, len(z), *x.shape)."""
    k, layers, n, _ = fields.shape
    at = np.clip(z / layer_mm + (layers - 1) / 2, 0, layers - 1.001)
    low = at.astype(int)
    part = (at % 1)[:, None, None].astype(np.float32)
    planes = ((1 - part) * fields[:, low] + part * fields[:, low + 1]).reshape(-1, n * n)

    def nodes(mm):
        return np.clip(mm / np.float32(grid_mm) + np.float32((n - 1) / 2), 0, n - 1.01)

    row = nodes(y)
    col = nodes(x)
    i = row.astype(np.int32)
    j = col.astype(np.int32)
    node = (i * n + j).astype(np.intp)
    right = col - j                                         # weight of the right neighbour
    down = row - i                                          # weight of the lower one

    def along_row(first):
        left = planes.take(first, axis=1)
        return left + right * (planes.take(first + 1, axis=1) - left)

    upper = along_row(node)
    lower = along_row(node + n)
    return (upper + down * (lower - upper)).reshape(k, len(z), *x.shape)


@lru_cache(maxsize=64)
def kernel_filters(n: int, spacing_mm: float, blur_mm: float, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Transfer function of a reconstruction kernel and the amplitude spectrum of its noise, (n, n // 2 + 1) float32.

    Args:
        blur_mm: standard deviation of the point spread; edge: enhancement of middle frequencies, 0 is none.

    Source: ours; noise power rises with frequency (ramp) and falls with the kernel, as in filtered back-projection.
    """
    f = np.hypot(fft.fftfreq(n, spacing_mm)[:, None], fft.rfftfreq(n, spacing_mm))
    transfer = np.exp(-2 * (np.pi * blur_mm * f) ** 2) * (1 + edge * (2.2 * f) ** 2)
    return transfer.astype(np.float32), (np.sqrt(f) * transfer).astype(np.float32)


def scan(slices, spacing_mm: float, blur_mm: float, edge: float, sigma_hu: float, rng) -> np.ndarray:
    """Slices as a scanner shows them: the kernel's blur and its noise of `sigma_hu`; (k, n, n) float32 HU.

    Source: ours; see `kernel_filters`.
    """
    k, n, _ = slices.shape
    transfer, spectrum = kernel_filters(n, spacing_mm, blur_mm, edge)
    white = rng.standard_normal((k, n, n // 2 + 1, 2), dtype=np.float32).view(np.complex64)[..., 0]
    grain = sigma_hu * n / np.sqrt(2 * np.mean(spectrum ** 2))
    return fft.irfft2(fft.rfft2(slices) * transfer + white * spectrum * grain, s=(n, n))
