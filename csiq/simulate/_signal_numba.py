"""Inner loops over samples of :mod:`csiq.simulate.signal`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def ramps(  # type: ignore[no-untyped-def]
    angles, where, factor, coord, rows, weights, moved, size, per_mm, first, fade_from, fade_to
):
    """Fill in what :func:`csiq.simulate.signal.layer_samples` returns; return how many samples there are.

    ``moved`` is where the grid's own centre is at each readout, mm.
    """
    count, n_samples = 0, coord.shape[1]
    for r in range(rows.size):
        for s in range(n_samples):
            radius2, turn, average = 0.0, 0.0, 1.0
            for axis in range(first, 3):
                cycles = coord[r, s, axis] * per_mm
                per_voxel = cycles * size[axis]
                radius2 += per_voxel * per_voxel
                turn += cycles * moved[r, axis]
                average *= _sinc(per_voxel)
                angles[axis, count] = 2 * np.pi * per_voxel
            radius = np.sqrt(radius2)
            if radius >= fade_to:
                continue
            weight = weights[r] / average
            if radius > fade_from:
                weight *= 0.5 * (1 + np.cos(np.pi * (radius - fade_from) / (fade_to - fade_from)))
            turn *= -2 * np.pi
            factor[count] = weight * complex(np.cos(turn), np.sin(turn))
            where[count] = rows[r] * n_samples + s
            count += 1
    return count


@njit(nogil=True, cache=True)
def add_samples(kspace, where, factor, values):  # type: ignore[no-untyped-def]
    """Add ``factor * values`` to the samples ``where``."""
    for i in range(where.size):
        kspace[where[i]] += factor[i] * values[i]


@njit(nogil=True, cache=True)
def _sinc(x):  # type: ignore[no-untyped-def]
    """Return sin(pi x) / (pi x) to 1e-9 for |x| up to a half: its power series."""
    y = -((np.pi * x) ** 2)
    return 1 + y / 6 * (1 + y / 20 * (1 + y / 42 * (1 + y / 72 * (1 + y / 110 * (1 + y / 156)))))
