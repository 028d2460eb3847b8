"""One DICOM file to Hounsfield units (HU), and the crop around a nodule."""

from pathlib import Path

import numpy as np
from pydicom.encaps import get_frame

from namd.data.dicom import codestream
from namd.data.dicom.header import Header
from namd.data.dicom.series import Series
from namd.data.images import HU_HIGH, HU_LOW, MM_PER_PX, PIXELS
from namd.data.refused import RefusedError

MAX_PADDING = 0.25
LOWEST_HU = -4096                               # what a CT file can mean
HIGHEST_HU = 32767
MAX_OVERHEAD = 1 << 16                          # bytes of markers and tables around compressed pixels
AIR_HU = -300                                   # below it lie lung and the air around, in every axial slice
GREY = ("MONOCHROME1", "MONOCHROME2")
LIBJPEG = "pylibjpeg pylibjpeg-libjpeg"
OPENJPEG = "pylibjpeg pylibjpeg-openjpeg"
DECODERS = {".50": LIBJPEG, ".51": LIBJPEG, ".57": LIBJPEG, ".70": LIBJPEG, ".80": "pyjpegls", ".81": "pyjpegls",
            ".90": OPENJPEG, ".91": OPENJPEG, ".201": OPENJPEG, ".202": OPENJPEG, ".203": OPENJPEG}


def read_hu(path) -> np.ndarray:
    """(H, W) float32 HU of one file by its own slope and intercept: pixel * slope + intercept.

    Raises:
        RefusedError: E21 where the rescale is missing or absurd, E23 where the pixels cannot be decoded.

    Source: ours; 279 NLST series mix signed and unsigned files, so nothing is carried from file to file.
    """
    header = Header(path, pixels=True)
    if "PixelData" not in header.dataset:
        raise RefusedError("E23", f"{header.name} holds no PixelData; copy the file again")
    _refuse_unreadable(header)
    slope, = header.numbers("RescaleSlope", 1, "E21")
    intercept, = header.numbers("RescaleIntercept", 1, "E21")
    if slope == 0:
        raise RefusedError("E21", f"{header.name} has RescaleSlope 0")
    stored = _decode(header)
    hu = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    hu[_is_padding(header, stored) & ((hu < LOWEST_HU) | (hu > HU_LOW))] = HU_LOW     # what is lower, the crop clips
    low, high = float(hu.min()), float(hu.max())
    if not LOWEST_HU <= low <= high <= HIGHEST_HU:
        raise RefusedError("E21", f"{header.name} gives HU from {low:.4g} to {high:.4g}")
    return hu


def _is_padding(header: Header, stored) -> np.ndarray:
    """Where stored values are those that the header declares for pixels outside the scan."""
    first = header.padding("PixelPaddingValue", stored.dtype)
    if first is None:
        return np.zeros(stored.shape, dtype=bool)
    last = header.padding("PixelPaddingRangeLimit", stored.dtype)
    ends = sorted((first, first if last is None else last))
    return (ends[0] <= stored) & (stored <= ends[1])


def _refuse_unreadable(header: Header) -> None:
    """Refuse pixels that pydicom cannot even take out of the file, as those of a VR that does not exist."""
    try:
        _ = header.dataset.PixelData
    except Exception as error:                                        # NotImplementedError, ValueError and others
        raise RefusedError("E23", f"{header.name} has damaged PixelData ({error}); copy the file again") from error


def _decode(header: Header) -> np.ndarray:
    """(H, W) stored values of a file; its sizes are checked first, because a decoder believes them."""
    rows, columns = header.shape
    if header.frames:
        raise RefusedError("E23", header.frames)
    _refuse_another_format(header)
    _refuse_a_larger_codestream(header, rows, columns)
    is_plain = header.syntax and header.syntax.is_transfer_syntax and not header.syntax.is_encapsulated
    n_bytes = rows * columns * int(header.number("BitsAllocated")) // 8
    held = len(header.dataset.PixelData or b"")
    if is_plain and held < n_bytes:
        raise RefusedError("E23", f"{header.name} has damaged pixels ({held} bytes, not the {n_bytes} of {rows} Rows "
                                  f"and {columns} Columns); copy the file again")
    try:
        stored = header.dataset.pixel_array
        missing = rows * columns * stored.itemsize - len(header.dataset.PixelData)
    except Exception as error:                                        # every decoder raises its own kind
        raise RefusedError("E23", _undecodable(header, error)) from error
    if stored.shape != (rows, columns):
        raise RefusedError("E23", f"{header.name} decodes to {' x '.join(map(str, stored.shape))}, not to one grey "
                                  f"image of {rows} x {columns}")
    if header.syntax and not header.syntax.is_encapsulated and -missing >= columns * stored.itemsize:
        raise RefusedError("E23", f"{header.name} has more PixelData than {rows} Rows and {columns} Columns hold")
    return stored


def _refuse_another_format(header: Header) -> None:
    """Refuse pixels that are no single grey image, or whose bits lie elsewhere than DICOM allows.

    Source: PS3.5 8.1.1 (High Bit is one less than Bits Stored), PS3.3 C.8.2.1.1 (one grey sample in a CT image).
    """
    allocated = header.number("BitsAllocated")
    bits = header.number("BitsStored")
    faults = {
        "PhotometricInterpretation": header.stored("PhotometricInterpretation") not in GREY,
        "SamplesPerPixel": header.number("SamplesPerPixel") != 1,
        "NumberOfFrames": header.stored("NumberOfFrames") != "" and header.number("NumberOfFrames") != 1,
        "BitsAllocated": allocated not in (8, 16, 32), "BitsStored": bits is None or not 1 <= bits <= (allocated or 0),
        "HighBit": bits is None or header.number("HighBit") not in (None, bits - 1)}
    wrong = next((name for name, is_wrong in faults.items() if is_wrong), None)
    if wrong:
        said = header.text(wrong)[:60] or header.stored(wrong)[:60] or "missing"
        raise RefusedError("E23", f"{header.name} has {wrong} {said}, so it is no CT slice as DICOM has it; export the "
                                  "series again")


def _refuse_a_larger_codestream(header: Header, rows: int, columns: int) -> None:
    """Refuse compressed pixels that would decode to more than the header says, before a decoder makes room for them."""
    if not (header.syntax and header.syntax.is_transfer_syntax and header.syntax.is_compressed):
        return
    packed = header.dataset.PixelData
    try:
        found = codestream.size(get_frame(packed, 0, number_of_frames=1))
    except Exception:                                                 # no fragments; the decoder will say so
        found = None
    if found and found != (rows, columns):
        raise RefusedError("E23", f"{header.name} holds a compressed image of {found[0]} x {found[1]}, not of {rows} "
                                  f"Rows and {columns} Columns; export the series again")
    if found is None and len(packed) > 4 * rows * columns + MAX_OVERHEAD:
        raise RefusedError("E23", f"{header.name} holds {len(packed)} bytes of compressed pixels, more than {rows} Rows"
                                  f" and {columns} Columns can be; export the series again")


def _undecodable(header: Header, error) -> str:
    """One sentence that names the transfer syntax and the package that decodes it."""
    syntax = header.syntax
    name = header.name
    if not syntax:
        return f"{name} does not say in which transfer syntax it is written; export or copy the series again"
    if syntax.is_transfer_syntax and not syntax.is_encapsulated:
        return f"{name} ({syntax.name}) has damaged pixels ({error}); copy the file again"
    package = DECODERS.get(syntax.removeprefix("1.2.840.10008.1.2.4"))
    mend = f"`pip install {package}` decodes it" if package else "no package decodes it: export the series uncompressed"
    return f"{name} has the transfer syntax {syntax.name} ({syntax}); {mend}"


def read_crop(series: Series, i: int, centre_px) -> tuple[np.ndarray, np.ndarray]:
    """Crop of slice i around a stored pixel (column, row), and that point in mm (x, y, z).

    Rows always run to the patient's back and columns to the left, however the file stores them.

    Raises:
        RefusedError: E21, E23 as `read_hu`, E21 also for a slice without air or lung; E24 as `place_crop`.
    """
    item = series.slices[i]
    hu = read_hu(item.path)
    if hu.min() >= AIR_HU:
        raise RefusedError("E21", f"{Path(item.path).name} has no pixel below {AIR_HU} HU, where air and lung lie; it "
                                  f"holds {hu.min():.0f} to {hu.max():.0f} HU, as with a wrong RescaleIntercept")
    point = place_crop(series, i, centre_px)
    centre = np.array(centre_px, dtype=float)
    to_the_left = item.axes[0, 0]                                     # of increasing column, 1 or -1
    to_the_back = item.axes[1, 1]                                     # of increasing row
    if to_the_left < 0:
        hu = np.flip(hu, 1)
        centre[0] = hu.shape[1] - 1 - centre[0]
    if to_the_back < 0:
        hu = np.flip(hu, 0)
        centre[1] = hu.shape[0] - 1 - centre[1]
    return resample_crop(hu, item.spacing, centre), point


def place_crop(series: Series, i: int, centre_px) -> np.ndarray:
    """The point in mm (x, y, z) of a stored pixel (column, row) of slice i, by its header alone.

    Raises:
        RefusedError: E24 where more than a quarter of the crop around it lies outside the slice.
    """
    item = series.slices[i]
    _samples(item.shape, item.spacing, centre_px, PIXELS, MM_PER_PX)
    return item.origin + item.spacing * (np.array(centre_px, dtype=float) @ item.axes)


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
    of_columns, of_rows = _samples(hu_slice.shape, spacing_mm, centre_px, pixels, mm)
    x_low, x_part, x_inside = of_columns
    y_low, y_part, y_inside = of_rows
    y_high = np.minimum(y_low + 1, hu_slice.shape[0] - 1)
    x_high = np.minimum(x_low + 1, hu_slice.shape[1] - 1)
    near = hu_slice[y_low].astype(np.float32).clip(HU_LOW, HU_HIGH)                       # (pixels, W)
    far = hu_slice[y_high].astype(np.float32).clip(HU_LOW, HU_HIGH)
    rows = near + y_part[:, None] * (far - near)
    crop = rows[:, x_low] + x_part * (rows[:, x_high] - rows[:, x_low])                   # (pixels, pixels)
    crop[~(y_inside[:, None] & x_inside)] = HU_LOW
    return np.rint(crop).astype(np.int16)


def _samples(shape, spacing_mm, centre_px, pixels, mm) -> tuple[tuple, tuple]:
    """`_sample` of the columns and of the rows of a slice (H, W); a crop mostly outside it is refused."""
    of_columns = _sample(shape[1], centre_px[0], mm / spacing_mm, pixels)
    of_rows = _sample(shape[0], centre_px[1], mm / spacing_mm, pixels)
    padding = 1 - of_columns[2].mean() * of_rows[2].mean()
    if padding > MAX_PADDING:
        where = f"pixel ({centre_px[0]:.0f}, {centre_px[1]:.0f})"
        raise RefusedError("E24", f"{padding:.0%} of the crop around {where} lies outside the slice; at most 25 % may")
    return of_columns, of_rows


def _sample(n, centre, step, pixels):
    """Lower neighbour, weight of the upper one, and whether the sample lies inside an axis of n pixels."""
    at = centre + (np.arange(pixels) - (pixels - 1) / 2) * step
    low = np.clip(np.floor(at), 0, n - 1).astype(int)
    part = np.clip(at - low, 0, 1).astype(np.float32)
    inside = (at >= -0.5) & (at <= n - 0.5)
    return low, part, inside
