"""Compile the CUDA sources beside this file, once a process, and launch what is in them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

#: Threads of a block. One row of a 208^3 volume's doubled grid (416) then takes two blocks.
THREADS = 256
#: The grid's second dimension ends here; kernels go on in strides.
_MAX_ROWS = 65535


def source(name: str) -> str:
    """Return the CUDA source of a name, ``toeplitz`` or ``tv``."""
    return (files("csiq.cuda") / f"{name}.cu").read_text(encoding="utf-8")


@cache
def kernel(name: str, function: str, *defines: str) -> Any:
    """Return a compiled CUDA function.

    Parameters
    ----------
    name : str
        The source file.
    function : str
    defines : str
        Of the preprocessor: ``N_PHASES=4``.
    """
    return _module(name, *defines).get_function(function)


@cache
def _module(name: str, *defines: str) -> Any:
    import cupy

    options = ("--std=c++14", *(f"-D{define}" for define in defines))
    return cupy.RawModule(code=source(name), options=options)


def launch_rows(function: Any, rows: int, columns: int, arguments: tuple[Any, ...]) -> None:
    """Launch a kernel over rows (the grid's y) and columns (its x) on the current stream."""
    grid = (-(-columns // THREADS), min(rows, _MAX_ROWS))
    function(grid, (THREADS,), as_c(arguments))


def launch_flat(function: Any, n: int, arguments: tuple[Any, ...]) -> None:
    """Launch a kernel over ``n`` items on the current stream."""
    function((-(-n // THREADS),), (THREADS,), as_c(arguments))


def as_c(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments with Python's ints as 32-bit ints: the kernels name any other type themselves."""
    return tuple(np.int32(a) if type(a) is int else a for a in arguments)
