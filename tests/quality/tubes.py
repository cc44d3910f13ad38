"""Straight vessels blurred exactly: a cylinder under a Gaussian has a known profile."""

from __future__ import annotations

import numpy as np
from scipy.stats import ncx2

from csiq.quality.centreline import Vessel
from csiq.quality.features import HeartTruth

BLOOD, MUSCLE, FAT = 1.0, 0.3, 0.15
SIZE = 64


def profile(distance: np.ndarray, radius: float, sigma: float) -> np.ndarray:
    """Return how much of a Gaussian at some distances from the axis of a cylinder lies within it.

    The squared distance of a normal point in the plane follows a non-central chi-square law.
    """
    if sigma == 0:
        return (distance <= radius).astype(float)
    return np.asarray(ncx2.cdf((radius / sigma) ** 2, 2, (distance / sigma) ** 2))


def axes_of(voxel: float) -> tuple[np.ndarray, ...]:
    """Return z, y and x of the voxels, mm."""
    axis = np.arange(SIZE) * voxel
    return tuple(np.meshgrid(axis, axis, axis, indexing="ij"))


def lumen(vessel: Vessel, sigma: float, voxel: float, length: float = np.inf) -> np.ndarray:
    """Return the blurred lumen of a straight vessel, cut off after a length in mm, (z, y, x)."""
    z, y, x = axes_of(voxel)
    way = vessel.points[-1] - vessel.points[0]
    way /= np.linalg.norm(way)
    from_start = np.stack([z, y, x], axis=-1) - vessel.points[0]
    along = from_start @ way
    away = np.linalg.norm(from_start - along[..., None] * way, axis=-1)
    values = np.zeros(away.shape)
    near = away < vessel.radius[0] + 5 * sigma + 2 * voxel
    values[near] = profile(away[near], float(vessel.radius[0]), sigma)
    return values * (along <= length)


def straight(start: tuple[float, ...], end: tuple[float, ...], radius: float) -> Vessel:
    """Return a straight vessel."""
    points = np.linspace(start, end, 40)
    return Vessel(points, np.full(40, radius))


def heart_of_tubes(sigma: float, radius: float = 1.5, voxel: float = 1.0) -> HeartTruth:
    """Return two vessels in fat with a ball of blood in one of muscle, all blurred by ``sigma`` mm.

    The truth of the balls is blurred too: they are far from the vessels.
    """
    edge = (SIZE - 1) * voxel
    vessels = {
        "RCA": straight(
            (0.1 * edge, 0.15 * edge, 0.12 * edge), (0.9 * edge, 0.25 * edge, 0.2 * edge), radius
        ),
        "LAD": straight(
            (0.1 * edge, 0.85 * edge, 0.2 * edge), (0.88 * edge, 0.8 * edge, 0.33 * edge), radius
        ),
    }
    z, y, x = axes_of(voxel)
    away = np.sqrt((z - edge / 2) ** 2 + (y - edge / 2) ** 2 + (x - 0.72 * edge) ** 2)
    inner, outer = 0.11 * edge, 0.24 * edge
    soft = max(sigma, 0.4 * voxel)
    volume = FAT + (MUSCLE - FAT) / (1 + np.exp((away - outer) / soft * 1.7))
    volume += (BLOOD - MUSCLE) / (1 + np.exp((away - inner) / soft * 1.7))
    for vessel in vessels.values():
        volume += (BLOOD - FAT) * lumen(vessel, sigma, voxel)
    return HeartTruth(
        volume=volume.astype(np.float32),
        heart=np.ones(volume.shape, bool),
        blood=away < inner - 2 * voxel,
        myocardium=(away > inner + 2 * voxel) & (away < outer - 2 * voxel),
        vessels=vessels,
        voxel_size=np.full(3, voxel),
    )
