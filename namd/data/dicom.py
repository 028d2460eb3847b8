"""One DICOM file to Hounsfield units (HU), and the crop around a nodule."""

from pathlib import Path

import numpy as np
import pydicom

from namd.data.refused import RefusedError

PIXELS, MM_PER_PX = 128, 0.6
HU_LOW, HU_HIGH = -1024, 3071
MAX_PADDING = 0.25
LIBJPEG, OPENJPEG = "pylibjpeg pylibjpeg-libjpeg", "pylibjpeg pylibjpeg-openjpeg"
DECODERS = {".50": LIBJPEG, ".51": LIBJPEG, ".57": LIBJPEG, ".70": LIBJPEG, ".80": "pyjpegls", ".81": "pyjpegls",
            ".90": OPENJPEG, ".91": OPENJPEG, ".201": OPENJPEG, ".202": OPENJPEG, ".203": OPENJPEG}


def is_dicom(path: Path) -> bool:
    """Whether the file carries the DICM mark of DICOM part 10."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_hu(path) -> np.ndarray:
    """(H, W) float32 HU of one file by its own slope and intercept: pixel * slope + intercept.

    Raises:
        RefusedError: E21 where the rescale is missing or absurd, E23 where the pixels cannot be decoded.

    Source: ours; 279 NLST series mix signed and unsigned files, so nothing is carried from file to file.
    """
    header, name = pydicom.dcmread(path), Path(path).name
    if "PixelData" not in header:
        raise RefusedError("E23", f"{name} holds no PixelData; copy the file again")
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    if slope is None or intercept is None or float(slope) == 0:
        raise RefusedError("E21", f"{name} has RescaleSlope {slope} and RescaleIntercept {intercept}")
    try:
        stored = header.pixel_array
    except Exception as error:                                        # every decoder raises its own kind
        raise RefusedError("E23", _undecodable(name, header, error)) from error
    ends = sorted(float(slope) * float(value) + float(intercept) for value in (stored.min(), stored.max()))
    if stored.ndim != 2 or ends[0] < -4096 or ends[1] > 32767:
        raise RefusedError("E21", f"{name} gives HU from {ends[0]:.0f} to {ends[1]:.0f} in {stored.ndim} dimensions")
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _undecodable(name, header, error) -> str:
    """One sentence that names the transfer syntax and the package that decodes it."""
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return f"{name} ({syntax.name}) has damaged pixels ({error}); copy the file again"
    package = DECODERS.get(syntax.removeprefix("1.2.840.10008.1.2.4"))
    mend = f"`pip install {package}` decodes it" if package else "no package decodes it: export the series uncompressed"
    return f"{name} has the transfer syntax {syntax.name} ({syntax}); {mend}"


def resample_crop(hu_slice, spacing_mm, centre_px, pixels=PIXELS, mm=MM_PER_PX) -> np.ndarray:
    """Crop of one axial slice around the nodule, on a grid of `mm` millimetres.

    Args:
        hu_slice: (H, W) HU, rows to the back of the patient, columns to the patient's left.
        spacing_mm: > 0, side of a native pixel.
        centre_px: (x, y) of the nodule in pixel indices (column, row); 0 is the centre of the first pixel.
        pixels: side of the crop; its own centre lies between pixels pixels/2 - 1 and pixels/2.
        mm: side of a crop pixel.

    Returns:
        (pixels, pixels) int16 HU in [-1024, 3071]; bilinear; -1024 outside the slice.

    Raises:
        RefusedError: E24 where more than a quarter of the crop lies outside the slice.

    Source: ours, because a crop in native pixels confuses growth with pixel size (0.48 to 0.89 mm in NLST).
    """
    x_low, x_part, x_inside = _sample(hu_slice.shape[1], centre_px[0], mm / spacing_mm, pixels)
    y_low, y_part, y_inside = _sample(hu_slice.shape[0], centre_px[1], mm / spacing_mm, pixels)
    padding = 1 - x_inside.mean() * y_inside.mean()
    if padding > MAX_PADDING:
        where = f"pixel ({centre_px[0]:.0f}, {centre_px[1]:.0f})"
        raise RefusedError("E24", f"{padding:.0%} of the crop around {where} lies outside the slice; at most 25 % may")
    y_high, x_high = np.minimum(y_low + 1, hu_slice.shape[0] - 1), np.minimum(x_low + 1, hu_slice.shape[1] - 1)
    near, far = (hu_slice[y].astype(np.float32).clip(HU_LOW, HU_HIGH) for y in (y_low, y_high))  # (pixels, W)
    rows = near + y_part[:, None] * (far - near)
    crop = rows[:, x_low] + x_part * (rows[:, x_high] - rows[:, x_low])                   # (pixels, pixels)
    crop[~(y_inside[:, None] & x_inside)] = HU_LOW
    return np.rint(crop).astype(np.int16)


def _sample(n, centre, step, pixels):
    """Lower neighbour, weight of the upper one, and whether the sample lies inside an axis of n pixels."""
    at = centre + (np.arange(pixels) - (pixels - 1) / 2) * step
    low = np.clip(np.floor(at), 0, n - 1).astype(int)
    return low, np.clip(at - low, 0, 1).astype(np.float32), (at >= -0.5) & (at <= n - 0.5)
