"""The compiled loops over voxels behind :mod:`csiq.solvers.total_variation`.

Voxels are summed and solved in fixed chunks, so results do not depend on the number of threads. Few
voxels are not worth waking threads for: they take the serial form of the same loop.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_CHUNK = 4096
_SERIAL = 4 * _CHUNK


def _total_variation(volumes):  # type: ignore[no-untyped-def]
    n_phases, n_voxels = volumes.shape
    n_chunks = (n_voxels + _CHUNK - 1) // _CHUNK
    sums = np.zeros(n_chunks)
    for chunk in prange(n_chunks):
        total = 0.0
        for p in range(n_phases - 1):
            for i in range(chunk * _CHUNK, min(n_voxels, (chunk + 1) * _CHUNK)):
                step = volumes[p + 1, i] - volumes[p, i]
                total += np.sqrt(np.float64(step.real) ** 2 + np.float64(step.imag) ** 2)
        sums[chunk] = total
    return np.sum(sums)


@njit(cache=True, fastmath=False)
def _to_disk(u, mu):  # type: ignore[no-untyped-def]
    size = np.sqrt(u.real * u.real + u.imag * u.imag)
    return u if size <= mu else u * (mu / size)


def _prox(volumes, mu, dual, out, gap, max_sweeps):  # type: ignore[no-untyped-def]
    n_phases, n_voxels = volumes.shape
    n_dual = n_phases - 1
    n_chunks = (n_voxels + _CHUNK - 1) // _CHUNK
    for chunk in prange(n_chunks):
        v = np.empty(n_phases, np.complex128)
        steps = np.empty(n_dual, np.complex128)
        u = np.empty(n_dual, np.complex128)
        for i in range(chunk * _CHUNK, min(n_voxels, (chunk + 1) * _CHUNK)):
            energy = 0.0
            for p in range(n_phases):
                v[p] = volumes[p, i]
                energy += v[p].real * v[p].real + v[p].imag * v[p].imag
            for j in range(n_dual):
                steps[j] = v[j + 1] - v[j]
                u[j] = _to_disk(dual[j, i], mu)
            tolerance = gap * 0.5 * energy
            for _ in range(max_sweeps):
                for j in range(n_dual):
                    want = steps[j]
                    if j > 0:
                        want += u[j - 1]
                    if j < n_dual - 1:
                        want += u[j + 1]
                    u[j] = _to_disk(want * 0.5, mu)
                if _gap(steps, u, mu) <= tolerance:
                    break
            for j in range(n_dual):
                dual[j, i] = u[j]
            for p in range(n_phases):
                x = v[p]
                if p > 0:
                    x -= u[p - 1]
                if p < n_dual:
                    x += u[p]
                out[p, i] = x


@njit(cache=True, fastmath=False)
def _gap(steps, u, mu):  # type: ignore[no-untyped-def]
    """Duality gap: sum mu |(Dx)_j| - Re(conj(u_j) (Dx)_j), with Dx = Dv - D D^H u."""
    total = 0.0
    for j in range(u.size):
        d = steps[j] - 2.0 * u[j]
        if j > 0:
            d += u[j - 1]
        if j < u.size - 1:
            d += u[j + 1]
        total += mu * np.sqrt(d.real * d.real + d.imag * d.imag) - (u[j].real * d.real + u[j].imag * d.imag)
    return total


_tv_parallel, _tv_serial = (
    njit(parallel=True, cache=True)(_total_variation),
    njit(cache=True)(_total_variation),
)
_prox_parallel, _prox_serial = njit(parallel=True, cache=True)(_prox), njit(cache=True)(_prox)


def total_variation(volumes: np.ndarray) -> float:
    """Return sum |x_(p+1) - x_p| over (n_phases, n_voxels), in double precision."""
    run = _tv_serial if volumes.shape[1] <= _SERIAL else _tv_parallel
    return float(run(volumes))


def prox(
    volumes: np.ndarray, mu: float, dual: np.ndarray, out: np.ndarray, gap: float, max_sweeps: int
) -> None:
    """Solve the dual voxel by voxel, warm-started from ``dual``; ``dual`` and ``out`` are written."""
    run = _prox_serial if volumes.shape[1] <= _SERIAL else _prox_parallel
    run(volumes, mu, dual, out, gap, max_sweeps)
