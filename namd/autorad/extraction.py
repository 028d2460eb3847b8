"""A slice and its nodule, asked of a radiomics library: of the image itself and of its filtered images.

Two libraries share one way of asking: flash_radiomics, which comes with the package, and pyradiomics, which has to be
built.
"""

import importlib.metadata
import logging
import warnings
from functools import cache
from importlib import import_module

import numpy as np
import SimpleITK
from scipy import ndimage

from namd.data.images import MM_PER_PX
from namd.ground.errors import UserError

MODULES = {"flash_radiomics": "flash_radiomics", "pyradiomics": "radiomics"}
DECIDING = ("SimpleITK", "PyWavelets", "scipy", "numpy")        # what both compute with
OUTLINE = "shape2D"
INSIDE = ("firstorder", "glcm", "glrlm", "glszm", "ngtdm", "gldm")
BIN_HU = 25.
SIGMAS_MM = [1., 2., 3., 4., 5.]
FILTERS = {"Wavelet": {"wavelet": "coif1"}, "Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {},
           "Gradient": {}}


def versions(library: str) -> dict[str, str]:
    """{package: version} of a library and of what it computes with; errors as of `measured`."""
    _module(library, "featureextractor")
    return {name: importlib.metadata.version(name) for name in (library.replace("_", "-"), *DECIDING)}


def measured(hu, mask, filtered: bool, library: str) -> dict[str, float]:
    """{<image>_<class>_<feature>: value} of all that the library knows: grey levels of 25 HU, 2-D, kurtosis above 3.

    Args:
        hu: (H, W) float64, HU on pixels of 0.6 mm; mask: (H, W) bool over at least two rows and two columns, not all.
        filtered: whether the filtered images are measured too.
        library: `flash_radiomics`, or `pyradiomics` where it is installed.

    Raises:
        UserError: an unknown library, or one that is not installed.

    Source: ours, one image at a time: flash_radiomics 1.0.0 looks grey levels up by an array's address in memory, and
    within one call takes those of an image that is gone (in nine of ten nodules some of the 1,395 filtered values).
    """
    region = _slice(mask.astype(np.uint8))
    found = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for image, name in _images(hu, region, filtered, library):
            if not np.isfinite(SimpleITK.GetArrayViewFromImage(image)).all():
                continue                                        # a filter of a slice that is 0 everywhere
            values = _extract(image, region, name == "original", library)
            found |= {key.replace("original", name, 1): float(value) for key, value in values.items()}
    return found


def _slice(array):
    image = SimpleITK.GetImageFromArray(array[None])
    image.SetSpacing((MM_PER_PX, MM_PER_PX, 1.))
    return image


def _images(hu, region, filtered, library):
    """Yield (image, name): the slice itself, and where `filtered` says so its fifteen filtered images."""
    image = _slice(hu)
    yield image, "original"
    if filtered:
        filters = _module(library, "imageoperations")
        for kind, how in FILTERS.items():
            for answer, name, _ in getattr(filters, f"get{kind}Image")(image, region, force2D=True, **how):
                yield answer, name
        for sigma in SIGMAS_MM:
            yield _slice(laplacian(hu, sigma / MM_PER_PX)), f"log-sigma-{sigma:.0f}-0-mm-2D"
        yield _slice(local_patterns(hu)), "lbp-2D"


def _extract(image, region, with_outline, library):
    """{original_<class>_<feature>: value}; not by `execute` of flash_radiomics, which writes a file at every call."""
    extractor = _extractor(library, with_outline)
    if library == "flash_radiomics":
        return extractor.extract_from_preprocessed(extractor.preprocess_case(image, region))
    values = extractor.execute(image, region)
    values["original_firstorder_Kurtosis"] -= 3 * (values["original_firstorder_Variance"] > 0)
    return values


@cache
def _extractor(library, with_outline):
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)      # a slice has no work for two: 8 ms instead of 11
    only_here = {"backend": "cpu", "num_threads": 1} if library == "flash_radiomics" else {}
    extractor = _module(library, "featureextractor").RadiomicsFeatureExtractor(
        binWidth=BIN_HU, force2D=True, additionalInfo=False, **only_here)
    extractor.disableAllFeatures()
    for kind in (OUTLINE, *INSIDE) if with_outline else INSIDE:
        extractor.enableFeatureClassByName(kind)
    return extractor


def _module(library, part):
    """A module of the library, which is told to say nothing."""
    if library not in MODULES:
        raise UserError(f"The radiomics library is '{library}': choose one of {', '.join(MODULES)}.")
    name = MODULES[library]
    try:
        module = import_module(f"{name}.{part}")
    except ModuleNotFoundError as error:
        raise UserError(f"{library} is not installed (there is no module {error.name}): install it with pip, or take "
                        "the library flash_radiomics.") from None
    logging.getLogger(name).setLevel(logging.CRITICAL)
    return module


def laplacian(image, sigma: float) -> np.ndarray:
    """Laplacian of a Gaussian of `sigma` pixels times its square, (H, W): HU whatever the sigma, edges go on for ever.

    Source: pyradiomics' filter on a stack of equal slices; on one slice it has none, and that of flash_radiomics, which
    is not scaled, leaves one or two grey levels of 25 HU from 2 mm on.
    """
    return sigma ** 2 * ndimage.gaussian_laplace(image, sigma, mode="nearest")


def local_patterns(image) -> np.ndarray:
    """Uniform local binary pattern of each pixel, (H, W) float64: how many of 8 neighbours at distance 1 are no darker.

    It is 9 where light and dark change more than twice along the ring. Neighbours lie on a circle, between pixels by
    bilinear interpolation; outside the image is 0.

    Source: Ojala et al. 2002, Eq. 9, as scikit-image 0.26 counts it for pyradiomics, of which this would be the only
    use here: changes from the first neighbour to the last, places rounded to five digits.
    """
    around = np.pad(image, 1)
    lighter = []
    for k in range(8):
        rows, y = _between(image.shape[0], -np.sin(np.pi * k / 4))
        columns, x = _between(image.shape[1], np.cos(np.pi * k / 4))
        near, far = ((1 - x) * around[np.ix_(row, columns[0])] + x * around[np.ix_(row, columns[1])] for row in rows)
        lighter.append((1 - y[:, None]) * near + y[:, None] * far >= image)
    lighter = np.array(lighter)
    changes = (lighter[1:] != lighter[:-1]).sum(0)
    return np.where(changes <= 2, lighter.sum(0), 9.)


def _between(n, step):
    """Of n places moved by `step`: the two neighbours of each in an axis with a margin of 1, weight of the second."""
    at = np.arange(n) + round(step, 5)
    return (np.floor(at).astype(int) + 1, np.ceil(at).astype(int) + 1), at - np.floor(at)
