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


#: Voxels that go through a sweep together, as vectors.
_LANES = 32


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def prox(volumes, mu, dual, out, limits, start, stop):  # type: ignore[no-untyped-def]
    """Over-relaxed block coordinate ascent on the dual of voxels start .. stop; writes dual and out.

    ``limits`` are the relaxation, the relative gap and the most sweeps. A block of voxels goes on until the
    slowest is done. Rows 0 and n_phases of ``ur, ui`` stay zero: the ends have no neighbour.
    """
    omega, gap, max_sweeps = limits
    n_phases = volumes.shape[0]
    n_dual = n_phases - 1
    ur, ui = np.zeros((n_phases + 1, _LANES)), np.zeros((n_phases + 1, _LANES))
    sr, si = np.zeros((n_dual, _LANES)), np.zeros((n_dual, _LANES))
    tolerance = np.zeros(_LANES)
    for first in range(start, stop, _LANES):
        lanes = min(_LANES, stop - first)
        tolerance[:] = 0.0
        sr[:] = 0.0
        si[:] = 0.0
        ur[:] = 0.0
        ui[:] = 0.0
        for p in range(n_phases):
            for i in range(lanes):
                v = volumes[p, first + i]
                re, im = np.float64(v.real), np.float64(v.imag)
                tolerance[i] += 0.5 * gap * (re * re + im * im)
        for j in range(n_dual):
            for i in range(lanes):
                v, w, u = volumes[j, first + i], volumes[j + 1, first + i], dual[j, first + i]
                sr[j, i] = np.float64(w.real) - np.float64(v.real)
                si[j, i] = np.float64(w.imag) - np.float64(v.imag)
                factor = _into_disk(np.float64(u.real), np.float64(u.imag), mu)
                ur[j + 1, i] = u.real * factor
                ui[j + 1, i] = u.imag * factor
        for _ in range(int(max_sweeps)):
            _sweep(sr, si, ur, ui, mu, omega)
            if _within(sr, si, ur, ui, mu, tolerance):
                break
        for j in range(n_dual):
            for i in range(lanes):
                dual[j, first + i] = complex(ur[j + 1, i], ui[j + 1, i])
        for p in range(n_phases):
            for i in range(lanes):
                v = volumes[p, first + i]
                re = np.float64(v.real) - ur[p, i] + ur[p + 1, i]
                im = np.float64(v.imag) - ui[p, i] + ui[p + 1, i]
                out[p, first + i] = complex(re, im)


@njit(inline="always", error_model="numpy")
def _into_disk(re, im, mu):  # type: ignore[no-untyped-def]
    """Return the factor that brings a number into the disk of radius mu."""
    size2 = re * re + im * im
    return 1.0 if size2 <= mu * mu else mu / np.sqrt(size2)


@njit(inline="always", error_model="numpy")
def _sweep(sr, si, ur, ui, mu, omega):  # type: ignore[no-untyped-def]
    """Take each dual variable omega times as far as its own best place, and back into its disk."""
    half, keep = 0.5 * omega, 1.0 - omega
    for j in range(sr.shape[0]):
        before_r, here_r, after_r, step_r = ur[j], ur[j + 1], ur[j + 2], sr[j]
        before_i, here_i, after_i, step_i = ui[j], ui[j + 1], ui[j + 2], si[j]
        for i in range(_LANES):
            re = keep * here_r[i] + half * (step_r[i] + before_r[i] + after_r[i])
            im = keep * here_i[i] + half * (step_i[i] + before_i[i] + after_i[i])
            factor = _into_disk(re, im, mu)
            here_r[i] = re * factor
            here_i[i] = im * factor


@njit(inline="always", error_model="numpy")
def _within(sr, si, ur, ui, mu, tolerance):  # type: ignore[no-untyped-def]
    """Return whether all duality gaps, sum mu |(Dx)_j| - Re(conj(u_j) (Dx)_j), are small enough."""
    gap = np.zeros(_LANES)
    for j in range(sr.shape[0]):
        before_r, here_r, after_r, step_r = ur[j], ur[j + 1], ur[j + 2], sr[j]
        before_i, here_i, after_i, step_i = ui[j], ui[j + 1], ui[j + 2], si[j]
        for i in range(_LANES):
            re = step_r[i] - 2.0 * here_r[i] + before_r[i] + after_r[i]  # Dx = Dv - D D^H u
            im = step_i[i] - 2.0 * here_i[i] + before_i[i] + after_i[i]
            gap[i] += mu * np.sqrt(re * re + im * im) - (here_r[i] * re + here_i[i] * im)
    misses = 0
    for i in range(_LANES):
        misses += gap[i] > tolerance[i]
    return misses == 0
