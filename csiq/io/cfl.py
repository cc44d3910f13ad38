"""BART's files: ``NAME.cfl`` holds complex64 samples, ``NAME.hdr`` their dimensions.

The first dimension varies fastest, so BART's dimensions are NumPy's axes in reverse: an image has x first in
the header and last here. BART makes the file at its full size before it fills it.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.io.atomic import atomic_write, write_text

#: BART's dimensions of coils and of sets of coil maps; those up to here are space.
_COILS, _MAPS = 3, 4
_MOST_DIMENSIONS = 64


def read_cfl(path: str | Path) -> np.ndarray:
    """Read an array.

    Parameters
    ----------
    path : path
        With ``.cfl``, ``.hdr`` or neither.

    Returns
    -------
    complex64 array
        BART's dimensions in reverse, those of length 1 at the end of the header left out.

    Raises
    ------
    RawDataError
        If one of the two files is missing, the header is none, or the data are not as long as it says.
    ConfigError
        If both are missing.
    """
    header, data = header_of(path), data_of(path)
    _check_there(header, data)
    sizes = _sizes(header)
    expected, found = 8 * math.prod(sizes), data.stat().st_size
    if found != expected:
        raise RawDataError(
            f"holds {found} bytes, its header says {expected}", file=data, hint="is it being written?"
        )
    return np.fromfile(data, np.complex64).reshape(sizes[::-1])


def read_shape(path: str | Path) -> tuple[int, ...]:
    """Return the dimensions of an array, BART's first one first.

    Raises
    ------
    RawDataError
        If there is no header, or it says none.
    ConfigError
        If there is no data file, either.
    """
    header = header_of(path)
    if not header.is_file():
        _check_there(header, data_of(path))
    return tuple(_sizes(header))


def write_cfl(path: str | Path, array: np.ndarray) -> None:
    """Write an array so that its last axis is BART's first dimension; the header comes last.

    Parameters
    ----------
    path : path
        With ``.cfl``, ``.hdr`` or neither.
    array : array
        Written as complex64.
    """
    with atomic_write(data_of(path)) as temporary:
        np.ascontiguousarray(array, np.complex64).tofile(temporary)
    write_text(header_of(path), f"# Dimensions\n{' '.join(map(str, array.shape[::-1] or (1,)))}\n")


def read_cfl_volumes(path: str | Path) -> np.ndarray:
    """Read images: x, y and z first, one coil; of several sets of maps the first; all else are phases.

    Returns
    -------
    complex64 array, (n_phases, z, y, x)

    Raises
    ------
    ShapeError
        If it holds coils: k-space or maps, no image.
    """
    array = read_cfl(path)
    sizes = (*array.shape[::-1], *(1,) * (_MAPS + 1))
    if sizes[_COILS] > 1:
        raise ShapeError(f"holds {sizes[_COILS]} coils, no image", file=data_of(path), field="dimension 3")
    z, y, x = sizes[2], sizes[1], sizes[0]
    return array.reshape(-1, sizes[_MAPS], z, y, x)[:, 0]


def header_of(path: str | Path) -> Path:
    """Return the path of the header."""
    return _stem(path).with_name(_stem(path).name + ".hdr")


def data_of(path: str | Path) -> Path:
    """Return the path of the data."""
    return _stem(path).with_name(_stem(path).name + ".cfl")


def _stem(path: str | Path) -> Path:
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".cfl", ".hdr") else path


def _check_there(*files: Path) -> None:
    missing = [file for file in files if not file.is_file()]
    if missing == list(files):
        raise ConfigError("no such file", file=files[-1], hint="check the path")
    if missing:
        hint = "BART's arrays are two files, .hdr and .cfl"
        raise RawDataError("no such file", file=missing[0], hint=hint)


def _sizes(header: Path) -> list[int]:
    try:
        lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise RawDataError(f"cannot be read: {error.strerror}", file=header) from None
    rows = (line for line in lines if line.strip() and not line.startswith("#"))
    words = next(rows, "").split()[:_MOST_DIMENSIONS]
    if not words or not all(word.isdecimal() and 0 < int(word) < 1 << 40 for word in words):
        raise RawDataError("no line of dimensions", file=header, hint="is it a header of BART's?")
    sizes = [int(word) for word in words]
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes.pop()
    return sizes
