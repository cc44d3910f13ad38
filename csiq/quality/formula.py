"""The reference grade of a simulated image: a stated formula in place of a reader.

The truth is the same patient, in the mean position of the image's breathing phase, at the voxel size of the
image, with the coils' shading and without noise: what a perfect reconstruction would show. Within the heart
(mask M), with x the image's magnitude and t the truth:

    a = sum_M t^2 / sum_M x t                                scale, unbiased by noise
    e = RMS_M(a x - t) / SD_M(t)                             error: noise, streaks, blur
    s = a sum_E grad x . grad t / sum_E |grad t|^2           sharpness: 1 as sharp as the truth
    grade = 4 / (1 + (e / E_HALF)^4) * sqrt(clip(s / S_FULL, 0, 1))

E are the voxels of M with the strongest tenth of the truth's gradients: vessel walls, chamber borders. The
projection on the truth's gradient counts edges in their place only; noise averages out of it. The first
factor is logistic in log e: readers' scales saturate at both ends. E_HALF is the error at which half the
grade is lost; the heart's contrast is then about three times the error. The second factor is the blur that
is left to see in a clean image; a fully sampled one keeps S_FULL of the steepness.

The grade falls with more error and rises with more sharpness, is 4 for the truth itself, and depends neither
on the scale nor on the (global) phase of the image. It is relative to the truth at the same voxel size: it
says what has become of the scan, not whether its voxels were small enough.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

import numpy as np

from csiq.errors import ShapeError

#: Best grade of the scale (Piccini et al. 2020, Table 1).
BEST = 4.0
#: Error, in standard deviations of the truth, at which half the grade is lost.
E_HALF = 0.35
#: Sharpness from which no blur is seen.
S_FULL = 0.95
#: Share of the heart's voxels that counts as edges.
EDGE_SHARE = 0.10


@dataclass(frozen=True)
class Reference:
    """What the formula says of one image.

    Attributes
    ----------
    error : float
        e: RMS error over the standard deviation of the truth.
    sharpness : float
        s: steepness of the truth's edges that is left.
    """

    error: float
    sharpness: float

    @property
    def grade(self) -> float:
        """Reference grade, 0 to 4."""
        return grade_of(self.error, self.sharpness)


def grade_of(error: float, sharpness: float) -> float:
    """Return the grade of an error and a sharpness, 0 to 4.

    Parameters
    ----------
    error, sharpness : float
        e and s of the module's formula.
    """
    clean = 1.0 / (1.0 + (error / E_HALF) ** 4)
    sharp = float(np.sqrt(np.clip(sharpness / S_FULL, 0.0, 1.0)))
    return BEST * clean * sharp


def reference(image: np.ndarray, truth: np.ndarray, heart: np.ndarray) -> Reference:
    """Hold an image against the truth.

    Parameters
    ----------
    image : real or complex array, (z, y, x)
    truth : real or complex array, (z, y, x)
        The same patient in the same position, at the same voxel size.
    heart : bool array, (z, y, x)

    Raises
    ------
    ShapeError
        If the shapes differ, or the truth has no contrast in the heart.
    """
    if not image.shape == truth.shape == heart.shape:
        raise ShapeError(f"image {image.shape}, truth {truth.shape} and heart {heart.shape} differ")
    x, t = np.abs(image).astype(np.float64), np.abs(truth).astype(np.float64)
    inside_x, inside_t = x[heart], t[heart]
    contrast = float(inside_t.std()) if inside_t.size else 0.0
    if not contrast > 0:
        raise ShapeError("the truth has no finite contrast within the heart", field="heart")
    overlap = float(inside_x @ inside_t)
    if overlap == 0:
        return Reference(np.inf, 0.0)
    scale = float(inside_t @ inside_t) / overlap
    error = float(np.sqrt(np.mean((scale * inside_x - inside_t) ** 2))) / contrast
    return Reference(error, scale * _edge_projection(x, t, heart))


def _edge_projection(x: np.ndarray, t: np.ndarray, heart: np.ndarray) -> float:
    steep = np.stack([np.gradient(t, axis=axis)[heart] for axis in range(3)])
    found = np.stack([np.gradient(x, axis=axis)[heart] for axis in range(3)])
    power = np.sum(steep**2, axis=0)
    edges = power >= np.quantile(power, 1 - EDGE_SHARE)
    return float(np.sum(steep[:, edges] * found[:, edges]) / np.sum(power[edges]))


def statement() -> str:
    """Return the formula in words and symbols, for the model card."""
    lines = (__doc__ or "").strip().splitlines()
    constants = f"E_HALF = {E_HALF}, S_FULL = {S_FULL}, EDGE_SHARE = {EDGE_SHARE}"
    return "\n".join([*lines, "", constants])


def formula_sha256() -> str:
    """Return the SHA-256 of this file: a card that carries another one was trained on another formula."""
    source = resources.files("csiq.quality") / "formula.py"
    return hashlib.sha256(source.read_bytes()).hexdigest()
