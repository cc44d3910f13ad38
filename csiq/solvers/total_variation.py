"""Total variation along the phases: its value, and its exact proximal operator.

The penalty is sum |x_(p+1) - x_p| over voxels and neighbouring phases, with the modulus of the complex
difference. Splitting real and imaginary parts would be another penalty, one that changes when the image
is rotated in angle. For more than two phases the proximal operator has no closed form; its dual has one
disk constraint a difference and is solved voxel by voxel, block coordinate by block coordinate, until the
duality gap is below :data:`GAP`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from csiq.arrays import Array, default_threads, run_tasks, xp_of
from csiq.errors import ShapeError

#: Duality gap of a voxel's proximal problem, relative to 1/2 |v|^2 of that voxel. The error of x is at
#: most the root of the gap times |v|. A voxel is computed in double precision, on a GPU too.
GAP = 1e-8
#: Sweeps after which a voxel is left as it is; random 16-phase voxels need fewer than 200.
MAX_SWEEPS = 500
_CHUNK = 1 << 14


def phase_total_variation(volumes: Array, *, threads: int | None = None) -> float:
    """Return sum |x_(p+1) - x_p|, accumulated in double precision.

    Parameters
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
    threads : int, optional
        On a CPU; all cores by default. The result does not depend on it.
    """
    xp = xp_of(volumes)
    if volumes.shape[0] == 1:
        return 0.0
    if xp is not np:
        from csiq.cuda import tv

        return tv.total_variation(volumes)
    flat = np.ascontiguousarray(volumes).reshape(volumes.shape[0], -1)
    loops, chunks = _numba(), _chunks(flat.shape[1])
    sums = np.zeros(len(chunks))

    def task(number: int) -> None:
        sums[number] = loops.total_variation(flat, *chunks[number])

    run_tasks([partial(task, i) for i in range(len(chunks))], threads or default_threads())
    return float(sums.sum())


def prox_phase_tv(
    volumes: Array, mu: float, dual: Array | None = None, *, threads: int | None = None
) -> Array:
    """Return the minimiser of 1/2 ||x - v||^2 + mu sum |x_(p+1) - x_p|.

    Parameters
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        The point v.
    mu : float
        Weight, not negative.
    dual : complex64 array, (n_phases - 1, z, y, x), optional
        Dual variable; where the search starts and, changed in place, where it ended (a warm start).
    threads : int, optional
        On a CPU; all cores by default. The result does not depend on it.

    Returns
    -------
    complex64 array, (n_phases, z, y, x)

    Raises
    ------
    ShapeError
        If the dual variable has another shape.

    Notes
    -----
    With u the dual, x = v - D^H u and |u| <= mu. In one u_j the dual is a paraboloid, so its minimiser
    on the disk is the projection of ((D v)_j + u_(j-1) + u_(j+1)) / 2. Each is taken further than that, by
    :func:`relaxation`.
    """
    if volumes.shape[0] == 1:
        return volumes.copy()
    expected = (volumes.shape[0] - 1, *volumes.shape[1:])
    if dual is None:
        dual = xp_of(volumes).zeros(expected, dtype=np.complex64)
    elif dual.shape != expected:
        raise ShapeError(f"expected {expected}, got {dual.shape}", field="dual")
    if xp_of(volumes) is not np:
        from csiq.cuda import tv

        omega = relaxation(volumes.shape[0])
        return tv.prox(volumes, mu, dual, gap=GAP, max_sweeps=MAX_SWEEPS, omega=omega)
    flat = np.ascontiguousarray(volumes).reshape(volumes.shape[0], -1)
    flat_dual, out, loops = dual.reshape(dual.shape[0], -1), np.empty_like(flat), _numba()
    limits = (relaxation(volumes.shape[0]), GAP, float(MAX_SWEEPS))

    def task(start: int, stop: int) -> None:
        loops.prox(flat, float(mu), flat_dual, out, limits, start, stop)

    run_tasks([partial(task, *chunk) for chunk in _chunks(flat.shape[1])], threads or default_threads())
    return out.reshape(volumes.shape)


def relaxation(n_phases: int) -> float:
    """Return how far each dual variable is taken, 1 being its own best place.

    The best value for a chain of so many differences where no disk is in the way (Young's formula); below 2
    every step raises the dual all the same. At 4 phases it halves the sweeps.
    """
    return 2 / (1 + math.sin(math.pi / n_phases))


def _chunks(n_voxels: int) -> list[tuple[int, int]]:
    """Return ranges of voxels of a fixed size: sums do not depend on who adds them up."""
    return [(start, min(start + _CHUNK, n_voxels)) for start in range(0, n_voxels, _CHUNK)]


def _numba() -> Any:
    # compiled on first use: importing csiq must not wait for numba
    from csiq.solvers import _tv_numba

    return _tv_numba
