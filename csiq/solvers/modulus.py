"""Sums of moduli and their smooth forms, on the device of the arrays.

Arrays are (n_components, n_groups), complex64: the modulus is the root of the sum of squares over components.
On a CPU compiled loops, elsewhere the same formulas on whole arrays; sums in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from csiq.arrays import Array, xp_of


def modulus_sum(a: Array) -> float:
    """Return the sum over groups of |a|."""
    return float(loops_of(a).modulus_sum(a))


def normalise(a: Array, mu: float) -> None:
    """Divide a by sqrt(|a|^2 + mu^2), in place."""
    loops_of(a).normalise(a, mu * mu)


def quadratic(a: Array, b: Array, out: Array) -> None:
    """Write |a|^2, Re <a, b> and |b|^2 of each group to ``out``, float32 (3, n_groups)."""
    loops_of(a).quadratic(a, b, out)


def along_line(line: Array, t: float, mu: float) -> tuple[float, float]:
    """Return first and second derivative at t of sum sqrt(|a + t b|^2 + mu^2).

    Parameters
    ----------
    line : float32 array, (3, n_groups)
        From :func:`quadratic`.
    t, mu : float
    """
    slope, curvature = loops_of(line).along_line(line, t, mu * mu)
    return float(slope), float(curvature)


def dual_step(
    kx: Array, point: tuple[Array, Array], tau: float, radius: float, beta: float
) -> tuple[float, float]:
    """Do one accelerated projected step on the dual of radius * sum |K x|.

    Parameters
    ----------
    kx : complex64 array, (n_components, n_groups)
        K x at the primal point of q.
    point : tuple of two arrays like ``kx``
        q, where the gradient was taken, and the last u; both are overwritten.
    tau, radius, beta : float
        Step, bound of the dual modulus, momentum.

    Returns
    -------
    gap : float
        This penalty's part of a bound on the duality gap of the new u and the primal point of q.
    product : float
        Re <q - u, u - u_before>; positive where the momentum points uphill.

    Notes
    -----
    With g the dual value, concave and smooth, g(u) >= g(q) + Re <K x, u - q> - sum ||u - q||^2 / (2 tau):
    the gap needs no primal point of u.
    """
    gap, product = loops_of(kx).dual_step(kx, *point, tau, radius, beta)
    return float(gap), float(product)


def loops_of(a: Array) -> Any:
    """Return the loops for the device of an array: compiled ones, or formulas on whole arrays."""
    # compiled on first use: importing csiq must not wait for numba
    if xp_of(a) is np:
        from csiq.solvers import _penalty_numba

        return _penalty_numba
    from csiq.solvers import _penalty_arrays

    return _penalty_arrays
