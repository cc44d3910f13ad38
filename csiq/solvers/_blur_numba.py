"""The compiled loop behind :func:`csiq.solvers.preconditioner.blur`; it releases the interpreter."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract"})
def blur(volume, start, stop, out):  # type: ignore[no-untyped-def]
    """Write planes start .. stop of a volume (z, y, 2x) of pairs, smoothed with (1 2 1) / 4 along each axis.

    Zero outside; an axis of length 1 stays as it is. Plane by plane, with one plane of memory.
    """
    n_z, n_y, n_2x = volume.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    middle_z, middle_y = half if n_z > 1 else np.float32(1), half if n_y > 1 else np.float32(1)
    middle_x = half if n_2x > 2 else np.float32(1)
    plane, row = np.empty((n_y, n_2x), np.float32), np.zeros(n_2x + 4, np.float32)
    for z in range(start, stop):
        for y in range(n_y):
            p, v = plane[y], volume[z, y]
            for i in range(n_2x):
                p[i] = middle_z * v[i]
            for neighbour in (z - 1, z + 1):
                if 0 <= neighbour < n_z:
                    v = volume[neighbour, y]
                    for i in range(n_2x):
                        p[i] += quarter * v[i]
        for y in range(n_y):
            # row has a pair of zeros at either end
            for i in range(n_2x):
                row[i + 2] = middle_y * plane[y, i]
            for neighbour in (y - 1, y + 1):
                if 0 <= neighbour < n_y:
                    p = plane[neighbour]
                    for i in range(n_2x):
                        row[i + 2] += quarter * p[i]
            o = out[z, y]
            for i in range(n_2x):
                o[i] = middle_x * row[i + 2] + quarter * (row[i] + row[i + 4])
