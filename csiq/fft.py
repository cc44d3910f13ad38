"""Fourier transforms in place, on the calling thread: what a CPU's operators spend their time in.

They are MKL's, through its own interface (DFTI), which every torch for x86 carries along: in place and with
plans that are kept they take half the time of SciPy's or less, and a block stays in a core's second-level
cache, out of which a second array for the result would push it. Where there is no MKL, SciPy's do it.

Every length is tried once before MKL is trusted with it. On AMD's processors MKL leaves wide vectors unused;
made to believe that the processor is Intel's, a widespread cure, it is up to three times as fast, but some of
its transforms of two axes are wrong.
"""

from __future__ import annotations

import ctypes
import logging
import math
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_log = logging.getLogger("csiq")

#: Relative error from which on a transform in single precision is wrong; rounding is 1e-7.
_WRONG = 1e-5

# numbers of mkl_dfti.h
_COMPLEX = 32
_NUMBER_OF_TRANSFORMS, _THREAD_LIMIT = 7, 27
_INPUT_STRIDES, _OUTPUT_STRIDES, _INPUT_DISTANCE, _OUTPUT_DISTANCE = 12, 13, 14, 15
_Long = ctypes.c_long


def along_last(array: np.ndarray, n_axes: int = 1, *, inverse: bool = False) -> None:
    """Transform the last axis, or the last two, in place.

    Parameters
    ----------
    array : complex64 array, C-contiguous
    n_axes : int
    inverse : bool
        The inverse without its factor 1/n.
    """
    lengths = array.shape[array.ndim - n_axes :]
    size = math.prod(lengths)
    plan = _plan(lengths, _contiguous(lengths), array.size // size, size)
    if plan is not None:
        plan.run(array, inverse)
    elif n_axes == 2 and mkl() is not None:
        # where two axes at once are wrong, one after the other is right as a rule, and ahead of SciPy
        for plane in array.reshape(-1, *lengths):
            along_first(plane, inverse=inverse)
            along_last(plane, inverse=inverse)
    else:
        _scipy(array, tuple(range(array.ndim - n_axes, array.ndim)), inverse)


def along_first(array: np.ndarray, *, inverse: bool = False) -> None:
    """Transform the first axis in place.

    Parameters
    ----------
    array : complex64 array, (n, ...)
        Whatever lies behind an index of the first axis is contiguous; rows of a larger array will do.
    inverse : bool
        The inverse without its factor 1/n.
    """
    plan = _plan(array.shape[:1], (array.strides[0] // array.itemsize,), array[0].size, 1)
    if plan is None:
        _scipy(array, (0,), inverse)
    else:
        plan.run(array, inverse)


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Return an empty complex64 array that begins at a cache line.

    Vector code rounds another way where it does not, and a repeat would differ in the last bit.
    """
    import torch

    return torch.empty(shape, dtype=torch.complex64).numpy()


def _contiguous(lengths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(lengths[axis + 1 :]) for axis in range(len(lengths)))


def _scipy(array: np.ndarray, axes: tuple[int, ...], inverse: bool) -> None:
    import scipy.fft

    if inverse:
        array[...] = scipy.fft.ifftn(array, axes=axes, norm="forward", workers=1)
    else:
        array[...] = scipy.fft.fftn(array, axes=axes, workers=1)


class _Plans(threading.local):
    """A thread's own plans: two threads never meet in one."""

    def __init__(self) -> None:
        self.known: dict[tuple[Any, ...], _Plan] = {}


_LOCAL = _Plans()


def _plan(lengths: tuple[int, ...], strides: tuple[int, ...], number: int, distance: int) -> _Plan | None:
    if mkl() is None or not right(lengths):
        return None
    key = (lengths, strides, number, distance)
    if key not in _LOCAL.known:
        _LOCAL.known[key] = _Plan(*key)
    return _LOCAL.known[key]


@cache
def mkl() -> Any:
    """Return the library that has MKL's transforms; None if there is none."""
    import torch

    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            library = ctypes.CDLL(str(folder / name))
            if library.DftiCreateDescriptor_s_1d and library.DftiSetValue:
                return library
        except (OSError, AttributeError):
            continue
    return None


@cache
def right(lengths: tuple[int, ...]) -> bool:
    """Return whether MKL's transforms of these lengths, forth and back, are NumPy's: tried once a process."""
    shape = (2, *lengths)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((*shape, 2)) @ np.array([1, 1j])
    plan, axes = _Plan(lengths, _contiguous(lengths), 2, math.prod(lengths)), tuple(range(1, len(shape)))
    for inverse, reference in ((False, np.fft.fftn), (True, np.fft.ifftn)):
        found = aligned(shape)
        found[...] = values
        plan.run(found, inverse)
        expected = reference(values, axes=axes, norm="forward" if inverse else None)
        # a NaN is no "less than" either
        if not np.linalg.norm(found - expected) < _WRONG * np.linalg.norm(expected):
            size = " x ".join(map(str, lengths))
            _log.warning(
                "MKL's Fourier transforms of %s are wrong on this machine and made another way", size
            )
            return False
    return True


class _Plan:
    """A committed descriptor: transforms of one shape and layout, single precision, in place."""

    def __init__(
        self, lengths: tuple[int, ...], strides: tuple[int, ...], number: int, distance: int
    ) -> None:
        self._handle = ctypes.c_void_p()
        rank, made = len(lengths), ctypes.byref(self._handle)
        if rank == 1:
            status = mkl().DftiCreateDescriptor_s_1d(made, _COMPLEX, _Long(lengths[0]))
        else:
            sizes = (_Long * rank)(*lengths)
            status = mkl().DftiCreateDescriptor_s_md(made, _COMPLEX, _Long(rank), sizes)
        _check(status)
        offsets = (_Long * (rank + 1))(0, *strides)
        for parameter, value in (
            (_NUMBER_OF_TRANSFORMS, _Long(number)),
            (_INPUT_DISTANCE, _Long(distance)),
            (_OUTPUT_DISTANCE, _Long(distance)),
            (_INPUT_STRIDES, offsets),
            (_OUTPUT_STRIDES, offsets),
            (_THREAD_LIMIT, _Long(1)),
        ):
            _check(mkl().DftiSetValue(self._handle, parameter, value))
        _check(mkl().DftiCommitDescriptor(self._handle))

    def run(self, array: np.ndarray, inverse: bool) -> None:
        """Transform from the array's first element on."""
        compute = mkl().DftiComputeBackward if inverse else mkl().DftiComputeForward
        _check(compute(self._handle, ctypes.c_void_p(array.__array_interface__["data"][0])))


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"MKL's transforms failed with status {status}")
