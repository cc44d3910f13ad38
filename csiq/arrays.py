"""Arrays on the device they are on: NumPy on the CPU, CuPy on a GPU, torch for the network.

One code path serves both: ``xp = xp_of(x)`` is the module to compute with. Arrays move after reading
and before writing, never inside an operator or a solver.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.errors import DeviceError, ShapeError

if TYPE_CHECKING:
    import torch

#: An array of NumPy or CuPy.
Array = Any


def xp_of(x: Array) -> Any:
    """Return the array module of ``x``: ``numpy`` or ``cupy``."""
    if type(x).__module__.partition(".")[0] == "cupy":
        import cupy

        return cupy
    return np


@dataclass(frozen=True)
class Device:
    """A place to compute: ``cpu`` or ``cuda:N``.

    Attributes
    ----------
    index : int
        -1 for the CPU, else the number of the GPU.
    """

    index: int = -1

    @property
    def is_gpu(self) -> bool:
        """Whether this is a GPU."""
        return self.index >= 0

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.is_gpu else "cpu"


def gpu_count() -> int:
    """Return the number of GPUs that CuPy can really use.

    An installed CuPy looks fine without a GPU until the first allocation, so one byte is allocated.
    """
    try:
        import cupy
    except ImportError:
        return 0
    try:
        if not cupy.cuda.is_available():
            return 0
        cupy.zeros(1, dtype=np.uint8)
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0


def choose_device(name: str = "auto") -> Device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        ``auto`` (the first GPU that works, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    DeviceError
        If a GPU is asked for and there is none of that number.
    """
    if name == "cpu":
        return Device()
    count = gpu_count()
    if name == "auto":
        return Device(0) if count else Device()
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise DeviceError(f"'{name}' is no device", field="--device", hint="auto, cpu, cuda or cuda:0")
    index = int(number or 0)
    if index >= count:
        hint = f"found: {_found_gpus(count)}; try --device cpu"
        raise DeviceError(f"'{name}' is not there", field="--device", hint=hint)
    return Device(index)


def _found_gpus(count: int) -> str:
    if count:
        return ", ".join(f"cuda:{i}" for i in range(count))
    try:
        import cupy  # noqa: F401
    except ImportError:
        return "no CuPy, pip install 'csiq[gpu12]' or 'csiq[gpu13]'"
    return "no GPU that CuPy can use"


def to_device(x: Array, device: Device) -> Array:
    """Return ``x`` on ``device``; no copy if it is there already."""
    if not device.is_gpu:
        return to_host(x)
    import cupy

    with cupy.cuda.Device(device.index):
        return cupy.asarray(x)


def to_host(x: Array) -> np.ndarray:
    """Return ``x`` as a NumPy array; no copy if it is one."""
    return x.get() if xp_of(x) is not np else np.asarray(x)


def to_torch(x: Array) -> torch.Tensor:
    """Return ``x`` as a torch tensor on the same device, sharing its memory (DLPack)."""
    import torch

    return torch.from_dlpack(x if xp_of(x) is not np else np.ascontiguousarray(x))


def vdot(a: Array, b: Array) -> complex:
    """Return sum(conj(a) b), accumulated in double precision.

    Parameters
    ----------
    a, b : complex64 arrays of one shape

    Raises
    ------
    ShapeError
        If the shapes differ.
    """
    if a.shape != b.shape:
        raise ShapeError(f"shapes {a.shape} and {b.shape} have no dot product")
    xp = xp_of(a)
    if xp is not np:
        if a.ndim > 3:  # phase by phase: the products are temporaries
            return sum((vdot(x, y) for x, y in zip(a, b, strict=True)), 0j)
        return complex(xp.sum(xp.conj(a) * b, dtype=np.complex128))
    flat_a, flat_b = _pairs(a), _pairs(b)
    parts = _by_blocks(lambda start, stop: _numba().dot(flat_a, flat_b, start, stop), a.size)
    return complex(sum(part[0] for part in parts), sum(part[1] for part in parts))


def norm2(a: Array) -> float:
    """Return sum |a|^2 of a complex64 array, accumulated in double precision."""
    xp = xp_of(a)
    if xp is not np:
        return vdot(a, a).real
    flat = _pairs(a)
    return float(sum(_by_blocks(lambda start, stop: _numba().square(flat, 2 * start, 2 * stop), a.size)))


def combined(*terms: tuple[float, Array], out: Array | None = None) -> Array:
    """Return a sum of arrays times real factors, in one pass over memory that the cores share.

    Parameters
    ----------
    *terms : (float, complex64 array)
        Factors and arrays of one shape.
    out : complex64 array, optional
        Where to write, C-contiguous; it may be the first term's array. A new array by default.

    Returns
    -------
    complex64 array
    """
    arrays = [array for _, array in terms]
    factors = np.array([factor for factor, _ in terms], np.float32)
    xp = xp_of(arrays[0])
    if xp is not np:
        total = xp.multiply(factors[0], arrays[0], out=out)
        for factor, array in zip(factors[1:], arrays[1:], strict=True):
            total += factor * array
        return total
    if out is None:
        out = np.empty(arrays[0].shape, np.complex64)
    flat, target = tuple(_pairs(array) for array in arrays), _pairs(out)
    _by_blocks(lambda i, j: _numba().combine(factors, flat, target, 2 * i, 2 * j), out.size)
    return out


#: Elements that are taken at a time, at least; else a 64th of an array. So a sum does not depend on threads.
_BLOCK = 1 << 15


def _pairs(a: np.ndarray) -> np.ndarray:
    """Return a complex array as a flat array of real and imaginary parts."""
    return np.ascontiguousarray(a, dtype=np.complex64).reshape(-1).view(np.float32)


def _by_blocks(function: Callable[[int, int], Any], n: int) -> list[Any]:
    """Return the values of a function of start and stop on blocks of n elements, in order."""
    block = max(_BLOCK, -(-n // 64))
    bounds = [(start, min(start + block, n)) for start in range(0, n, block)]
    values: list[Any] = [None] * len(bounds)

    def task(number: int) -> None:
        values[number] = function(*bounds[number])

    if len(bounds) == 1:
        task(0)
    else:
        run_tasks([partial(task, i) for i in range(len(bounds))], default_threads())
    return values


def _numba() -> Any:
    # compiled on first use: importing csiq must not wait for numba
    from csiq import _arrays_numba

    return _arrays_numba


_threads: int | None = None


def default_threads() -> int:
    """Return the threads to use where nobody says: those of :func:`use_threads`, else all cores there are."""
    if _threads is not None:
        return _threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def use_threads(threads: int | None) -> None:
    """Let everything that follows use so many threads, torch and BLAS included; all cores if None."""
    global _threads
    import torch
    from threadpoolctl import threadpool_limits

    _threads = threads
    torch.set_num_threads(default_threads())
    threadpool_limits(default_threads(), user_api="blas")


def return_free_memory() -> None:
    """Give the C library's free memory back to the system, where it can (glibc).

    It keeps what arrays of up to 32 MB leave: after a set-up more than all volumes together.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def run_tasks(tasks: Sequence[Callable[[], None]], threads: int, xp: Any = np) -> None:
    """Run independent tasks: on a CPU in ``threads`` threads, on a GPU one after the other.

    A single task goes to a thread of the pool too: it has torch's transforms to itself. Tasks of a task run
    one after the other: all threads may be busy with their likes.
    """
    nested = threading.current_thread().name.startswith(_POOL_NAME)
    if xp is not np or nested:
        for task in tasks:
            task()
        return
    begun = [_pool(threads).submit(task) for task in tasks]
    try:
        for one in begun:
            one.result()
    except BaseException:
        # an error, or a signal: who ends the program need not wait for what has not begun
        for one in begun:
            one.cancel()
        raise


_POOL_NAME = "csiq-pool"


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that are kept, each of which has torch's transforms to itself.

    Starting threads anew costs as much as a small task. Without being told, MKL would start a team of its own
    behind each of them.
    """
    import torch

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=_POOL_NAME, initializer=_alone)
    all_there = threading.Barrier(threads)
    for started in [pool.submit(all_there.wait) for _ in range(threads)]:
        started.result()
    torch.set_num_threads(before)  # torch lends new threads the number that was set last
    return pool


def _alone() -> None:
    import torch

    torch.get_num_threads()  # a thread takes the common number at its first question: that is over then
    torch.set_num_threads(1)


# a forked child has the pools but not their threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
