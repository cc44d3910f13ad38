"""Heaps of an HDF5 file, walked before the HDF5 library does: it walks some damaged ones for ever.

Values of variable length (text, the samples of ISMRMRD readouts) lie in heaps, chains of objects that each
say how far the next one is. Where a hole of zeros has overwritten such a chain, as a broken copy leaves it,
the next object is no step away, and the library (HDF5 2.0.0) never comes back.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from csiq.errors import RawDataError

#: Signature and version of a heap, and the zeros after them.
_MARK = b"GCOL\x01\0\0\0"
#: Bytes before the first object, and of the header of each.
_BEFORE, _HEADER = 16, 16


def check_heaps(path: Path) -> None:
    """Raise if the library could never finish reading one of a file's heaps.

    Parameters
    ----------
    path : Path
        Of a file with something in it.

    Raises
    ------
    RawDataError
        If an object of a heap takes no room.

    References
    ----------
    HDF5 File Format Specification 3.0, III.E, "Global Heap".
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start in _heaps(content):
            at = _endless(content, start)
            if at is not None:
                raise RawDataError(
                    f"damaged HDF5 (an endless heap at byte {at})", file=path, hint="copy it again"
                )


def _heaps(content: mmap.mmap) -> Iterator[int]:
    at = content.find(_MARK)
    while at >= 0:
        yield at
        at = content.find(_MARK, at + len(_MARK))


def _endless(content: mmap.mmap, start: int) -> int | None:
    """Return where a heap's chain stands still, None if it comes to an end."""
    if start + _BEFORE > len(content):
        return None
    (size,) = struct.unpack_from("<Q", content, start + 8)
    at, end = start + _BEFORE, start + size
    if end > len(content):
        return None  # the library sees that by itself
    while at + _HEADER <= end:
        (index,) = struct.unpack_from("<H", content, at)
        (length,) = struct.unpack_from("<Q", content, at + 8)
        # object 0 is the free room, its length includes the header; others are padded to 8 bytes
        step = length if index == 0 else _HEADER + (length + 7) // 8 * 8
        if step == 0:
            return at
        at += step
    return None
