"""HaarPSI: how alike two images look, from the Haar wavelets of both.

At each pixel the coefficients of the two finer of three scales are compared, in either direction; the
coarsest says how much that pixel counts. The mean is taken behind a logistic curve of steepness ``ALPHA``:

    s = mean over the two finer scales of (2 a b + C) / (a^2 + b^2 + C),   a, b = absolute coefficients
    HaarPSI = (l^-1(sum w l(s) / sum w))^2,  l(s) = 1 / (1 + exp(-alpha s)),  w = max of the coarsest a, b

Constants are the paper's, for grey values of 0 to 255. An image is first averaged over 2 x 2 pixels, and
every second row and column kept: the usual distance from which it is looked at.

References
----------
Reisenhofer R, Bosse S, Kutyniok G, Wiegand T. A Haar wavelet-based perceptual similarity index for image
quality assessment. Signal Process Image Commun 2018;61:33-43.
"""

from __future__ import annotations

import numpy as np

from csiq.errors import ShapeError

#: Of the paper: what keeps small coefficients from counting, and the steepness of the logistic curve.
C, ALPHA = 30.0, 4.2
_SCALES = 3


def haarpsi(
    reference: np.ndarray, image: np.ndarray, *, mask: np.ndarray | None = None, subsample: bool = True
) -> float:
    """Return the HaarPSI of an image, or of the slices of a volume together.

    Parameters
    ----------
    reference, image : real arrays, (..., y, x)
        Grey values from 0 to 255. Of a volume each slice is looked at by itself; all their pixels share one
        weighted mean.
    mask : bool array, same shape, optional
        Pixels that count.
    subsample : bool
        Whether images are halved first, as in the paper.

    Returns
    -------
    float
        0 to 1; 1 for equal images, and where there is nothing in either. NaN if nothing counts.

    Raises
    ------
    ShapeError
        If shapes differ.
    """
    one, other = np.asarray(reference, np.float64), np.asarray(image, np.float64)
    if one.shape != other.shape or one.ndim < 2:
        raise ShapeError(f"expected two images of one shape, got {one.shape} and {other.shape}")
    counts = np.ones(one.shape, bool) if mask is None else np.asarray(mask, bool)
    if counts.shape != one.shape:
        raise ShapeError(f"is {counts.shape}, the images {one.shape}", field="mask")
    if subsample:
        one, other, counts = _halved(one), _halved(other), counts[..., ::2, ::2]
    return _pooled(*_maps(one, other), counts)


def _maps(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return local similarities and weights, (2, ..., y, x): down the columns, along the rows."""
    similar, weights = [], []
    for axis in (-2, -1):
        *fine, coarse = (
            (np.abs(_haar(one, scale, axis)), np.abs(_haar(other, scale, axis)))
            for scale in range(1, _SCALES + 1)
        )
        similar.append(np.mean([(2 * a * b + C) / (a * a + b * b + C) for a, b in fine], axis=0))
        weights.append(np.maximum(*coarse))
    return np.stack(similar), np.stack(weights)


def _pooled(similar: np.ndarray, weights: np.ndarray, counts: np.ndarray) -> float:
    if not counts.any():
        return float("nan")
    chosen, weight = similar[:, counts], weights[:, counts]
    total = weight.sum()
    if total == 0:
        return 1.0
    mean = float((weight / (1 + np.exp(-ALPHA * chosen))).sum() / total)
    return float((np.log(mean / (1 - mean)) / ALPHA) ** 2)


def _haar(image: np.ndarray, scale: int, axis: int) -> np.ndarray:
    """Return Haar coefficients: over 2^scale pixels a side, one half less the other, by ``2^-scale``."""
    size = 2**scale
    along = _windows(image, size // 2, axis, size)
    later, earlier = (np.take(along, np.arange(n, n + image.shape[axis]), axis) for n in (0, size // 2))
    across = -1 if axis == -2 else -2
    return np.asarray(_sums(later - earlier, size, across)) / size


def _halved(image: np.ndarray) -> np.ndarray:
    mean = _sums(_sums(image, 2, -2), 2, -1) / 4
    return np.asarray(mean[..., ::2, ::2])


def _sums(image: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Return sums over ``size`` pixels along an axis, those before the middle fewer by one; zeros beyond."""
    return np.take(_windows(image, size, axis, size), np.arange(image.shape[axis]), axis)


def _windows(image: np.ndarray, size: int, axis: int, span: int) -> np.ndarray:
    """Return sums over ``size`` pixels from each on, starting ``(span - 1) // 2`` before the first."""
    pad = [(0, 0)] * image.ndim
    pad[axis] = ((span - 1) // 2 + 1, span)
    total = np.cumsum(np.pad(image, pad), axis=axis)
    n = image.shape[axis] + span - size
    first, last = (np.take(total, np.arange(k, k + n), axis) for k in (0, size))
    return np.asarray(last - first)
