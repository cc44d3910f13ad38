"""Our objective as an App of SigPy's, from SigPy's own parts: its NUFFT, its Sense, its primal-dual solver.

SigPy's ``TotalVariationRecon`` has spatial differences on a torus, so the App under it is taken, with the
phase difference for G. SigPy has 1/2 in front of the data term, none in front of the penalty: it takes half
of lamda_abs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import sigpy
import sigpy.mri
from problems import Benchmark

from csiq.operators import PhaseDifference


def forward(bench: Benchmark) -> sigpy.linop.Linop:
    """Return sqrt(W) A of all phases: (n_phases, z, y, x) -> all samples, as a vector."""
    axes = [axis for axis in range(3) if bench.shape[axis] > 1]
    modes = tuple(bench.shape[axis] for axis in axes)
    smaps = bench.smaps.reshape(-1, *modes)
    senses = [
        sigpy.mri.linop.Sense(smaps, coord=coord[..., axes], weights=bench.dcf[spokes])
        for coord, spokes in zip(bench.coords, bench.spokes, strict=True)
    ]
    stack = sigpy.linop.Diag(senses)
    return stack * sigpy.linop.Reshape(stack.ishape, (bench.n_phases, *bench.shape))


def weighted_samples(bench: Benchmark) -> np.ndarray:
    """Return sqrt(w) y in the order of :func:`forward`."""
    parts = [(np.sqrt(bench.dcf[s]) * bench.kspace[:, s]).ravel() for s in bench.spokes]
    return np.concatenate(parts).astype(np.complex64)


def app(bench: Benchmark, lamda_abs: float, max_iter: int, tau: float | None = None) -> sigpy.app.App:
    """Return the App; making it is its set-up.

    Parameters
    ----------
    tau : float, optional
        Primal step; by default SigPy finds it with 30 power iterations. Its dual step is 1.
    """
    linop = forward(bench)
    difference = PhaseDifference(linop.ishape)
    return sigpy.app.LinearLeastSquares(
        linop,
        weighted_samples(bench),
        G=difference,
        proxg=sigpy.prox.L1Reg(difference.oshape, lamda_abs / 2),
        max_iter=max_iter,
        tau=tau,
        sigma=None if tau is None else 1.0,
        show_pbar=False,
    )


def run(
    bench: Benchmark, lamda_abs: float, *, max_iter: int, budget: float, tau: float | None = None
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield (iteration, seconds since the start, volumes) until ``budget`` seconds are used up.

    Iteration 0 is the end of the set-up. The caller's own time between iterates is not counted.
    """
    started = time.perf_counter()
    made = app(bench, lamda_abs, max_iter, tau)
    seconds = time.perf_counter() - started
    yield 0, seconds, made.x
    for iteration in range(1, max_iter + 1):
        if seconds > budget and iteration > 3:
            return
        started = time.perf_counter()
        made.alg.update()
        seconds += time.perf_counter() - started
        yield iteration, seconds, made.x
