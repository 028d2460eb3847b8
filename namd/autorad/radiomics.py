"""Radiomics of a nodule's slice: 102 numbers of the image itself, or 1,497 of it and of fifteen filtered images.

Kept are the features that pyradiomics 3.0.1 knows, 9 of the outline and 93 an image, whichever library measures them.
"""

import hashlib
from functools import cache
from itertools import chain, islice
from pathlib import Path

import numpy as np

from namd.autorad import extraction
from namd.autorad.extraction import INSIDE, OUTLINE, SIGMAS_MM
from namd.ground import keys, sources
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.reading import reading
from namd.ground.workers import count, in_order

CHUNK = 64          # nodules that a worker measures at a time, and a killed run loses
CLASSES = {
    OUTLINE: "Elongation MajorAxisLength MaximumDiameter MeshSurface MinorAxisLength Perimeter PerimeterSurfaceRatio "
             "PixelSurface Sphericity",
    "firstorder": "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum Mean "
                  "MeanAbsoluteDeviation Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness "
                  "TotalEnergy Uniformity Variance",
    "glcm": "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation DifferenceAverage "
            "DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance JointAverage JointEnergy "
            "JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares",
    "glrlm": "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
             "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis "
             "RunEntropy RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance "
             "ShortRunEmphasis ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis",
    "glszm": "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
             "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis "
             "SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
             "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance",
    "ngtdm": "Busyness Coarseness Complexity Contrast Strength",
    "gldm": "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
            "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
            "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
            "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis",
}
IMAGES = {"original": ("original",),
          "all": ("original", "wavelet-LH", "wavelet-HL", "wavelet-HH", "wavelet-LL", "square", "squareroot",
                  "logarithm", "exponential", "gradient", *(f"log-sigma-{sigma:.0f}-0-mm-2D" for sigma in SIGMAS_MM),
                  "lbp-2D")}


@cache
def names(images: str = "original") -> tuple[str, ...]:
    """Names of the features in their order, <image>_<class>_<feature>.

    Args:
        images: `original`, 102 features of the image itself, or `all`, 1,497 with those of fifteen filtered images.

    Raises:
        UserError: another word.

    Source: pyradiomics 3.0.1, whose names these are.
    """
    if images not in IMAGES:
        raise UserError(f"The radiomics images are '{images}': choose one of {', '.join(IMAGES)}.")
    inside = list(chain.from_iterable(map(_of, INSIDE)))
    found = [f"original_{name}" for name in _of(OUTLINE)]
    for image in IMAGES[images]:
        found += [f"{image}_{name}" for name in inside]
    return tuple(found)


def _of(kind):
    return [f"{kind}_{name}" for name in CLASSES[kind].split()]


def groups(images: str = "original") -> dict[str, np.ndarray]:
    """Columns of the features by what they say: `shape`, `firstorder`, `texture`; `size` is the area alone.

    Args:
        images: as in `names`; `firstorder` and `texture` are those of every image.
    """
    kinds = np.array([name.split("_")[1] for name in names(images)])
    return {"shape": np.flatnonzero(kinds == OUTLINE), "firstorder": np.flatnonzero(kinds == "firstorder"),
            "texture": np.flatnonzero((kinds != OUTLINE) & (kinds != "firstorder")),
            "size": np.array([names().index("original_shape2D_PixelSurface")])}


def features(hu, mask, images: str = "original", library: str = "flash_radiomics") -> np.ndarray:
    """Radiomics of one nodule in one slice, (F,) float64 in the order of `names`.

    Lengths are in mm; kurtosis is what exceeds 3. What a library leaves undefined is NaN, and everything is where the
    mask does not reach over two rows and two columns. A mask may touch the border, fill the slice or lie in pieces.

    Args:
        hu: (H, W) HU on pixels of 0.6 mm; mask: (H, W) bool, the nodule.
        images: as in `names`; library: `flash_radiomics`, or `pyradiomics` where it is installed.

    Raises:
        UserError: shapes that differ, HU that are not finite, or as of `names` and `extraction.measured`.

    Source: IBSI's definitions, for kurtosis too, from which pyradiomics 3.0.1 does not take the 3. The two libraries
    agree to 1e-4; only in a region of one grey level is GLCM's correlation 0 for one and 1 for the other.
    """
    wanted = names(images)
    hu = np.asarray(hu, dtype=np.float64)
    mask = np.asarray(mask, dtype=bool)
    if hu.ndim != 2 or hu.shape != mask.shape:
        raise UserError(f"Radiomics need one slice and a mask of its shape: hu is {hu.shape}, the mask {mask.shape}.")
    if not np.isfinite(hu).all():
        raise UserError("Radiomics need HU that are finite: this slice holds NaN or infinity, a stored crop does not.")
    if min(mask.any(0).sum(), mask.any(1).sum()) < 2:
        return np.full(len(wanted), np.nan)
    # A margin, for pyradiomics takes no mask without an outside.
    found = extraction.measured(np.pad(hu, 1, mode="edge"), np.pad(mask, 1), images == "all", library)
    return np.array([found.get(name, np.nan) for name in wanted])


def table(hu, masks, images: str = "original", path=None, workers: int = 1,
          library: str = "flash_radiomics") -> np.ndarray:
    """`features` of many nodules, (N, F) float64; those that the file `path` holds are not measured again.

    Args:
        hu: (N, S, S) HU; masks: (N, S, S) bool; images, library: as in `features`.
        path: where the values of each nodule are kept, after every 64; a file of other images is begun anew.
        workers: processes, 0 is one a core; the values are the same for any number.

    Raises:
        UserError: as of `features`, or `path` is not this program's; DamagedError: it cannot be read.

    Source: ours, because 1,497 numbers of 1,200 nodules take minutes, which a kill should not cost.
    """
    if len(hu) != len(masks):
        raise UserError(f"Radiomics need a mask for each slice: there are {len(hu)} slices and {len(masks)} masks.")
    n_features = len(names(images))
    recipe = _recipe(images, library)
    named = [_key(one, mask, recipe) for one, mask in zip(hu, masks, strict=True)]
    kept = _read(path, n_features)
    missing = {key: i for i, key in enumerate(named) if key not in kept}
    todo = iter(missing)
    parts = list(iter(lambda: list(islice(todo, CHUNK)), []))
    rows = [[missing[key] for key in part] for part in parts]
    jobs = ((hu[part], masks[part], images, library) for part in rows)
    for part, values in zip(parts, in_order(_measure, jobs, count(workers, len(parts))), strict=True):
        kept |= dict(zip(part, values, strict=True))
        _write(path, kept)
    return np.array([kept[key] for key in named]).reshape(-1, n_features)


def _measure(hu, masks, images, library):
    return [features(one, mask, images, library) for one, mask in zip(hu, masks, strict=True)]


def _recipe(images, library):
    """What decides the values beside a slice: this code, the images, the library and what it computes with."""
    code = [sources.digest_of(module) for module in (__name__, extraction.__name__)]
    return keys.sha(code, images, extraction.versions(library))


def _key(hu, mask, recipe):
    digest = hashlib.sha256(recipe.encode())
    digest.update(np.asarray(hu, dtype=np.float64).tobytes())
    digest.update(np.asarray(mask, dtype=bool).tobytes())
    return digest.hexdigest()


def _read(path, n_features):
    if path is None or not Path(path).exists():
        return {}
    with reading(path, "09"), np.load(path, allow_pickle=False) as file:
        values = file["values"]
        return dict(zip(file["keys"].tolist(), values, strict=True)) if values.shape[1] == n_features else {}


def _write(path, kept):
    if path is not None:
        with replacing(path) as aside, open(aside, "wb") as handle:
            np.savez(handle, keys=np.array(list(kept)), values=np.array(list(kept.values())))
