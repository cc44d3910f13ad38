"""The Toeplitz normal operator against pairs of NUFFTs: same problem, same threads, one run.

    python benchmarks/normal_operator.py [N] [coils]

One phase of a radial scan at the paper's sampling ratio, A^H W A of all coils; errors against a NUFFT pair in
double precision asked for 1e-9.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import finufft
import numpy as np
import sigpy
from harness import report, side_by_side

from csiq.arrays import default_threads
from csiq.nufft import Nufft
from csiq.operators import ForwardModel
from csiq.trajectory import density_compensation, golden_means_3d, radial_coord


def main(n: int = 96, n_coils: int = 8) -> None:
    rng = np.random.default_rng(0)
    shape, threads = (n, n, n), default_threads()
    coord = radial_coord(golden_means_3d(round(0.2 * np.pi / 2 * n**2 / 4)), n, 2 * n)
    dcf = density_compensation(coord)
    smaps = rng.standard_normal((n_coils, *shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    volume = rng.standard_normal((1, *shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    toeplitz = ForwardModel([coord], smaps, threads=threads).normal_operator(dcf)

    def sigpy_pair() -> np.ndarray:
        out = np.zeros(shape, np.complex64)
        for smap in smaps:
            samples = sigpy.nufft(smap * volume[0], coord) * dcf
            out += smap.conj() * sigpy.nufft_adjoint(samples.astype(np.complex64), coord, oshape=shape)
        return out

    nuffts = [Nufft(coord, shape) for _ in range(threads)]

    def finufft_pair() -> np.ndarray:
        def share(worker: int) -> np.ndarray:
            out = np.zeros(shape, np.complex64)
            for smap in smaps[worker::threads]:
                samples = nuffts[worker].forward(smap * volume[0]) * dcf
                out += smap.conj() * nuffts[worker].adjoint(samples.astype(np.complex64))
            return out

        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(share, range(threads)))

    seconds = side_by_side(
        {
            "csiq Toeplitz": lambda: toeplitz(volume),
            "finufft pair, 1e-6": finufft_pair,
            "SigPy pair, defaults": sigpy_pair,
        }
    )
    truth = exact(volume[0], smaps[:1], coord, dcf)
    one = ForwardModel([coord], smaps[:1]).normal_operator(dcf)(volume)[0]
    error = np.linalg.norm(one - truth) / np.linalg.norm(truth)
    base = seconds["csiq Toeplitz"]
    report(
        f"Normal operator, {n}^3, {n_coils} coils, one phase, {coord.shape[0]} spokes",
        ("operator", "s", "ratio"),
        [(name, f"{value:.3f}", f"{value / base:.1f}") for name, value in seconds.items()],
        f"Error of the Toeplitz operator (one coil) against double precision: {error:.1e}.",
    )


def exact(volume: np.ndarray, smaps: np.ndarray, coord: np.ndarray, dcf: np.ndarray) -> np.ndarray:
    """Return A^H W A in double precision, 1e-9."""
    n = np.array(volume.shape)
    angles = [np.ascontiguousarray(a) for a in (2 * np.pi * coord.reshape(-1, 3).astype(np.float64) / n).T]
    out = np.zeros(volume.shape, np.complex128)
    for smap in smaps.astype(np.complex128):
        samples = finufft.nufft3d2(*angles, smap * volume, eps=1e-9, isign=-1) * dcf.ravel()
        out += smap.conj() * finufft.nufft3d1(*angles, samples, volume.shape, eps=1e-9, isign=1)
    return out / np.prod(n)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
