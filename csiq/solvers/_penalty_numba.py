"""The compiled loops behind the list of penalties; they release the interpreter, as those of the phase TV.

Differences or coefficients come as (n_components, n_groups): the modulus runs over the components.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def analyse(lines, low, high, shift, out):  # type: ignore[no-untyped-def]
    """Filter (n_outer, n, n_inner) along its middle axis, periodic: low half first, then the high one.

    Even and odd samples of a line, wrapped at its ends, are gathered first: the filters then run over
    contiguous numbers also where n_inner is small.
    """
    n_outer, n, n_inner = lines.shape
    size = n // 2 * n_inner
    samples = np.empty((2, size + (low.size // 2 - 1) * n_inner), np.float32)
    halves = out.reshape(n_outer, 2, size)
    for o in range(n_outer):
        for j in range(n + low.size - 2):
            start = j // 2 * n_inner
            for i in range(n_inner):
                samples[j % 2, start + i] = lines[o, (j + n - shift) % n, i]
        halves[o] = 0
        for m in range(low.size):
            start = m // 2 * n_inner
            taken, a, b = samples[m % 2, start : start + size], low[m], high[m]
            for i in range(size):
                halves[o, 0, i] += a * taken[i]
                halves[o, 1, i] += b * taken[i]


@njit(cache=True, nogil=True)
def synthesise(lines, low, high, shift, out):  # type: ignore[no-untyped-def]
    """Do the adjoint of :func:`analyse`."""
    n_outer, n, n_inner = lines.shape
    size = n // 2 * n_inner
    samples = np.empty((2, size + (low.size // 2 - 1) * n_inner), np.float32)
    halves = lines.reshape(n_outer, 2, size)
    for o in range(n_outer):
        samples[:] = 0
        for m in range(low.size):
            start = m // 2 * n_inner
            given, a, b = samples[m % 2, start : start + size], low[m], high[m]
            for i in range(size):
                given[i] += a * halves[o, 0, i] + b * halves[o, 1, i]
        out[o] = 0
        for j in range(n + low.size - 2):
            start = j // 2 * n_inner
            for i in range(n_inner):
                out[o, (j + n - shift) % n, i] += samples[j % 2, start + i]


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


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def dual_step(kx, q, u, tau, radius, beta):  # type: ignore[no-untyped-def]
    """Do one accelerated projected step on the dual; write u and q, return the gap and the restart test."""
    gap, product, weight = 0.0, 0.0, 0.5 / tau
    new = np.empty((2, kx.shape[0]))
    for i in range(kx.shape[1]):
        size, modulus, factor, here, turned = 0.0, 0.0, 1.0, 0.0, 0.0
        for c in range(kx.shape[0]):
            kr, ki = np.float64(kx[c, i].real), np.float64(kx[c, i].imag)
            vr, vi = q[c, i].real + tau * kr, q[c, i].imag + tau * ki
            new[0, c], new[1, c] = vr, vi
            size += vr * vr + vi * vi
            modulus += kr * kr + ki * ki
        if size > radius * radius:
            factor = radius / np.sqrt(size)
        for c in range(kx.shape[0]):
            vr, vi = new[0, c] * factor, new[1, c] * factor
            change_r, change_i = vr - q[c, i].real, vi - q[c, i].imag
            move_r, move_i = vr - u[c, i].real, vi - u[c, i].imag
            here += weight * (change_r * change_r + change_i * change_i)
            here -= vr * kx[c, i].real + vi * kx[c, i].imag
            turned += change_r * move_r + change_i * move_i
            u[c, i] = complex(vr, vi)
            q[c, i] = complex(vr + beta * move_r, vi + beta * move_i)
        gap += here + radius * np.sqrt(modulus)
        product -= turned
    return gap, product
