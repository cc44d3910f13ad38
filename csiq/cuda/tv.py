"""Total variation along the phases on a GPU: its value and its exact proximal operator, a kernel each.

See :mod:`csiq.solvers.total_variation` for what they compute; that module calls these for CuPy arrays.
"""

from __future__ import annotations

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.cuda import kernels

#: Threads that add up a sum: a fixed number, so the sum has a fixed order.
_N_SUMS = 1 << 16


def prox(volumes: Array, mu: float, dual: Array, *, gap: float, max_sweeps: int, omega: float = 1.0) -> Array:
    """Return the proximal point; each voxel's dual is searched by one thread, in double precision.

    Parameters
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        At least two phases.
    mu : float
    dual : complex64 array, (n_phases - 1, z, y, x)
        Where the search starts; changed in place to where it ended.
    gap : float
        Duality gap at which a voxel is done, relative to 1/2 |v|^2 of that voxel.
    max_sweeps : int
    omega : float
        Relaxation, below 2.

    Returns
    -------
    complex64 array, (n_phases, z, y, x)
    """
    xp = xp_of(volumes)
    volumes = xp.ascontiguousarray(volumes)
    flat_dual = xp.ascontiguousarray(dual)
    out, n_voxels = xp.empty_like(volumes), volumes[0].size
    numbers = (np.int64(n_voxels), np.float64(mu), np.float64(gap), max_sweeps, np.float64(omega))
    arguments = (volumes, flat_dual, out, *numbers)
    kernels.launch_flat(kernels.kernel("tv", "prox", f"N_PHASES={len(volumes)}"), n_voxels, arguments)
    if flat_dual is not dual:
        dual[...] = flat_dual
    return out


def total_variation(volumes: Array) -> float:
    """Return sum |x_(p+1) - x_p|, accumulated in double precision.

    Parameters
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        At least two phases.
    """
    xp = xp_of(volumes)
    volumes = xp.ascontiguousarray(volumes)
    n_voxels = volumes[0].size
    sums = xp.empty(min(_N_SUMS, n_voxels), dtype=np.float64)
    function = kernels.kernel("tv", "total_variation", f"N_PHASES={len(volumes)}")
    kernels.launch_flat(function, sums.size, (volumes, sums, np.int64(n_voxels), sums.size))
    return float(sums.sum())
