"""What AutoRad-Lung sees of a nodule: the square of twice its equivalent diameter, so that its size is hidden."""

import math

import numpy as np
import torch
from PIL import Image

from namd.data.images import AUGMENTATIONS, augment, window
from namd.ground.errors import UserError

WINDOW_HU = (-1000, 400)
DIAMETERS = 2                       # sides of the square, in equivalent diameters


def equivalent_diameter(mask) -> float:
    """Diameter of the disc that has the area of `mask`, in its pixels: 2 sqrt(A / pi).

    Args:
        mask: (S, S) bool, the nodule in the slice.

    Raises:
        UserError: the mask is empty.

    Source: the paper crops by the equivalent diameter; that it is the slice's, not the volume's, is ours.
    """
    area = int(np.count_nonzero(mask))
    if not area:
        raise UserError("A nodule's mask is empty, so it has no diameter to crop by: leave this nodule out, or give "
                        "the mask of a slice in which it is seen.")
    return 2 * math.sqrt(area / math.pi)


def cut(hu, centre, side: float, size: int) -> np.ndarray:
    """A square of an image as a model sees it: (size, size) float32 in [-1, 1], by bicubic resampling.

    Args:
        hu: (S, S) HU; centre: (x, y), 0 is the centre of the first pixel; side: of the square, in pixels, > 0.
        size: pixels of the result; where that is fewer, the image is smoothed before it is sampled.

    Source: bicubic as AIMv2's own processor does it (Pillow); beyond the image its border goes on, which is ours.
    """
    seen = window(hu, *WINDOW_HU)
    left = centre[0] + .5 - side / 2                # Pillow counts from the edge of the first pixel
    top = centre[1] + .5 - side / 2
    beyond = max(-left, -top, left + side - seen.shape[1], top + side - seen.shape[0], 0)
    margin = math.ceil(beyond)
    padded = Image.fromarray(np.pad(seen, margin, "edge"))
    box = (left + margin, top + margin, left + margin + side, top + margin + side)
    return np.asarray(padded.resize((size, size), Image.Resampling.BICUBIC, box=box)).clip(-1, 1)


def crop(hu, mask, size: int) -> np.ndarray:
    """The nodule in the square of twice its equivalent diameter: (size, size) float32 in [-1, 1].

    Args:
        hu: (S, S) HU, the middle slice; mask: (S, S) bool, the nodule in it, with all its parts; size: pixels.

    Raises:
        UserError: the mask is empty.

    Source: the paper's input ("twice the diameter"); window [-1000, 400] HU, its middle the mask's centroid: ours.
    """
    side = DIAMETERS * equivalent_diameter(mask)
    y, x = np.nonzero(mask)
    return cut(hu, (x.mean(), y.mean()), side, size)


def crops(hu, masks, size: int) -> torch.Tensor:
    """`crop` of N nodules: (N, 1, size, size) float32 in [-1, 1].

    Args:
        hu: (N, S, S) HU; masks: (N, S, S) bool.
    """
    return torch.from_numpy(np.stack([crop(*pair, size) for pair in zip(hu, masks, strict=True)])).unsqueeze(1)


def symmetries(x, n: int = AUGMENTATIONS["square"]) -> torch.Tensor:
    """Images (N, 1, S, S) in the first n of the square's eight symmetries, one of them as they are: (n, N, 1, S, S).

    Source: ours, because they need no interpolation.
    """
    return torch.stack([torch.from_numpy(augment(x.numpy(), "square", k)) for k in range(n)])
