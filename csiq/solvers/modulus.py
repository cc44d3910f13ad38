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
    if xp_of(a) is np:
        return float(_numba().modulus_sum(a))
    return float(xp_of(a).sqrt(_square(a)).sum(dtype=np.float64))


def normalise(a: Array, mu: float) -> None:
    """Divide a by sqrt(|a|^2 + mu^2), in place."""
    if xp_of(a) is np:
        _numba().normalise(a, mu * mu)
    else:
        a /= xp_of(a).sqrt(_square(a) + np.float32(mu * mu))


def quadratic(a: Array, b: Array, out: Array) -> None:
    """Write |a|^2, Re <a, b> and |b|^2 of each group to ``out``, float32 (3, n_groups)."""
    if xp_of(a) is np:
        _numba().quadratic(a, b, out)
        return
    out[0], out[1], out[2] = _square(a), (a.real * b.real + a.imag * b.imag).sum(axis=0), _square(b)


def along_line(line: Array, t: float, mu: float) -> tuple[float, float]:
    """Return first and second derivative at t of sum sqrt(|a + t b|^2 + mu^2).

    Parameters
    ----------
    line : float32 array, (3, n_groups)
        From :func:`quadratic`.
    t, mu : float
    """
    if xp_of(line) is np:
        slope, curvature = _numba().along_line(line, t, mu * mu)
        return float(slope), float(curvature)
    xp, (aa, ab, bb) = xp_of(line), line
    root = xp.sqrt(xp.maximum(aa + np.float32(t) * (2 * ab + np.float32(t) * bb), 0) + np.float32(mu * mu))
    first = (ab + np.float32(t) * bb) / root
    return float(first.sum(dtype=np.float64)), float(((bb - first**2) / root).sum(dtype=np.float64))


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
    """
    q, u = point
    if xp_of(kx) is np:
        gap, product = _numba().dual_step(kx, q, u, tau, radius, beta)
        return float(gap), float(product)
    xp = xp_of(kx)
    new = q + np.float32(tau) * kx
    new *= xp.minimum(1, radius / xp.maximum(xp.sqrt(_square(new)), 1e-30)).astype(np.float32)
    change, move = new - q, new - u
    gap = radius * modulus_sum(kx) + float(_square(change).sum(dtype=np.float64)) / (2 * tau)
    gap -= float((new.real * kx.real + new.imag * kx.imag).sum(dtype=np.float64))
    product = -float((change.real * move.real + change.imag * move.imag).sum(dtype=np.float64))
    u[...] = new
    q[...] = new + np.float32(beta) * move
    return gap, product


def _square(a: Array) -> Array:
    return (a.real**2 + a.imag**2).sum(axis=0)


def _numba() -> Any:
    # compiled on first use: importing csiq must not wait for numba
    from csiq.solvers import _penalty_numba

    return _penalty_numba
