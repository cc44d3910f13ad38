"""How much an image looks like its truth within the heart: SSIM and HaarPSI, which no grade was trained on.

Both want grey values from 0 to 255. The truth is scaled so that the 99.5th percentile of its heart is 255;
the image by the factor that gives its blood the mean signal of the truth's; both are cut at 0 and 255. No
offset is taken off: the noise floor of a magnitude image is a fault of it. Slices are axial.

References
----------
Wang Z, Bovik AC, Sheikh HR, Simoncelli EP. Image quality assessment: from error visibility to structural
similarity. IEEE Trans Image Process 2004;13:600-612.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from csiq.errors import ShapeError
from csiq.quality.features import HeartTruth, QualityError
from csiq.trust.haarpsi import haarpsi

#: Largest grey value, and the percentile of the truth's heart that gets it.
TOP, BRIGHT = 255.0, 99.5
_K1, _K2, _SIGMA, _HALF = 0.01, 0.03, 1.5, 5
_MARGIN = 16  # pixels round the heart: windows and coefficients reach no further


@dataclass(frozen=True)
class Similarity:
    """How much the heart of an image looks like that of its truth; 1 is equal.

    Attributes
    ----------
    haarpsi, ssim : float
    """

    haarpsi: float
    ssim: float


def similarity(image: np.ndarray, truth: HeartTruth) -> Similarity:
    """Compare an image with its truth within the heart, axial slice by axial slice.

    Parameters
    ----------
    image : real or complex array, (z, y, x)
        On the truth's voxels.
    truth : HeartTruth

    Raises
    ------
    ShapeError
        If the shapes differ.
    QualityError
        If the image has no signal in its blood, or is not finite.
    """
    grey, expected = grey_values(image, truth)
    box = _box(truth.heart)
    expected, grey, heart = expected[box], grey[box], truth.heart[box]
    return Similarity(haarpsi(expected, grey, mask=heart), float(ssim_map(expected, grey)[heart].mean()))


def grey_values(image: np.ndarray, truth: HeartTruth) -> tuple[np.ndarray, np.ndarray]:
    """Return image and truth as grey values from 0 to 255, float32; see the module for the rule."""
    if image.shape != truth.volume.shape:
        raise ShapeError(f"image {image.shape} and truth {truth.volume.shape} differ")
    shown, expected = np.abs(image), np.abs(truth.volume)
    blood = float(shown[truth.blood].mean(dtype=np.float64))
    if not (np.isfinite(shown).all() and blood > 0):
        raise QualityError("has no signal in the blood, or is not finite", field="image")
    factor = TOP / float(np.percentile(expected[truth.heart], BRIGHT))
    match = factor * float(expected[truth.blood].mean(dtype=np.float64)) / blood
    grey = np.clip(shown * np.float32(match), 0, TOP).astype(np.float32)
    return grey, np.clip(expected * np.float32(factor), 0, TOP).astype(np.float32)


def ssim_map(reference: np.ndarray, image: np.ndarray, *, top: float = TOP) -> np.ndarray:
    """Return the structural similarity round each pixel.

    Windows are Gaussian, 11 x 11, of SD 1.5 pixels; K1 = 0.01, K2 = 0.03, as published. Of a volume each
    slice is looked at by itself. Images are mirrored at their borders.

    Parameters
    ----------
    reference, image : real arrays, (..., y, x)
    top : float
        Range of the grey values.

    Returns
    -------
    float64 array, (..., y, x)

    Raises
    ------
    ShapeError
        If shapes differ.
    """
    a, b = np.asarray(reference, np.float64), np.asarray(image, np.float64)
    if a.shape != b.shape or a.ndim < 2:
        raise ShapeError(f"expected two images of one shape, got {a.shape} and {b.shape}")
    mean_a, mean_b = _windowed(a), _windowed(b)
    var_a, var_b = _windowed(a * a) - mean_a**2, _windowed(b * b) - mean_b**2
    both = _windowed(a * b) - mean_a * mean_b
    c1, c2 = (_K1 * top) ** 2, (_K2 * top) ** 2
    alike = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return np.asarray(alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))


def ssim(reference: np.ndarray, image: np.ndarray, *, top: float = TOP) -> float:
    """Return the mean structural similarity of two images, 5 pixels at the borders left out."""
    inner = (..., slice(_HALF, -_HALF), slice(_HALF, -_HALF))
    return float(ssim_map(reference, image, top=top)[inner].mean())


def _windowed(image: np.ndarray) -> np.ndarray:
    at = np.arange(-_HALF, _HALF + 1)
    weights = np.exp(-0.5 * (at / _SIGMA) ** 2)
    weights /= weights.sum()
    return np.asarray(correlate1d(correlate1d(image, weights, axis=-2), weights, axis=-1))


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the box of a mask with a margin in the slice; HaarPSI's halving wants it to begin evenly."""
    spans = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = 0 if axis == 0 else _MARGIN
        low, high = int(there[0]) - margin, int(there[-1]) + margin + 1
        spans.append(slice(max(low - low % 2, 0), high))
    return tuple(spans)
