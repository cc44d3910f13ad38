"""The time of a reconstruction: a few parts of it timed for an instant, the rest by the laws of its cost.

A convolution costs N^3 log N, and there is one for each phase and coil; the solver's own arithmetic is that
of a fixed number of passes over its volumes; a grade always costs the same, 648 patches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from csiq.arrays import run_tasks
from csiq.footprint import Sizes

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor

#: Whole passes of an update (c = a - b, one thread), besides operator and proximal step.
_PASSES = 14
#: An adjoint NUFFT without its spreading, over a convolution: the doubled grid once instead of twice.
_ADJOINT = 0.7
#: Edge of the volumes that are timed.
_SMALL = 48


def seconds_of_parts(sizes: Sizes, grader: Assessor | None) -> dict[str, float]:
    """Return the seconds of the parts of an iteration on the CPU, by name.

    Parameters
    ----------
    sizes : Sizes
    grader : Assessor, optional
        Without one there is no grading.
    """
    convolutions = sizes.n_phases * sizes.n_coils * seconds_of_convolution(sizes.shape, _workers(sizes))
    parts = {"convolutions": convolutions, "solver": _solver_seconds(sizes)}
    if grader is not None:
        volume = np.ones((32, 32, 32), np.complex64)
        parts["grading"] = sizes.n_phases * _best(lambda: grader.grade(volume, (6.5, 6.5, 6.5)), 2)
    return parts


def setup_seconds(sizes: Sizes) -> float:
    """Return the seconds of gridding, kernels and the step length: what comes before iteration 1."""
    n, threads = sizes.n_phases, min(sizes.threads, sizes.n_phases)
    convolution = seconds_of_convolution(sizes.shape, _workers(sizes))
    adjoint = _ADJOINT * convolution + _seconds_of_sample() * sizes.n_samples / n / _workers(sizes)
    # the lags of a kernel come in blocks: two for each axis but the last
    blocks = math.prod(2 if n > 1 else 1 for n in sizes.shape[:2])
    made = n * ((sizes.n_coils + blocks) * adjoint + convolution) * _workers(sizes) / threads
    # the first image's cost, and Lanczos steps on one phase
    return made + (n + _lanczos_steps()) * sizes.n_coils * convolution


def _workers(sizes: Sizes) -> int:
    return min(sizes.threads, sizes.n_phases * sizes.n_coils)


def _lanczos_steps() -> int:
    from csiq.solvers.pogm import _LANCZOS_STEPS

    return _LANCZOS_STEPS


def seconds_of_convolution(shape: tuple[int, ...], workers: int) -> float:
    """Return the seconds that one Toeplitz convolution of many adds, from smaller ones in all threads."""
    from csiq.convolution import sum_of_coils

    small = tuple(min(n, _SMALL) if shape[0] > 1 else min(n, 128) for n in shape)
    volume = np.ones(small, np.complex64)
    smaps = np.ones((1, *small), np.complex64)
    kernel = np.ones((2 * small[0] if small[0] > 1 else 1, 4, *small[1:]), np.float32)

    def convolve() -> None:
        sum_of_coils(volume, smaps, kernel)

    seconds = _best(lambda: run_tasks([convolve] * workers, workers), 3) / workers
    work = [math.prod(s) * math.log2(2 * max(s)) for s in (shape, small)]
    return seconds * work[0] / work[1]


def _solver_seconds(sizes: Sizes) -> float:
    """Passes over the volumes, and the proximal step, which threads share."""
    from csiq.solvers.total_variation import prox_phase_tv

    # new memory is a part of a pass, for arrays that are larger than what the C library keeps
    array = np.ones(min(sizes.volumes // 8, 1 << 22), np.complex64)
    one_pass = _best(lambda: array - array, 3) / array.nbytes
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((sizes.n_phases, 32, 32, 32, 2), np.float32).view(np.complex64)[..., 0]
    prox = _best(lambda: prox_phase_tv(noise, 0.1, threads=1), 2) / noise.nbytes
    return sizes.volumes * (_PASSES * one_pass + prox / sizes.threads)


def _seconds_of_sample() -> float:
    """Return the seconds that spreading one sample takes: those of many on a small grid."""
    from csiq.nufft import Nufft

    rng = np.random.default_rng(0)
    coord = rng.uniform(-8, 8, (20_000, 3)).astype(np.float32)
    samples = np.ones(20_000, np.complex64)
    nufft = Nufft(coord, (16, 16, 16))
    return _best(lambda: nufft.adjoint(samples), 2) / len(samples)


def _best(task: Callable[[], object], repeats: int) -> float:
    """Return the shortest of some repeats, after one that compiles and loads."""
    task()
    best = math.inf
    for _ in range(repeats):
        started = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - started)
    return best
