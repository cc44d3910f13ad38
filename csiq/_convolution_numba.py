"""The compiled loops between the transforms of :mod:`csiq.convolution`; they release the interpreter.

Complex numbers go as pairs of float32 along the last axis, so that the compiler turns every loop into vector
instructions. ``wr, wi`` are the real and imaginary parts of the twiddle factors exp(-i pi r / n).
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract"})
def split_z(volume, smap, wr, wi, rows, out):  # type: ignore[no-untyped-def]
    """Write smap * volume of the rows y = rows[0] .. rows[1], as it is and times the twiddle factors of z.

    volume, smap (z, y, 2x); out (2, z, y, 2x).
    """
    for z in range(volume.shape[0]):
        c, s = wr[z], wi[z]
        for y in range(rows[0], rows[1]):
            v, m, even, odd = volume[z, y], smap[z, y], out[0, z, y], out[1, z, y]
            for x in range(v.size // 2):
                re = v[2 * x] * m[2 * x] - v[2 * x + 1] * m[2 * x + 1]
                im = v[2 * x] * m[2 * x + 1] + v[2 * x + 1] * m[2 * x]
                even[2 * x] = re
                even[2 * x + 1] = im
                odd[2 * x] = re * c - im * s
                odd[2 * x + 1] = re * s + im * c


@njit(cache=True, nogil=True, fastmath={"contract"})
def join_z(work, smap, wr, wi, rows, out):  # type: ignore[no-untyped-def]
    """Add conj(smap) times (even + conj(twiddle) odd) to rows of ``out``; the inverse of :func:`split_z`."""
    for z in range(out.shape[0]):
        c, s = wr[z], wi[z]
        for y in range(rows[0], rows[1]):
            even, odd, m, o = work[0, z, y], work[1, z, y], smap[z, y], out[z, y]
            for x in range(m.size // 2):
                re = even[2 * x] + odd[2 * x] * c + odd[2 * x + 1] * s
                im = even[2 * x + 1] - odd[2 * x] * s + odd[2 * x + 1] * c
                o[2 * x] += re * m[2 * x] + im * m[2 * x + 1]
                o[2 * x + 1] += im * m[2 * x] - re * m[2 * x + 1]


@njit(cache=True, nogil=True, fastmath={"contract"})
def split_plane(planes, yr, yi, xr, xi, out):  # type: ignore[no-untyped-def]
    """Write each plane four times: as it is, times the twiddle factors of x, of y, of both.

    planes (n, y, 2x); out (n, 4, y, 2x).
    """
    for b in range(planes.shape[0]):
        for y in range(planes.shape[1]):
            c, s = yr[y], yi[y]
            p = planes[b, y]
            o0, o1, o2, o3 = out[b, 0, y], out[b, 1, y], out[b, 2, y], out[b, 3, y]
            for x in range(p.size // 2):
                re, im = p[2 * x], p[2 * x + 1]
                o0[2 * x] = re
                o0[2 * x + 1] = im
                o2[2 * x] = re * c - im * s
                o2[2 * x + 1] = re * s + im * c
                re_x = re * xr[x] - im * xi[x]
                im_x = re * xi[x] + im * xr[x]
                o1[2 * x] = re_x
                o1[2 * x + 1] = im_x
                o3[2 * x] = re_x * c - im_x * s
                o3[2 * x + 1] = re_x * s + im_x * c


@njit(cache=True, nogil=True, fastmath={"contract"})
def join_plane(work, yr, yi, xr, xi, planes):  # type: ignore[no-untyped-def]
    """Sum the four planes, each times its conjugate twiddle factors; the inverse of :func:`split_plane`."""
    for b in range(planes.shape[0]):
        for y in range(planes.shape[1]):
            c, s = yr[y], yi[y]
            p = planes[b, y]
            o0, o1, o2, o3 = work[b, 0, y], work[b, 1, y], work[b, 2, y], work[b, 3, y]
            for x in range(p.size // 2):
                re = o0[2 * x] + o2[2 * x] * c + o2[2 * x + 1] * s
                im = o0[2 * x + 1] - o2[2 * x] * s + o2[2 * x + 1] * c
                re_x = o1[2 * x] + o3[2 * x] * c + o3[2 * x + 1] * s
                im_x = o1[2 * x + 1] - o3[2 * x] * s + o3[2 * x + 1] * c
                p[2 * x] = re + re_x * xr[x] + im_x * xi[x]
                p[2 * x + 1] = im - re_x * xi[x] + im_x * xr[x]


@njit(cache=True, nogil=True)
def multiply(work, kernel):  # type: ignore[no-untyped-def]
    """Multiply pairs by a real kernel; one kernel of flat size n serves all of ``work`` (m, 2n)."""
    for b in range(work.shape[0]):
        row = work[b]
        for i in range(kernel.size):
            row[2 * i] *= kernel[i]
            row[2 * i + 1] *= kernel[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def weigh(volume, smaps, out):  # type: ignore[no-untyped-def]
    """Write smaps * volume: (2n,), (m, 2n), (m, 2n)."""
    for b in range(smaps.shape[0]):
        m, o = smaps[b], out[b]
        for x in range(volume.size // 2):
            o[2 * x] = volume[2 * x] * m[2 * x] - volume[2 * x + 1] * m[2 * x + 1]
            o[2 * x + 1] = volume[2 * x] * m[2 * x + 1] + volume[2 * x + 1] * m[2 * x]


@njit(cache=True, nogil=True, fastmath={"contract"})
def combine(images, smaps, out):  # type: ignore[no-untyped-def]
    """Add the sum of conj(smaps) * images to ``out``."""
    for b in range(smaps.shape[0]):
        m, v = smaps[b], images[b]
        for x in range(out.size // 2):
            out[2 * x] += v[2 * x] * m[2 * x] + v[2 * x + 1] * m[2 * x + 1]
            out[2 * x + 1] += v[2 * x + 1] * m[2 * x] - v[2 * x] * m[2 * x + 1]
