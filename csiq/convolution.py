"""The sum over coils of conj(S) h * (S v) on a CPU, h the point spread function of one phase.

A convolution wants the doubled grid, but nobody has to hold it: the even frequencies of a line of n values
padded to 2n are the transform of the n values, the odd ones that of the values times exp(-i pi r / n). So an
axis is split in two instead of padded: z first, once for the volume; then, plane by plane of z frequencies, y
and x at once in four transforms of the image's own plane, which stay in the cache with the kernel's plane
between them. Padding and cropping vanish, and of the doubled grid a plane exists at a time.

References
----------
Fessler JA, et al. Toeplitz-based iterative image reconstruction for MRI with correction for magnetic field
inhomogeneity. IEEE Trans Signal Process 2005;53:3393-3402.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np

from csiq import fft

#: Bytes that go through a transform at a time, rows along z and planes: with their transform they fit the
#: second-level cache of a core, and are not so few that calls cost more than work.
_ROWS_BYTES, _PLANES_BYTES = 1 << 18, 1 << 20
_COMPLEX = 8


def split_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return the transfer function in the order in which :func:`sum_of_coils` meets it.

    Parameters
    ----------
    kernel : float32 array, (2z, 2y, 2x)
        From :func:`csiq.nufft.toeplitz_kernel`; z is 1 for a slice.

    Returns
    -------
    float32 array, (2z, 4, y, x)
        Even frequencies of z first; y and x (even, even), (even, odd), (odd, even), (odd, odd). Divided by
        the size of the doubled grid, which the inverse transforms leave out.
    """
    n_z, n_y, n_x = kernel.shape
    out = np.empty((n_z, 4, n_y // 2, n_x // 2), np.float32)
    halves = (slice(0, -(-n_z // 2)), slice(-(-n_z // 2), n_z))
    for z, half in enumerate(halves):
        for y in (0, 1):
            for x in (0, 1):
                out[half, 2 * y + x] = kernel[z::2, y::2, x::2]
    out *= np.float32(1 / kernel.size)
    return out


def sum_of_coils(volume: np.ndarray, smaps: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return sum_c conj(S_c) crop(ifft(kernel * fft(pad(S_c v)))), on one thread.

    Parameters
    ----------
    volume : complex64 array, (z, y, x)
    smaps : complex64 array, (n_coils, z, y, x)
    kernel : float32 array, (2z, 4, y, x)
        From :func:`split_kernel`.

    Returns
    -------
    complex64 array, (z, y, x)
    """
    out = np.zeros(volume.shape, np.complex64)
    if volume.shape[0] == 1:
        _slice(volume, smaps, kernel, out)
    else:
        for smap in smaps:
            _volume(volume, smap, kernel, out)
    return out


def _slice(volume: np.ndarray, smaps: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> None:
    (_, n_y, n_x), compiled = volume.shape, loops()
    step = max(1, _PLANES_BYTES // (4 * n_y * n_x * _COMPLEX))
    for first in range(0, len(smaps), step):
        some = smaps[first : first + step]
        planes = np.empty((len(some), n_y, n_x), np.complex64)
        compiled.weigh(_pairs(volume).reshape(-1), _pairs(some).reshape(len(some), -1), _flat(planes))
        _convolve_planes(planes, kernel[0])
        compiled.combine(_flat(planes), _pairs(some).reshape(len(some), -1), _pairs(out).reshape(-1))


def _volume(volume: np.ndarray, smap: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> None:
    (n_z, n_y, n_x), compiled = volume.shape, loops()
    twiddle, spectrum = _twiddle(n_z), _scratch("spectrum", (2, n_z, n_y, n_x))
    step = max(1, _ROWS_BYTES // (2 * n_z * n_x * _COMPLEX))
    blocks = [(first, min(first + step, n_y)) for first in range(0, n_y, step)]
    for rows in blocks:
        compiled.split_z(_pairs(volume), _pairs(smap), *twiddle, rows, _pairs(spectrum))
        for half in spectrum:
            fft.along_first(half[:, slice(*rows)])
    planes = spectrum.reshape(2 * n_z, n_y, n_x)
    step = max(1, _PLANES_BYTES // (4 * n_y * n_x * _COMPLEX))
    for first in range(0, 2 * n_z, step):
        some = slice(first, first + step)
        _convolve_planes(planes[some], kernel[some])
    for rows in blocks:
        for half in spectrum:
            fft.along_first(half[:, slice(*rows)], inverse=True)
        compiled.join_z(_pairs(spectrum), _pairs(smap), *twiddle, rows, _pairs(out))


def _convolve_planes(planes: np.ndarray, kernel: np.ndarray) -> None:
    """Convolve planes (n, y, x) in place, with a kernel each (n, 4, y, x) or one for all (4, y, x)."""
    (n, n_y, n_x), compiled = planes.shape, loops()
    y, x = _twiddle(n_y), _twiddle(n_x)
    work = _scratch("work", (n, 4, n_y, n_x))
    compiled.split_plane(_pairs(planes), *y, *x, _pairs(work))
    fft.along_last(work, 2)
    if kernel.ndim == 3:
        compiled.multiply(_flat(work), kernel.reshape(-1))
    else:
        compiled.multiply(_pairs(work).reshape(1, -1), kernel.reshape(-1))
    fft.along_last(work, 2, inverse=True)
    compiled.join_plane(_pairs(work), *y, *x, _pairs(planes))


def _pairs(a: np.ndarray) -> np.ndarray:
    """Return a complex array as float32 pairs along its last axis."""
    return a.view(np.float32)


def _flat(a: np.ndarray) -> np.ndarray:
    return _pairs(a).reshape(len(a), -1)


@cache
def _twiddle(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the real and imaginary parts of exp(-i pi r / n)."""
    factors = np.exp(-1j * np.pi * np.arange(n) / n)
    return factors.real.astype(np.float32), factors.imag.astype(np.float32)


class _Scratch(threading.local):
    """Memory that a thread uses again and again, aligned for the transforms."""

    def __init__(self) -> None:
        self.buffers: dict[str, np.ndarray] = {}


_LOCAL = _Scratch()


def _scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    have = _LOCAL.buffers.get(name)
    if have is None or have.size < size:
        have = _LOCAL.buffers[name] = fft.aligned((size,))
    return have[:size].reshape(shape)


@cache
def loops() -> Any:
    """Return the compiled loops."""
    # compiled on first use: importing csiq must not wait for numba
    from csiq import _convolution_numba

    return _convolution_numba
