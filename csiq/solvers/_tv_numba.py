"""The compiled loops over voxels behind :mod:`csiq.solvers.total_variation`.

They take a range of voxels and release the interpreter, so that plain threads can share the work: no OpenMP
pool that spins while the FFTs run, and none that a later fork could hang on.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def total_variation(volumes, start, stop):  # type: ignore[no-untyped-def]
    """Return sum |x_(p+1) - x_p| over voxels start .. stop of (n_phases, n_voxels), in double precision."""
    total = 0.0
    for p in range(volumes.shape[0] - 1):
        for i in range(start, stop):
            step = volumes[p + 1, i] - volumes[p, i]
            total += np.sqrt(np.float64(step.real) ** 2 + np.float64(step.imag) ** 2)
    return total


@njit(cache=True, nogil=True)
def _to_disk(u, mu):  # type: ignore[no-untyped-def]
    size = np.sqrt(u.real * u.real + u.imag * u.imag)
    return u if size <= mu else u * (mu / size)


@njit(cache=True, nogil=True)
def prox(volumes, mu, dual, out, gap, max_sweeps, start, stop):  # type: ignore[no-untyped-def]
    """Block coordinate ascent on the dual of voxels start .. stop, warm-started; writes dual and out."""
    n_phases = volumes.shape[0]
    n_dual = n_phases - 1
    v = np.empty(n_phases, np.complex128)
    steps = np.empty(n_dual, np.complex128)
    u = np.empty(n_dual, np.complex128)
    for i in range(start, stop):
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


@njit(cache=True, nogil=True)
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
