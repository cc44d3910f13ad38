"""The lowest cost: of our objective, and of BART's, whose total variation runs round a ring of phases.

Each program's curve is measured against the minimum of the objective that it minimises. The minima are found
here by FISTA with restart, from the best image that any program came to, independently of our solvers.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numba import njit

from csiq.arrays import default_threads, norm2, run_tasks, vdot
from csiq.solvers import Problem, phase_total_variation, prox_phase_tv

_CHUNK = 1 << 16


def cost(
    problem: Problem, volumes: np.ndarray, ring: bool, normal_volumes: np.ndarray | None = None
) -> float:
    """Return data term and total variation of volumes.

    Parameters
    ----------
    ring : bool
        Whether the last phase is tied to the first, as BART does.
    normal_volumes : complex64 array, optional
        N x, where it is known.
    """
    normal = problem.normal(volumes) if normal_volumes is None else normal_volumes
    data = vdot(volumes, normal).real - 2 * vdot(volumes, problem.rhs).real + problem.energy
    variation = phase_total_variation(volumes, threads=problem.threads)
    if ring:
        variation += phase_total_variation(volumes[[-1, 0]], threads=problem.threads)
    return data + problem.lamda_abs * variation


def lowest_cost(
    problem: Problem, start: np.ndarray, ring: bool, *, tolerance: float, max_iter: int
) -> tuple[float, np.ndarray]:
    """Return the lowest cost and where it lies.

    Parameters
    ----------
    start : complex64 array, (n_phases, z, y, x)
    tolerance : float
        Stop when ten iterations gain less than this, in units of the cost.
    """
    lipschitz = 2 * problem.largest_eigenvalue(8)
    x, nx = start.copy(), problem.normal(start)
    point, n_point, theta = x, nx, 1.0
    costs = [cost(problem, x, ring, nx)]
    best = (costs[0], x)
    dual = np.zeros((len(x) if ring else len(x) - 1, *x.shape[1:]), np.complex64)
    mu = problem.lamda_abs / lipschitz
    for _ in range(max_iter):
        target = point - np.float32(1 / lipschitz) * problem.gradient(n_point)
        new = prox_ring(target, mu, dual) if ring else prox_phase_tv(target, mu, dual)
        n_new = problem.normal(new)
        costs.append(cost(problem, new, ring, n_new))
        if costs[-1] < best[0]:
            best = (costs[-1], new)
        before, theta = theta, (1 + math.sqrt(1 + 4 * theta**2)) / 2
        momentum = np.float32((before - 1) / theta)
        if costs[-1] > costs[-2]:
            momentum, theta = np.float32(0), 1.0
        # the data term is quadratic: N of the point ahead costs no operator
        point, n_point = new + momentum * (new - x), n_new + momentum * (n_new - nx)
        x, nx = new, n_new
        if len(costs) > 10 and costs[-11] - best[0] < tolerance:
            break
    return best


def prox_ring(volumes: np.ndarray, mu: float, dual: np.ndarray) -> np.ndarray:
    """Return the minimiser of 1/2 ||x - v||^2 + mu sum |x_(p+1) - x_p| round the ring.

    Parameters
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
    dual : complex64 array, (n_phases, z, y, x)
        Where the search starts and, changed in place, where it ended.
    """
    flat, flat_dual = volumes.reshape(len(volumes), -1), dual.reshape(len(dual), -1)
    out, size = np.empty_like(flat), flat.shape[1]
    tasks = [
        partial(_prox_ring, flat, mu, flat_dual, out, start, min(start + _CHUNK, size))
        for start in range(0, size, _CHUNK)
    ]
    run_tasks(tasks, default_threads())
    return out.reshape(volumes.shape)


@njit(cache=True, nogil=True)
def _prox_ring(volumes, mu, dual, out, start, stop):  # type: ignore[no-untyped-def]
    """Block coordinate ascent on the dual, one disk constraint a difference, voxel by voxel."""
    n = volumes.shape[0]
    steps = np.empty(n, np.complex128)
    u = np.empty(n, np.complex128)
    for i in range(start, stop):
        energy = 0.0
        for p in range(n):
            steps[p] = np.complex128(volumes[(p + 1) % n, i]) - volumes[p, i]
            u[p] = dual[p, i]
            energy += abs(np.complex128(volumes[p, i])) ** 2
        for _ in range(500):
            gap = 0.0
            for p in range(n):
                want = 0.5 * (steps[p] + u[p - 1] + u[(p + 1) % n])
                u[p] = want * min(1.0, mu / max(abs(want), 1e-300))
            for p in range(n):
                d = steps[p] - 2 * u[p] + u[p - 1] + u[(p + 1) % n]
                gap += mu * abs(d) - (u[p].conjugate() * d).real
            if gap <= 1e-9 * energy:
                break
        for p in range(n):
            dual[p, i] = u[p]
            out[p, i] = np.complex128(volumes[p, i]) - u[p - 1] + u[p]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return ||a - b|| / ||b||."""
    return math.sqrt(norm2(a - b) / norm2(b))
