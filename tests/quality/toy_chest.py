"""A chest of a few ellipsoids: enough anatomy for descriptors to tell axes, sizes and contrasts apart."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

#: Voxels of a toy chest, mm.
VOXEL = (4.0, 4.0, 4.0)
_N = 52


def toy_chest(rng: np.random.Generator, *, fat: float = 0.25) -> np.ndarray:
    """Return a volume (52, 52, 52): body, fat around it, lungs, liver, heart; somewhat blurred and noisy."""
    z, y, x = (np.mgrid[:_N, :_N, :_N] - _N // 2) * VOXEL[0]

    def inside(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        c = np.array(centre) + rng.normal(0, 4, 3)
        r = np.array(radii) * rng.uniform(0.92, 1.08, 3)
        return ((z - c[0]) / r[0]) ** 2 + ((y - c[1]) / r[1]) ** 2 + ((x - c[2]) / r[2]) ** 2 < 1

    volume = np.where(inside((0, 15, 10), (400, 95, 150)), fat, 0.02)
    volume[inside((0, 15, 10), (400, 75, 130))] = 0.35
    for side in (-75, 85):
        volume[inside((10, 20, side), (90, 60, 45))] = 0.05
    volume[inside((-85, 10, -30), (40, 60, 90))] = 0.45
    volume[inside((0, 0, 0), (50, 45, 48))] = 0.4
    volume[inside((5, 0, 5), (35, 30, 33))] = 1.0
    blur, noise = rng.uniform(0.3, 0.8), rng.uniform(0.02, 0.08)
    return np.abs(gaussian_filter(volume, blur) + noise * rng.standard_normal(volume.shape)).astype(
        np.float32
    )


def area_under_curve(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return the chance that a distance from outside is larger than one from inside."""
    return float(np.mean(np.asarray(outside)[:, None] > np.asarray(inside)))
