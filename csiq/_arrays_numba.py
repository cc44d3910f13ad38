"""The compiled loops behind the dot products of :mod:`csiq.arrays`; they release the interpreter."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def dot(a, b, start, stop):  # type: ignore[no-untyped-def]
    """Return sum conj(a) b of pairs start .. stop of flat float32 arrays, in double precision."""
    real, imaginary = 0.0, 0.0
    for i in range(start, stop):
        ar, ai = np.float64(a[2 * i]), np.float64(a[2 * i + 1])
        br, bi = np.float64(b[2 * i]), np.float64(b[2 * i + 1])
        real += ar * br + ai * bi
        imaginary += ar * bi - ai * br
    return real, imaginary


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def square(a, start, stop):  # type: ignore[no-untyped-def]
    """Return the sum of squares of elements start .. stop of a flat float32 array, in double precision."""
    total = 0.0
    for i in range(start, stop):
        total += np.float64(a[i]) * np.float64(a[i])
    return total


@njit(cache=True, nogil=True)
def combine(factors, arrays, out, start, stop):  # type: ignore[no-untyped-def]
    """Write sum_k factors[k] arrays[k] to elements start .. stop; ``out`` may be ``arrays[0]``.

    A few thousand elements at a time, so that the sum stays in the first-level cache while it grows.
    """
    for first in range(start, stop, 4096):
        last = min(first + 4096, stop)
        factor, array = factors[0], arrays[0]
        for i in range(first, last):
            out[i] = factor * array[i]
        for k in range(1, len(arrays)):
            factor, array = factors[k], arrays[k]
            for i in range(first, last):
                out[i] += factor * array[i]
