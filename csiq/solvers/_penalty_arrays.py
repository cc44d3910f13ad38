"""The loops of :mod:`csiq.solvers._penalty_numba` as formulas on whole arrays, for a GPU."""

from __future__ import annotations

import numpy as np

from csiq.arrays import Array, xp_of


def analyse(lines: Array, low: np.ndarray, high: np.ndarray, shift: int, out: Array) -> None:
    """Filter (n_outer, n, n_inner) along its middle axis, periodic: low half first, then the high one."""
    n, after = lines.shape[1], low.size - 2 - shift
    wrapped = xp_of(lines).concatenate([lines[:, n - shift :], lines, lines[:, :after]], axis=1)
    out[...] = 0
    for m, (a, b) in enumerate(zip(low, high, strict=True)):
        taken = wrapped[:, m : m + n : 2]
        out[:, : n // 2] += a * taken
        out[:, n // 2 :] += b * taken


def synthesise(lines: Array, low: np.ndarray, high: np.ndarray, shift: int, out: Array) -> None:
    """Do the adjoint of :func:`analyse`."""
    n, after = lines.shape[1], low.size - 2 - shift
    wrapped = xp_of(lines).zeros((lines.shape[0], shift + n + after, lines.shape[2]), dtype=np.float32)
    for m, (a, b) in enumerate(zip(low, high, strict=True)):
        wrapped[:, m : m + n : 2] += a * lines[:, : n // 2] + b * lines[:, n // 2 :]
    out[...] = wrapped[:, shift : shift + n]
    out[:, n - shift :] += wrapped[:, :shift]
    out[:, :after] += wrapped[:, shift + n :]


def modulus_sum(a: Array) -> float:
    """Return the sum of the moduli, in double precision."""
    return float(xp_of(a).sqrt(_square(a)).sum(dtype=np.float64))


def normalise(a: Array, mu2: float) -> None:
    """Divide by sqrt(|a|^2 + mu2), in place."""
    a /= xp_of(a).sqrt(_square(a) + np.float32(mu2))


def quadratic(a: Array, b: Array, out: Array) -> None:
    """Write |a|^2, Re <a, b> and |b|^2."""
    out[0], out[1], out[2] = _square(a), _product(a, b), _square(b)


def along_line(line: Array, t: float, mu2: float) -> tuple[float, float]:
    """Return first and second derivative by t of the sum of sqrt(|a + t b|^2 + mu2)."""
    xp, (aa, ab, bb), step = xp_of(line), line, np.float32(t)
    root = xp.sqrt(xp.maximum(aa + step * (2 * ab + step * bb), 0) + np.float32(mu2))
    first = (ab + step * bb) / root
    return float(first.sum(dtype=np.float64)), float(((bb - first**2) / root).sum(dtype=np.float64))


def dual_step(kx: Array, q: Array, u: Array, tau: float, radius: float, beta: float) -> tuple[float, float]:
    """Do one accelerated projected step on the dual; write u and q, return the gap and the restart test."""
    xp = xp_of(kx)
    new = q + np.float32(tau) * kx
    new *= xp.minimum(1, radius / xp.maximum(xp.sqrt(_square(new)), 1e-30)).astype(np.float32)
    change, move = new - q, new - u
    parts = radius * xp.sqrt(_square(kx)) + _square(change) / np.float32(2 * tau) - _product(new, kx)
    product = -float(_product(change, move).sum(dtype=np.float64))
    u[...] = new
    q[...] = new + np.float32(beta) * move
    return float(parts.sum(dtype=np.float64)), product


def _square(a: Array) -> Array:
    return (a.real**2 + a.imag**2).sum(axis=0)


def _product(a: Array, b: Array) -> Array:
    return (a.real * b.real + a.imag * b.imag).sum(axis=0)
