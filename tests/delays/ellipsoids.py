"""Scans of ellipsoids, whose k-space is known in closed form, along a delayed trajectory."""

from __future__ import annotations

import numpy as np

from csiq.acquisition import Acquisition, Geometry
from csiq.delays import Delays
from csiq.trajectory import radial_coord

N_COILS = 4


def kspace_of(k: np.ndarray, *, flat: bool = False) -> np.ndarray:
    """Return k-space of six ellipsoids at points z y x, cycles per field of view, with weights a coil.

    The transform of an ellipsoid is 3 j1(q) / q times its volume, q = 2 pi |k a|; a flat one lies in z = 0.
    """
    out = np.zeros((N_COILS, *k.shape[:-1]), np.complex128)
    for i in range(6):
        rng = np.random.default_rng(i)
        axes, middle = rng.uniform(0.05, 0.25, 3), rng.uniform(-0.2, 0.2, 3)
        keep = np.array([0, 1, 1]) if flat else np.ones(3)
        q = 2 * np.pi * np.linalg.norm(k * axes * keep, axis=-1) + 1e-3
        shape = axes.prod() * (np.sin(q) - q * np.cos(q)) / q**3 * np.exp(-2j * np.pi * k @ (middle * keep))
        weight = 1 + 0.5 * rng.standard_normal(N_COILS) + 0.5j * rng.standard_normal(N_COILS)
        out += weight.reshape(-1, *[1] * shape.ndim) * shape
    return out


def late_scan(directions: np.ndarray, delays: Delays, *, n: int = 32, snr: float = np.inf) -> Acquisition:
    """Return a scan whose file tells the nominal trajectory; k' = k + S step, written out here anew.

    ``snr`` is that of the strongest coil's root mean square over all its samples.
    """
    flat = not directions[:, 0].any()
    coord = radial_coord(directions, n, 2 * n)
    step = directions * 0.5  # n cycles over 2 n samples
    really = coord + (step @ delays.tensor)[:, None]
    kspace = kspace_of(really, flat=flat)
    level = np.sqrt(np.mean(np.abs(kspace) ** 2, axis=(1, 2)).max() / 2) / snr
    rng = np.random.default_rng(7)
    kspace = kspace + level * (rng.standard_normal(kspace.shape) + 1j * rng.standard_normal(kspace.shape))
    n_spokes = len(directions)
    geometry = Geometry((1 if flat else n, n, n), (200.0, 200.0, 200.0))
    times = np.arange(n_spokes) * 0.003
    return Acquisition(kspace.astype(np.complex64), coord, times, np.arange(n_spokes) // 9, geometry)
