"""Proofs that many tests share: the adjoint, the normal operator, the direct Fourier sum."""

from __future__ import annotations

from typing import Any

import numpy as np


def complex_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return complex64 noise."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def relative_error(got: Any, expected: Any) -> float:
    """Return ||got - expected|| / ||expected||, in double precision."""
    got, expected = np.asarray(got, np.complex128), np.asarray(expected, np.complex128)
    assert got.shape == expected.shape
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def assert_adjoint(linop: Any, rng: np.random.Generator, tol: float = 1e-5) -> None:
    """Assert <A u, v> = <u, A^H v> for noise, and the shapes of both sides."""
    u, v = complex_normal(rng, tuple(linop.ishape)), complex_normal(rng, tuple(linop.oshape))
    forward, adjoint = linop(u), linop.H(v)
    assert forward.shape == v.shape
    assert adjoint.shape == u.shape
    left = np.vdot(v.astype(np.complex128), forward.astype(np.complex128))
    right = np.vdot(adjoint.astype(np.complex128), u.astype(np.complex128))
    assert abs(left - right) <= tol * np.linalg.norm(forward) * np.linalg.norm(v)


def dense_fourier(coord: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the matrix (n_points, n_voxels) of the direct Fourier sum in double precision.

    exp(-2 pi i k.r / n) / sqrt(prod n), r counted from voxel n // 2, axes z y x.
    """
    grids = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    r = np.stack([g.ravel() for g in grids], axis=-1) / np.array(shape)
    k = np.asarray(coord, np.float64).reshape(-1, 3)
    return np.exp(-2j * np.pi * k @ r.T) / np.sqrt(np.prod(shape))
