"""What memory, devices and disks raise, as errors for people: whatever was asked last has its own words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from csiq.errors import ConfigError, CsiqError, DeviceError, ResourceError, one_line

#: How CuPy's and torch's errors of a GPU are called; torch's older ones are a RuntimeError that says so.
_OF_GPU = ("CUDARuntimeError", "CUDADriverError", "CuFFTError", "CUBLASError", "AcceleratorError")
#: What a path may be that nobody can open, and how a disk or a network share fails, wherever it is met.
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)
_OF_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)
_SMALLER = "try --coils 4, --coil-batch 1, --matrix or --phases 2"

T = TypeVar("T")
Size = TypeVar("Size")


def as_csiq_error(error: BaseException) -> CsiqError | None:
    """Return what an error means if memory ran out, a GPU failed or a file could not be reached, else None.

    Parameters
    ----------
    error : BaseException
        Of any library.

    Returns
    -------
    ResourceError, DeviceError, ConfigError or None
        With exit code 5: no bug, and what was finished is there to go on from. 2 for a name that no file has.
    """
    if is_out_of_memory(error):
        return ResourceError("memory ran out", field="memory", hint=_SMALLER)
    for one in _chain(error):
        if _is_of_gpu(one):
            hint = "what was finished is kept: --resume goes on, with --device cpu without the GPU"
            return DeviceError(f"the GPU failed: {one_line(one, 160)}", field="--device", hint=hint)
        if isinstance(one, OSError) and one.errno in (*_NO_NAME, *_OF_DISK):
            return _of_file(one)
    return None


def _of_file(error: OSError) -> CsiqError:
    words, file = os.strerror(error.errno or 0).lower(), error.filename
    named = None if not isinstance(file, (str, os.PathLike)) else os.fspath(file)
    if error.errno in _NO_NAME:
        return ConfigError(words, file=named, hint="check the path")
    return ResourceError(words, file=named, hint="is there room, and may you read and write there?")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, says that memory ran out.

    SigPy's operators wrap what goes wrong in a RuntimeError; torch and cuFFT have classes of their own.
    """
    return any(_says_no_memory(one) for one in _chain(error))


def with_less(
    run: Callable[[Size], T],
    size: Size,
    smaller: Callable[[Size], Size | None],
    between: Callable[[Size, Size], None],
    refusal: ResourceError,
) -> T:
    """Return ``run(size)``; where memory runs out, with the next smaller size, and so on.

    Parameters
    ----------
    run : callable
        Called with a size; it must start from nothing each time.
    size : object
        What to begin with.
    smaller : callable
        Takes a size and returns the next one, None after the last.
    between : callable
        Takes the size that failed and the next one: says so, and gives unused memory back.
    refusal : ResourceError
        What to raise where the last size does not fit either.

    Raises
    ------
    ResourceError
        ``refusal``. What has nothing to do with memory is raised as it is.
    """
    while True:
        try:
            return run(size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            less = smaller(size)
            if less is None:
                raise refusal from error
        # out here the error is gone, and with it the frames that held the arrays
        between(size, less)
        size = less


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _says_no_memory(error: BaseException) -> bool:
    name = type(error).__name__
    return (
        isinstance(error, MemoryError)
        or name == "OutOfMemoryError"
        or (name == "CuFFTError" and "ALLOC" in str(error))
        or (name == "CUDARuntimeError" and "MemoryAllocation" in str(error))
    )


def _is_of_gpu(error: BaseException) -> bool:
    return type(error).__name__ in _OF_GPU or (isinstance(error, RuntimeError) and "CUDA error" in str(error))
