"""Small problems with a known answer, and every App and Alg of SigPy on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sigpy
import sigpy.mri
import sigpy.mri.app
from sigpy import alg as algs

from csiq.operators import ForwardModel
from csiq.solvers import Problem, build_problem
from tests.helpers import complex_normal

N, N_COILS, MAX_ITER = 24, 3, 12


def truth() -> np.ndarray:
    """Return a disc with a hole and a phase, complex64 (N, N)."""
    y, x = np.mgrid[:N, :N] - N // 2
    image = (np.hypot(y, x) < 9) - 0.6 * (np.hypot(y - 2, x + 3) < 3)
    return (image * np.exp(0.03j * x)).astype(np.complex64)


def maps() -> np.ndarray:
    """Return smooth coil maps of unit root-sum-of-squares, complex64 (N_COILS, N, N)."""
    y, x = (np.mgrid[:N, :N] - N // 2) / N
    centres = [(0.6, 0.0), (-0.3, 0.5), (-0.3, -0.5)]
    each = np.array([np.exp(-((y - a) ** 2 + (x - b) ** 2) + 0.5j * (a * y + b * x)) for a, b in centres])
    return (each / np.sqrt((np.abs(each) ** 2).sum(axis=0))).astype(np.complex64)


def kspace() -> np.ndarray:
    """Return noisy k-space of which every second line outside the centre is missing."""
    rng = np.random.default_rng(7)
    full = sigpy.fft(maps() * truth(), axes=(-2, -1))
    noise = rng.standard_normal(full.shape) + 1j * rng.standard_normal(full.shape)
    mask = np.zeros((N, 1), np.float32)
    mask[::2] = mask[N // 2 - 4 : N // 2 + 4] = 1
    return ((full + 0.01 * noise) * mask).astype(np.complex64)


def closeness(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> float:
    """Return 4 for the truth, less for what differs from it: a grader that knows the answer."""
    found, expected = np.asarray(volume).reshape(-1), np.abs(truth()).reshape(-1)
    found = found * (found @ expected) / max(found @ found, 1e-12)
    return 4 * (1 - float(np.linalg.norm(found - expected) / np.linalg.norm(expected)))


def sense(**options: Any) -> Any:
    """Return a SenseRecon."""
    return sigpy.mri.app.SenseRecon(
        kspace(), maps(), lamda=0.01, **{"max_iter": MAX_ITER, "show_pbar": False, **options}
    )


def wavelet(**options: Any) -> Any:
    """Return an L1WaveletRecon with a given step: SigPy's own is drawn at random."""
    given = {"max_iter": MAX_ITER, "show_pbar": False, "alpha": 1.0, **options}
    return sigpy.mri.app.L1WaveletRecon(kspace(), maps(), 0.005, **given)


def total_variation(**options: Any) -> Any:
    """Return a TotalVariationRecon with given steps."""
    given = {"max_iter": MAX_ITER, "show_pbar": False, "tau": 0.11, "sigma": 1.0, **options}
    return sigpy.mri.app.TotalVariationRecon(kspace(), maps(), 0.005, **given)


def jsense() -> Any:
    """Return a JsenseRecon."""
    return sigpy.mri.app.JsenseRecon(
        kspace(), mps_ker_width=4, ksp_calib_width=8, max_iter=3, max_inner_iter=3, show_pbar=False
    )


def constrained() -> Any:
    """Return an L2ConstrainedMinimization."""
    forward = _forward()
    return sigpy.app.L2ConstrainedMinimization(
        forward,
        _weighted(),
        sigpy.prox.L1Reg(forward.ishape, 0.01),
        eps=0.1,
        x=forward.H(_weighted()),
        max_iter=MAX_ITER,
        tau=0.5,
        sigma=0.5,
        show_pbar=False,
    )


def _forward() -> Any:
    weights = (sigpy.rss(kspace(), axes=(0,)) > 0).astype(np.float32)
    return sigpy.mri.linop.Sense(maps(), weights=weights)


def _weighted() -> np.ndarray:
    return kspace()


def _zeros() -> np.ndarray:
    return np.zeros((N, N), np.complex64)


def conjugate_gradient() -> Any:
    """Return a ConjugateGradient on the normal equations."""
    forward = _forward()
    return algs.ConjugateGradient(forward.N, forward.H(_weighted()), _zeros(), max_iter=MAX_ITER)


def gradient_method() -> Any:
    """Return a GradientMethod, accelerated."""
    forward, x = _forward(), _zeros()
    right = forward.H(_weighted())
    return algs.GradientMethod(lambda v: forward.N(v) - right, x, 1.0, accelerate=True, max_iter=MAX_ITER)


def primal_dual() -> Any:
    """Return a PrimalDualHybridGradient."""
    forward, y = _forward(), _weighted()
    return algs.PrimalDualHybridGradient(
        sigpy.prox.L2Reg(y.shape, 1, y=-y),
        sigpy.prox.NoOp(forward.ishape),
        forward,
        forward.H,
        _zeros(),
        np.zeros_like(y),
        1.0,
        0.9,
        max_iter=MAX_ITER,
    )


def admm() -> Any:
    """Return the ADMM inside a LinearLeastSquares with a total variation."""
    return total_variation(solver="ADMM", rho=0.1).alg


def newton() -> Any:
    """Return a NewtonsMethod with conjugate gradients for the inverse."""
    forward = _forward()
    right = forward.H(_weighted())

    def inverse(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def solve(v: np.ndarray) -> np.ndarray:
            system = forward.N + 0.1 * sigpy.linop.Identity(forward.ishape)
            inner = algs.ConjugateGradient(system, v, _zeros(), max_iter=3)
            while not inner.done():
                inner.update()
            return inner.x

        return solve

    return algs.NewtonsMethod(lambda x: forward.N(x) - right, inverse, _zeros(), max_iter=MAX_ITER)


def augmented_lagrangian() -> Any:
    """Return an AugmentedLagrangianMethod without constraints: steps of steepest descent."""
    forward, x = _forward(), _zeros()
    right = forward.H(_weighted())

    def descend() -> None:
        x[...] -= forward.N(x) - right

    none = np.zeros(1)
    return algs.AugmentedLagrangianMethod(descend, None, None, x, none, none, 1, max_iter=MAX_ITER)


def gerchberg_saxton() -> Any:
    """Return a GerchbergSaxton: the image from the magnitude of its k-space alone."""
    forward = _forward()
    start = forward.H(_weighted())
    return algs.GerchbergSaxton(forward, np.abs(_weighted()), start, max_iter=MAX_ITER)


def sdmm() -> Any:
    """Return an SDMM, whose variable is a column."""
    stack = sigpy.linop.Reshape((N * N, 1), (N, N))
    forward = _forward()
    flat = sigpy.linop.Reshape((N_COILS * N * N, 1), forward.oshape) * forward * stack.H
    column = sigpy.linop.Reshape((N * N, 1), (N * N, 1))
    return algs.SDMM(
        flat * column,
        _weighted().reshape(-1, 1),
        0.01,
        [],
        [],
        1e4,
        [],
        1,
        1,
        c_max=100.0,
        max_cg_iter=3,
        max_iter=3,
    )


#: Every App that has an image, by name.
APPS: dict[str, Callable[[], Any]] = {
    "SenseRecon": sense,
    "SenseRecon, gradient method": lambda: sense(solver="GradientMethod", alpha=0.9),
    "L1WaveletRecon": wavelet,
    "L1WaveletRecon, ADMM": lambda: wavelet(solver="ADMM", rho=0.1),
    "TotalVariationRecon": total_variation,
    "TotalVariationRecon, ADMM": lambda: total_variation(solver="ADMM", rho=0.1),
    "L2ConstrainedMinimization": constrained,
    "JsenseRecon": jsense,
}
#: Every Alg that has an image, by name.
ALGS: dict[str, Callable[[], Any]] = {
    "ConjugateGradient": conjugate_gradient,
    "GradientMethod": gradient_method,
    "PrimalDualHybridGradient": primal_dual,
    "ADMM": admm,
    "NewtonsMethod": newton,
    "AugmentedLagrangianMethod": augmented_lagrangian,
    "GerchbergSaxton": gerchberg_saxton,
}


def for_csiq(rng: np.random.Generator) -> Problem:
    """Return a small problem of two phases for csiq's own solvers."""
    coords = [(rng.uniform(-4, 4, (20, 8, 3))).astype(np.float32) for _ in range(2)]
    model = ForwardModel(coords, complex_normal(rng, (2, 8, 8, 8)), threads=1)
    kspace = model(complex_normal(rng, (2, 8, 8, 8)))
    return build_problem(model, kspace, np.ones((40, 8), np.float32), lamda=0.02)
