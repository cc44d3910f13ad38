"""The compiled loops behind the list of penalties; they release the interpreter, as those of the phase TV.

Differences or coefficients come as (n_components, n_groups): the modulus runs over the components.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def analyse(lines, low, high, shift, out):  # type: ignore[no-untyped-def]
    """Filter (n_outer, n, n_inner) along its middle axis, periodic: low half first, then the high one."""
    n_outer, n, n_inner = lines.shape
    half = n // 2
    for o in range(n_outer):
        for k in range(half):
            for i in range(n_inner):
                out[o, k, i] = 0
                out[o, half + k, i] = 0
            for m in range(low.size):
                j = (2 * k + m + n - shift) % n
                for i in range(n_inner):
                    out[o, k, i] += low[m] * lines[o, j, i]
                    out[o, half + k, i] += high[m] * lines[o, j, i]


@njit(cache=True, nogil=True)
def synthesise(lines, low, high, shift, out):  # type: ignore[no-untyped-def]
    """The adjoint of :func:`analyse`."""
    n_outer, n, n_inner = lines.shape
    half = n // 2
    for o in range(n_outer):
        for j in range(n):
            for i in range(n_inner):
                out[o, j, i] = 0
        for k in range(half):
            for m in range(low.size):
                j = (2 * k + m + n - shift) % n
                for i in range(n_inner):
                    out[o, j, i] += low[m] * lines[o, k, i] + high[m] * lines[o, half + k, i]


@njit(cache=True, nogil=True)
def modulus_sum(a):  # type: ignore[no-untyped-def]
    """Return the sum of the moduli, in double precision."""
    total = 0.0
    for i in range(a.shape[1]):
        square = 0.0
        for c in range(a.shape[0]):
            square += np.float64(a[c, i].real) ** 2 + np.float64(a[c, i].imag) ** 2
        total += np.sqrt(square)
    return total


@njit(cache=True, nogil=True)
def normalise(a, mu2):  # type: ignore[no-untyped-def]
    """Divide by sqrt(|a|^2 + mu2), in place: the gradient of the smoothed modulus."""
    for i in range(a.shape[1]):
        square = mu2
        for c in range(a.shape[0]):
            square += np.float64(a[c, i].real) ** 2 + np.float64(a[c, i].imag) ** 2
        factor = np.float32(1 / np.sqrt(square))
        for c in range(a.shape[0]):
            a[c, i] *= factor


@njit(cache=True, nogil=True)
def quadratic(a, b, out):  # type: ignore[no-untyped-def]
    """Write |a|^2, Re <a, b> and |b|^2: the squared modulus along a + t b."""
    for i in range(a.shape[1]):
        aa, ab, bb = 0.0, 0.0, 0.0
        for c in range(a.shape[0]):
            x, y = np.complex128(a[c, i]), np.complex128(b[c, i])
            aa += x.real * x.real + x.imag * x.imag
            ab += x.real * y.real + x.imag * y.imag
            bb += y.real * y.real + y.imag * y.imag
        out[0, i], out[1, i], out[2, i] = aa, ab, bb


@njit(cache=True, nogil=True)
def along_line(line, t, mu2):  # type: ignore[no-untyped-def]
    """Return first and second derivative by t of the sum of sqrt(|a + t b|^2 + mu2)."""
    slope, curvature = 0.0, 0.0
    for i in range(line.shape[1]):
        ab, bb = np.float64(line[1, i]), np.float64(line[2, i])
        # in single precision the square may come out a little negative
        root = np.sqrt(max(line[0, i] + t * (2 * ab + t * bb), 0.0) + mu2)
        first = (ab + t * bb) / root
        slope += first
        curvature += (bb - first * first) / root
    return slope, curvature


@njit(cache=True, nogil=True)
def dual_step(kx, q, u, tau, radius, beta):  # type: ignore[no-untyped-def]
    """Do one accelerated projected step on the dual; write u and q, return the gap and the restart test."""
    gap, product = 0.0, 0.0
    new = np.empty(kx.shape[0], np.complex128)
    for i in range(kx.shape[1]):
        size, modulus = 0.0, 0.0
        for c in range(kx.shape[0]):
            k = np.complex128(kx[c, i])
            new[c] = q[c, i] + tau * k
            size += new[c].real * new[c].real + new[c].imag * new[c].imag
            modulus += k.real * k.real + k.imag * k.imag
        size, factor = np.sqrt(size), 1.0
        if size > radius:
            factor = radius / size
        gap += radius * np.sqrt(modulus)
        for c in range(kx.shape[0]):
            k, before, old = np.complex128(kx[c, i]), np.complex128(q[c, i]), np.complex128(u[c, i])
            v = new[c] * factor
            change, move = v - before, v - old
            gap += (change.real * change.real + change.imag * change.imag) / (2 * tau)
            gap -= v.real * k.real + v.imag * k.imag
            product -= change.real * move.real + change.imag * move.imag
            u[c, i] = v
            q[c, i] = v + beta * move
    return gap, product
