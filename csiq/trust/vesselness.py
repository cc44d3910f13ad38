"""Where an image shows something like a coronary artery: bright tubes of 1.5 to 5 mm round the heart.

Nothing is known but the image. The signal of blood is a high percentile round the middle; the blood pool is
the bulk as bright as that. A tube is told by the Hessian at scales that suit its diameter: the smaller of the
two curvatures across is its contrast, less what it also curves along (a blob). It counts by its share of the
blood's signal and by its contrast to noise, the SD of curvatures within the blood pool, where nothing is.

Left out are the blood pool and what is far from it; where the image is brighter still at a scale of wider
vessels; and what has lungs round it, as pulmonary vessels have and a coronary artery in its fat has not.

References
----------
Frangi AF, et al. Multiscale vessel enhancement filtering. MICCAI 1998, LNCS 1496:130-137. Sato Y, et al.
Three-dimensional multi-scale line filter for segmentation and visualization of curvilinear structures in
medical images. Med Image Anal 1998;2:143-168.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: SD of the Gaussians, mm; a tube of radius r answers best at r / sqrt 2. The last is for wider vessels.
SCALES, WIDE = (0.8, 1.2, 1.7), 2.6
#: Contrast that keeps a track going and that starts one: share of blood, and multiple of the noise.
GOES_ON, STARTS = (0.05, 4.0), (0.10, 7.0)
#: Distance from the blood pool, mm, within which there is heart.
NEAR = (0.5, 15.0)
#: Below this share of blood, without noise, there is lung; so much of what is round a vessel may be lung.
LUNG, LUNG_SHARE = 0.22, 0.25
_HALF = 76  # mm, half the box that is looked at
_POOL, _BULK, _TISSUE = 0.6, 5.0, 8.0  # share of blood; mm: what of the pool and of soft tissue is bulky
_WIDE_REACH = 2.0  # mm
_TRUNCATE = 3.0  # SD that a kernel reaches
_SHELL = (2.9, 3.7)  # mm from an axis: in the fat round an artery, in lung round a pulmonary vessel


@dataclass(frozen=True)
class Vesselness:
    """Contrast of tubes over what is needed, on voxels of 1 mm.

    Attributes
    ----------
    goes_on, starts : float32 array, (z, y, x)
        Contrast over that which keeps a track going, and over that which starts one; 0 where nothing is
        looked for.
    corner : int array, (3,)
        Voxel of the volume where the box begins.
    """

    goes_on: np.ndarray
    starts: np.ndarray
    corner: np.ndarray


def vesselness(volume: np.ndarray) -> Vesselness:
    """Return where a volume shows vessels of 1.5 to 5 mm round the heart.

    Parameters
    ----------
    volume : float array, (z, y, x)
        Magnitude on voxels of 1 mm, the heart within 76 mm of the middle.
    """
    corner = np.maximum(np.array(volume.shape) // 2 - _HALF, 0)
    box = tuple(slice(int(c), int(c) + 2 * _HALF) for c in corner)
    x = np.asarray(volume[box], dtype=np.float32)
    smooth = ndimage.gaussian_filter(x, 2.0)
    middle = tuple(slice(n // 5, n - n // 5) for n in x.shape)
    blood = float(np.percentile(smooth[middle], 95))
    empty = np.zeros(x.shape, np.float32)
    if not (np.isfinite(blood) and blood > 0):
        return Vesselness(empty, empty.copy(), corner)
    x, smooth = x / blood, smooth / blood
    pool = blood_pool(smooth)
    core = _within(pool, _BULK)
    dark = _darkness(x - smooth, core)
    goes_on, starts = _contrasts(x, _round_heart(x, pool, dark), core)
    for voxels in (_near(goes_on == -1, _WIDE_REACH), _in_lung(x, goes_on >= 1, dark)):
        goes_on[voxels] = starts[voxels] = 0
    return Vesselness(goes_on, starts, corner)


def blood_pool(smooth: np.ndarray) -> np.ndarray:
    """Return the largest bulk of blood near the middle, bool (z, y, x); blood has the value 1."""
    bright = smooth > _POOL
    bulk = _opened(bright, _BULK)
    names, count = ndimage.label(bulk)
    if count == 0:
        return np.zeros(bright.shape, bool)
    index = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(bulk, names, index)
    centres = np.array(ndimage.center_of_mass(bulk, names, index))
    away = np.linalg.norm(centres - np.array(bright.shape) / 2, axis=1)
    return np.asarray(names == index[np.argmax(sizes / (1 + (away / 30) ** 2))])


def _darkness(rest: np.ndarray, core: np.ndarray) -> float:
    """Return the mean magnitude below which there is lung: noise lifts it, and lungs most (Rice)."""
    noise = _spread(rest[core]) if core.any() else 0.0
    return float(np.sqrt(LUNG**2 + np.pi / 2 * noise**2))


def _spread(values: np.ndarray) -> float:
    """Return the SD of values without outliers."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _round_heart(x: np.ndarray, pool: np.ndarray, dark: float) -> np.ndarray:
    """Return the shell round the blood pool, as far as it is no lung."""
    if not pool.any():
        return pool
    tissue = _opened(ndimage.gaussian_filter(x, 1.0) > dark, _TISSUE, more=1.0)
    found, box = np.zeros(x.shape, bool), _box(pool, NEAR[1])
    away = ndimage.distance_transform_edt(~pool[box])
    found[box] = (away > NEAR[0]) & (away < NEAR[1]) & tissue[box]
    return found


def _contrasts(x: np.ndarray, where: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return contrast over the two thresholds; -1 in the first where a wider scale answers best."""
    goes_on, starts = np.zeros((2, *x.shape), np.float32)
    if not where.any():
        return goes_on, starts
    best, over_noise = np.zeros((2, int(where.sum())), np.float32)
    box = _box(where | core, _TRUNCATE * WIDE + 1)  # no kernel reaches farther: the same numbers
    part = x[box], where[box], core[box]
    for scale in SCALES:
        contrast, noise = _tubes(*part, scale)
        best = np.maximum(best, contrast)
        over_noise = np.maximum(over_noise, contrast / max(noise, 1e-6))
    wider, _ = _tubes(*part, WIDE)
    slim = best > wider
    for found, (share, multiple) in ((goes_on, GOES_ON), (starts, STARTS)):
        found[where] = np.where(slim, np.minimum(best / share, over_noise / multiple), 0)
    found = goes_on[where]
    found[~slim & (wider > STARTS[0])] = -1
    goes_on[where] = found
    return goes_on, starts


def _tubes(x: np.ndarray, where: np.ndarray, core: np.ndarray, scale: float) -> tuple[np.ndarray, float]:
    """Return the contrast of bright tubes, (n,), and the noise of curvatures, in the unit of the image."""
    hessian, spread = {}, []
    for i in range(3):
        for j in range(i, 3):
            order = np.bincount([i, j], minlength=3)
            curved = ndimage.gaussian_filter(x, scale, order=order, mode="nearest", truncate=_TRUNCATE)
            curved *= scale**2
            hessian[i, j] = curved[where]
            if i == j and core.any():
                spread.append(_spread(curved[core]))
    curvatures = eigenvalues(hessian)
    contrast = -curvatures[1] + np.minimum(curvatures[2], 0)
    return contrast.astype(np.float32), float(np.mean(spread)) if spread else 0.0


def eigenvalues(matrix: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
    """Return the eigenvalues of symmetric 3 x 3 matrices in rising order, (3, n).

    Parameters
    ----------
    matrix : dict
        The upper triangle: ``(i, j)`` to an array (n,).
    """
    diagonal = np.stack([matrix[i, i] for i in range(3)]).astype(np.float64)
    d, e, f = (matrix[key].astype(np.float64) for key in ((0, 1), (0, 2), (1, 2)))
    mean = diagonal.mean(axis=0)
    a, b, c = diagonal - mean
    size = np.sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6) + 1e-30
    half_det = (a * (b * c - f * f) - d * (d * c - e * f) + e * (d * f - b * e)) / (2 * size**3)
    angle = np.arccos(np.clip(half_det, -1, 1)) / 3
    last, first = (mean + 2 * size * np.cos(angle + turn) for turn in (0.0, 2 * np.pi / 3))
    return np.stack([first, 3 * mean - first - last, last])


def _in_lung(x: np.ndarray, candidates: np.ndarray, dark: float) -> np.ndarray:
    """Return which candidates have lung round them."""
    reach = np.arange(-4, 5)
    offsets = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    away = np.linalg.norm(offsets, axis=1)
    offsets = offsets[(away > _SHELL[0]) & (away < _SHELL[1])]
    found, places = np.zeros(x.shape, bool), np.argwhere(candidates)
    if len(places):
        smooth = ndimage.gaussian_filter(x, 0.7)
        shells = np.clip(places[:, None] + offsets, 0, np.array(x.shape) - 1)
        low = np.percentile(smooth[tuple(np.moveaxis(shells, -1, 0))], 100 * LUNG_SHARE, axis=1)
        found[tuple(places[low < dark].T)] = True
    return found


def _opened(mask: np.ndarray, radius: float, *, more: float = 0.0) -> np.ndarray:
    """Return what balls of a radius (mm) within a mask cover, ``more`` mm added all round."""
    return _near(_within(mask, radius), radius + more)


def _within(mask: np.ndarray, distance: float) -> np.ndarray:
    """Return what of a mask is farther than a distance (mm) from all that is not in it."""
    found, box = np.zeros(mask.shape, bool), _box(mask, 1)
    if mask.any():
        found[box] = ndimage.distance_transform_edt(mask[box]) > distance
    return found


def _near(mask: np.ndarray, distance: float) -> np.ndarray:
    """Return what is not farther than a distance (mm) from a mask."""
    found, box = np.zeros(mask.shape, bool), _box(mask, distance)
    if mask.any():
        found[box] = ndimage.distance_transform_edt(~mask[box]) <= distance
    return found


def _box(mask: np.ndarray, margin: float) -> tuple[slice, ...]:
    """Return the box that holds a mask and so much round it, as far as there are voxels."""
    spans = []
    for axis in range(mask.ndim):
        at = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        first, last = (int(at[0]), int(at[-1])) if len(at) else (0, -1)
        spans.append(slice(max(first - math.ceil(margin), 0), last + math.ceil(margin) + 1))
    return tuple(spans)
