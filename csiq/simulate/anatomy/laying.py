"""Curves laid on the heart: vessels that run on its surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from csiq.simulate.anatomy.raster import Packed, distances
from csiq.simulate.anatomy.shapes import smooth_curve

_STEP = 1.5  # mm between the points of a curve
_RIDE = 5.0  # mm over which a vessel bridges the groove between two walls
_ROUNDS = 14


def laid_on(
    walls: Packed, knots: np.ndarray, height: Callable[[np.ndarray], np.ndarray], free: float = 0.0
) -> np.ndarray:
    """Return a curve through knots, laid on walls.

    Points are pushed along the walls' normal, then smoothed along the curve, which lets it bridge grooves;
    the last rounds only push.

    Parameters
    ----------
    walls : Packed
    knots : float array, (n, 3)
        mm, z y x.
    height : function
        Of the axis over the walls in mm, at a share (0 to 1) of the curve's length.
    free : float
        So many mm at the beginning keep their place more than the rest.

    Returns
    -------
    float64 array, (m, 3)
        About 1.5 mm apart.
    """
    from scipy.ndimage import gaussian_filter1d

    points = smooth_curve(knots, _STEP)
    for turn in range(_ROUNDS):
        along = lengths_along(points)
        hold = np.clip(along / max(free, 1e-6), 0, 1)[:, None]
        gap, normal = _height_and_normal(walls, points)
        points = points + hold * (height(along / along[-1]) - gap)[:, None] * normal
        if turn < _ROUNDS - 3:
            smooth = gaussian_filter1d(points, 2.6, axis=0, mode="nearest")
            smooth[[0, -1]] = points[[0, -1]]
            points = smooth
        if turn in (_ROUNDS // 2, _ROUNDS - 4):
            points = spaced(points)
    return spaced(points)


def spaced(points: np.ndarray) -> np.ndarray:
    """Return a curve with its points evenly spaced, about 1.5 mm apart."""
    along = lengths_along(points)
    count = max(round(along[-1] / _STEP) + 1, 3)
    places = np.linspace(0, along[-1], count)
    return np.stack([np.interp(places, along, points[:, axis]) for axis in range(3)], axis=1)


def lengths_along(points: np.ndarray) -> np.ndarray:
    """Return the length of a curve up to each of its points, mm."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def melted(gaps: np.ndarray, ride: float = _RIDE) -> np.ndarray:
    """Return the distance to the union of walls, their grooves filled over ``ride`` mm."""
    total = gaps[0]
    for gap in gaps[1:]:
        overlap = np.maximum(ride - np.abs(total - gap), 0) / ride
        total = np.minimum(total, gap) - overlap**2 * ride / 4
    return np.asarray(total)


def _height_and_normal(walls: Packed, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of points to the walls, and the way out."""
    steps = 0.4 * np.vstack([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    probes = (points[None] + steps[:, None]).reshape(-1, 3)
    gap = melted(distances(walls, probes)).reshape(7, -1)
    slope = (gap[1:4] - gap[4:7]).T
    return gap[0], slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
