"""The compiled loop behind :func:`csiq.arrays.vdot`; it releases the interpreter."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def dot(a, b, start, stop):  # type: ignore[no-untyped-def]
    """Return sum conj(a) b of pairs start .. stop of flat float32 arrays, in double precision."""
    real, imaginary = 0.0, 0.0
    for i in range(start, stop):
        ar, ai, br, bi = float(a[2 * i]), float(a[2 * i + 1]), float(b[2 * i]), float(b[2 * i + 1])
        real += ar * br + ai * bi
        imaginary += ar * bi - ai * br
    return real, imaginary


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def square(a, start, stop):  # type: ignore[no-untyped-def]
    """Return the sum of squares of elements start .. stop of a flat float32 array, in double precision."""
    total = 0.0
    for i in range(start, stop):
        total += float(a[i]) * float(a[i])
    return total
