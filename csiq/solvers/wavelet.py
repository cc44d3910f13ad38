"""An orthonormal wavelet transform of a volume: Daubechies, 4 vanishing moments, periodic.

Where no axis needs padding it is PyWavelets' ``wavedecn(volume, "db4", "periodization")``, on any device. A
volume whose axes the levels do not divide is padded with zeros, which keeps the sum of squares, so that the
adjoint undoes the transform.
"""

from __future__ import annotations

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.solvers.modulus import loops_of

#: Low-pass taps of db4 (Daubechies, Ten Lectures on Wavelets, table 6.1), of sum sqrt(2).
LOW = np.array(
    [
        0.23037781330885523,
        0.7148465705525415,
        0.6308807679295904,
        -0.02798376941698385,
        -0.18703481171888114,
        0.030841381835986965,
        0.032883011666982945,
        -0.010597401784997278,
    ],
    np.float32,
)
HIGH = LOW[::-1] * np.array([1, -1] * 4, np.float32)
#: The filter starts this many samples before the one it is written to.
SHIFT = 3
#: Levels at most, and the shortest length an axis is still halved at: that of the filter.
LEVELS, _SHORTEST = 3, LOW.size


def levels_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return how often each axis is halved; an axis of less than 8 voxels is left alone."""
    return tuple(sum(n >= _SHORTEST << level for level in range(LEVELS)) for n in shape)


def padded_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the coefficients: each axis a multiple of 2 to its number of levels."""
    return tuple(-(-n // 2**levels) * 2**levels for n, levels in zip(shape, levels_of(shape), strict=True))


def approximation(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return where the coefficients of the coarse image are, those that no level has differenced."""
    sizes = zip(padded_shape(shape), levels_of(shape), strict=True)
    return tuple(slice(0, n >> levels) for n, levels in sizes)


def forward(volume: Array) -> Array:
    """Return the coefficients of a volume, coarse ones first along each axis.

    Parameters
    ----------
    volume : complex64 array, (z, y, x)

    Returns
    -------
    complex64 array, of :func:`padded_shape`
    """
    coefficients = xp_of(volume).zeros(padded_shape(volume.shape), dtype=np.complex64)
    coefficients[tuple(slice(0, n) for n in volume.shape)] = volume
    for block, axes in _levels(volume.shape):
        part = coefficients[block]
        for axis in axes:
            part = _filter(part, axis, inverse=False)
        coefficients[block] = part
    return coefficients


def adjoint(coefficients: Array, shape: tuple[int, ...]) -> Array:
    """Return the volume of ``shape``: the adjoint, and the inverse, of :func:`forward`."""
    volume = coefficients.copy()
    for block, axes in reversed(_levels(shape)):
        part = volume[block]
        for axis in axes[::-1]:
            part = _filter(part, axis, inverse=True)
        volume[block] = part
    return volume[tuple(slice(0, n) for n in shape)]


def _levels(shape: tuple[int, ...]) -> list[tuple[tuple[slice, ...], list[int]]]:
    """Return for each level the block it works on, and the axes that it halves."""
    padded, levels = padded_shape(shape), levels_of(shape)
    found = []
    for level in range(max(levels)):
        block = tuple(slice(0, n >> min(level, most)) for n, most in zip(padded, levels, strict=True))
        found.append((block, [axis for axis, most in enumerate(levels) if most > level]))
    return found


def _filter(part: Array, axis: int, *, inverse: bool) -> Array:
    """Return the part split into its low and high half along an axis, or put together again."""
    xp = xp_of(part)
    n, inner = part.shape[axis], int(np.prod(part.shape[axis + 1 :], dtype=int))
    lines = xp.ascontiguousarray(part).view(np.float32).reshape(-1, n, 2 * inner)
    out, loops = xp.empty_like(lines), loops_of(lines)
    (loops.synthesise if inverse else loops.analyse)(lines, LOW, HIGH, SHIFT, out)
    return out.view(np.complex64).reshape(part.shape)
