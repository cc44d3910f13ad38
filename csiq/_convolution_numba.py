"""The compiled loops between the transforms of :mod:`csiq.convolution`; they release the interpreter.

Complex numbers go as pairs of float32 along the last axis, so that the compiler turns every loop into vector
instructions. ``wr, wi`` are the real and imaginary parts of the twiddle factors exp(-i pi r / n).
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract"})
def split_z(volume, smap, wr, wi, first, out):  # type: ignore[no-untyped-def]
    """Write smap * volume of some rows y, once as it is and once times the twiddle factors of z.

    volume, smap (z, y, 2x); out (2, rows, x, 2z) takes the rows from ``first`` on, z along the last axis.
    """
    for row in range(out.shape[1]):
        even, odd = out[0, row], out[1, row]
        for z in range(volume.shape[0]):
            c, s = wr[z], wi[z]
            v, m = volume[z, first + row], smap[z, first + row]
            for x in range(even.shape[0]):
                re = v[2 * x] * m[2 * x] - v[2 * x + 1] * m[2 * x + 1]
                im = v[2 * x] * m[2 * x + 1] + v[2 * x + 1] * m[2 * x]
                even[x, 2 * z] = re
                even[x, 2 * z + 1] = im
                odd[x, 2 * z] = re * c - im * s
                odd[x, 2 * z + 1] = re * s + im * c


@njit(cache=True, nogil=True)
def put_rows(work, first, spectrum):  # type: ignore[no-untyped-def]
    """Write (n, rows, x, z) to the rows from ``first`` on of the spectrum (n, z, y, x)."""
    for half in range(work.shape[0]):
        for row in range(work.shape[1]):
            w = work[half, row]
            for z in range(w.shape[1]):
                to = spectrum[half, z, first + row]
                for x in range(to.size):
                    to[x] = w[x, z]


@njit(cache=True, nogil=True)
def take_rows(spectrum, first, work):  # type: ignore[no-untyped-def]
    """Undo :func:`put_rows`."""
    for half in range(work.shape[0]):
        for row in range(work.shape[1]):
            w = work[half, row]
            for z in range(w.shape[1]):
                take = spectrum[half, z, first + row]
                for x in range(take.size):
                    w[x, z] = take[x]


@njit(cache=True, nogil=True, fastmath={"contract"})
def join_z(work, smap, wr, wi, first, out):  # type: ignore[no-untyped-def]
    """Add conj(smap) times (even + conj(twiddle) odd) to rows of ``out``; the inverse of :func:`split_z`."""
    for row in range(work.shape[1]):
        even, odd = work[0, row], work[1, row]
        for z in range(out.shape[0]):
            c, s = wr[z], wi[z]
            m, o = smap[z, first + row], out[z, first + row]
            for x in range(even.shape[0]):
                re = even[x, 2 * z] + odd[x, 2 * z] * c + odd[x, 2 * z + 1] * s
                im = even[x, 2 * z + 1] - odd[x, 2 * z] * s + odd[x, 2 * z + 1] * c
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
