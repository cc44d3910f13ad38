"""Measures of quality that need no more than the image: Tenengrad and gradient entropy.

References
----------
Krotkov E. Focusing. Int J Comput Vis 1988;1:223-237 (Tenengrad). McGee KP, et al. Image metric-based
correction (autocorrection) of motion effects: evaluation of image metrics. J Magn Reson Imaging
2000;11:174-181 (gradient entropy).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.ndimage import sobel

from csiq.errors import ShapeError

#: Half the edge of the cube that these measures see, mm.
HALF_EDGE = 50.0
_SOBEL = 32.0  # of a three-dimensional Sobel filter over a ramp that rises by 1 a voxel
Voxels = tuple[float, float, float]


def tenengrad(volume: np.ndarray, voxel_size: Voxels = (1.0, 1.0, 1.0)) -> float:
    """Return the mean squared gradient over the squared mean signal, 1 / mm^2.

    Parameters
    ----------
    volume : real array, (z, y, x)
    voxel_size : (float, float, float)
        mm.

    Returns
    -------
    float
        NaN of a blank volume.
    """
    x = _checked(volume)
    inner = (slice(1, -1),) * 3
    slopes = [sobel(x, axis)[inner] / (_SOBEL * size) for axis, size in enumerate(voxel_size)]
    mean = x[inner].mean()
    return float(sum((slope**2).mean() for slope in slopes) / mean**2) if mean > 0 else float("nan")


def gradient_entropy(volume: np.ndarray, voxel_size: Voxels = (1.0, 1.0, 1.0)) -> float:
    """Return the entropy of the gradient's magnitude over voxels, over its largest value.

    ``-sum p ln p / ln N`` with ``p`` a voxel's share of the sum of all N magnitudes, of differences between
    neighbours. 0 if one voxel has all; sharp and empty images have little.

    Parameters
    ----------
    volume : real array, (z, y, x)
    voxel_size : (float, float, float)
        mm.

    Returns
    -------
    float
        0 to 1, NaN of a constant volume.
    """
    x = _checked(volume)
    first = (slice(0, -1),) * 3
    steps = [np.diff(x, axis=axis) / size for axis, size in enumerate(voxel_size)]
    magnitude = np.sqrt(sum(step[tuple(slice(0, n - 1) for n in x.shape)] ** 2 for step in steps))
    total = magnitude.sum()
    if not total > 0:
        return float("nan")
    share = magnitude[magnitude > 0] / total
    return float(-(share * np.log(share)).sum() / np.log(x[first].size))


def central_cube(volume: Any, voxel_size: Voxels, half_edge: float = HALF_EDGE) -> np.ndarray:
    """Return the cube of a half edge (mm) in the middle of a volume, or as much as there is of it."""
    cut = []
    for n, size in zip(volume.shape, voxel_size, strict=True):
        half = max(round(half_edge / size), 1)
        cut.append(slice(max(n // 2 - half, 0), n // 2 + half))
    return np.asarray(volume[tuple(cut)], dtype=np.float32)


def _checked(volume: np.ndarray) -> np.ndarray:
    x = np.asarray(volume, dtype=np.float64)
    if x.ndim != 3 or min(x.shape) < 3:
        raise ShapeError(f"expected a volume of at least 3 voxels a side, got {x.shape}")
    return x


#: Measures that need no more than the image.
BLIND: Mapping[str, Callable[[np.ndarray, Voxels], float]] = {
    "tenengrad": tenengrad,
    "gradient_entropy": gradient_entropy,
}
