"""What a model sees of a stored crop: its size, its window, its augmentations."""

import numpy as np
from scipy import ndimage

from namd.ground.errors import UserError

PIXELS = 128                                        # side of a stored crop
MM_PER_PX = 0.6
HU_LOW = -1024
HU_HIGH = 3071
AUGMENTATIONS = {"square": 8, "rotations": 5}
ROTATIONS = (0, 45, 90, 135, 180)                   # degrees, paper App. B


def window(hu, low, high):
    """HU to [-1, 1]: low and below is -1, high and above is 1; float32, any shape."""
    return np.clip((np.asarray(hu, dtype=np.float32) - low) * (2 / (high - low)) - 1, -1, 1).astype(np.float32)


def centre_crop(x, size: int):
    """The middle (..., size, size) of (..., H, W), with H and W even distances larger."""
    top = (x.shape[-2] - size) // 2
    left = (x.shape[-1] - size) // 2
    return x[..., top:top + size, left:left + size]


def augment(hu, kind: str, k: int):
    """Augmentation k of crops: (N, H, W) int16 HU in, the same out; k = 0 is the identity.

    Args:
        hu: the stored 128 px crops, wide enough to turn by 45 degrees without empty corners in the central 64 px.
        kind: `square`, the 8 symmetries of the square, or `rotations`, by 0, 45, 90, 135 and 180 degrees.

    Source: paper App. B (rotations); the square's symmetries are ours, because they need no interpolation.
    """
    if kind not in AUGMENTATIONS or not 0 <= k < AUGMENTATIONS[kind]:
        raise UserError(f"augment: '{kind}' number {k} is unknown; use square (0 to 7) or rotations (0 to 4)")
    if kind == "square":
        turned = np.rot90(hu, k % 4, axes=(-2, -1))
        return np.ascontiguousarray(turned[..., ::-1] if k >= 4 else turned)
    if ROTATIONS[k] % 90 == 0:
        return np.ascontiguousarray(np.rot90(hu, ROTATIONS[k] // 90, axes=(-2, -1)))
    return ndimage.rotate(hu, ROTATIONS[k], axes=(-1, -2), reshape=False, order=1, cval=HU_LOW)
